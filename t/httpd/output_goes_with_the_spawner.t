#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Captured output of a job goes to broker and spawner. When both are killed while it
# runs, it is told that the output is lost, also of a job that ends with exit code 0: to
# the caller that waits, in the history, and by spawnctl.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, conf => "SpawnSubmitTimeout 20\n")->start;
        my $gate = SpawnTest::Gate->new($httpd, 'gate');
        my $began = SpawnTest::Gate->new($httpd, 'began');
        my ($spawner, $broker) = ($httpd->spawner_pid, $httpd->broker_pid);

        my $pid = open my $answer, '-|';
        defined $pid or die "fork: $!\n";
        if (!$pid) {
            my $said = eval {
                my $end = $httpd->run([ '/bin/sh', '-c',
                    "echo words; echo \$SPAWN_JOB_ID >'" . $began->path . "'; read line <'" . $gate->path . "'" ]);
                join '|', map { $end->{$_} // 'undef' } qw(id outcome stdout_lost stderr_lost stdout message);
            } // $@;
            print "$said\n";
            STDOUT->flush;
            POSIX::_exit(0);
        }
        chomp(my $id = readline $began->{pipe});
        ok wait_until(sub { $httpd->status($id)->{state} eq 'running' }, 20), 'it is known to run';
        kill STOP => $broker;
        kill KILL => $spawner, $broker;
        ok $httpd->new_pid('broker', $broker), 'a new pair comes';
        $gate->let;
        chomp(my $said = <$answer>);
        close $answer;
        my ($of, $outcome, $out, $err, $stdout, $message) = split /\|/, $said, -1;
        is $of, $id, 'its end is told' or diag $said;
        like $outcome, qr/\A(?:exited|code_unknown)\z/, 'as it is known';
        is "$out $err", '-1 -1', 'its output is lost, all of it';
        is $stdout, q{}, 'and nothing is there';
        like $message, qr/what it wrote is lost/, 'which the message says';

        my $shown = SpawnTest::Ctl->new($httpd)->run('show', '-o', $id);
        like $shown->{out}, qr/^--- stdout: 0 bytes, lost with its spawner ---$/m, 'spawnctl show says so';
    }
);
done_testing;
