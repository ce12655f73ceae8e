#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# How a program ended is told as it was: exit codes to 255, signals, the core
# flag.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Cwd ();
use POSIX ();
use Test::More;

use SpawnTest qw(each_mpm);

# Does a crash of this kind leave a core here? Asked from the system itself.
sub core_flag {
    my ($dir, $argv) = @_;
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        chdir $dir;
        delete $ENV{LD_PRELOAD};    # a job has none of ours
        exec @{$argv} or POSIX::_exit(127);
    }
    waitpid $pid, 0;
    return $? & 128 ? 1 : 0;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm)->start;

        for my $code (0, 1, 3, 7, 15, 127, 255) {
            my $job = $httpd->spawn([ '/bin/sh', '-c', "exit $code" ]);
            my $end = $httpd->wait($job->{id});
            is $end->{outcome}, 'exited', "exit $code: outcome" or diag explain $end;
            is $end->{exit_code}, $code, "exit $code: code";
            is $end->{signal} || 0, 0, "exit $code: no signal";
        }
        for my $name (qw(HUP INT TERM KILL PIPE USR1)) {
            my $job = $httpd->spawn([ '/bin/sh', '-c', "kill -$name \$\$" ]);
            my $end = $httpd->wait($job->{id});
            is $end->{outcome}, 'signalled', "$name: outcome" or diag explain $end;
            is $end->{signal}, POSIX->can("SIG$name")->(), "$name: signal";
            ok !$end->{core}, "$name: no core";
        }

        my $dir = $httpd->work . '/core';
        mkdir $dir and chmod 0777, $dir or die "$dir: $!\n";
        my @crash = ('/bin/sh', '-c', 'ulimit -c unlimited; kill -SEGV $$');
        my $end = $httpd->wait($httpd->spawn(\@crash, cwd => $dir)->{id});
        is $end->{signal}, POSIX::SIGSEGV(), 'SEGV: signal' or diag explain $end;
        is $end->{core} ? 1 : 0, core_flag($dir, \@crash), 'SEGV: core flag as the system has it';

        my $result = $httpd->run([ '/bin/sh', '-c', 'exit 4' ]);
        is $result->{exit_code}, 4, 'run: code';
        ok !$result->{ok}, 'run: not ok';
        my $good = $httpd->run(['/bin/true']);
        ok $good->{ok}, 'run: ok' or diag explain $good;
    }
);
done_testing;
