#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Of the jobs that wait in a queue those of a higher priority start first, those of the same
# one in the order of their submits; also after a stop and start.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm is_error);

sub slurp {
    my ($path) = @_;
    open my $in, '<', $path or return "$path: $!";
    local $/ = undef;
    return scalar <$in>;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm,
            conf => "<SpawnQueue one>\nSpawnMaxJobs 1\n</SpawnQueue>\n")->start;
        my $ctl  = SpawnTest::Ctl->new($httpd);
        my $gate = SpawnTest::Gate->new($httpd, 'a');
        my @one  = (queue => 'one');
        my $file = $httpd->work . '/order';

        my $first = $httpd->spawn($gate->job('exit 0'), @one, reply => 'started');
        ok $first->{pid}, 'one runs' or diag explain $first;
        my @jobs;
        for my $p ([ a => 0 ], [ b => -20 ], [ c => 100 ], [ d => 0 ], [ e => 5 ], [ f => 100 ]) {
            my ($name, $priority) = @{$p};
            push @jobs, $httpd->spawn([ '/bin/sh', '-c', "printf $name >>$file" ],
                @one, $priority ? (priority => $priority) : ());
            is $jobs[-1]{error}, undef, "$name waits" or diag explain $jobs[-1];
        }
        is $httpd->status($jobs[2]{id})->{priority}, 100, 'status has it';
        like $ctl->run('ps')->{out}, qr/queued [+]100 .*queued -20 /s, 'spawnctl ps, too';
        like $ctl->run('show', $jobs[1]{id})->{out}, qr/^ +priority +-20$/m, 'and show';

        $httpd->stop;
        $gate->let(1);
        $httpd->start;
        is $httpd->wait($_->{id})->{exit_code}, 0, 'it ran' for $first, @jobs;
        is slurp($file), 'cfeadb', 'in the order of the priorities';

        is_error($httpd->spawn(['/bin/true'], priority => 101),
            'invalid', 'options', undef, 'more than 100 is refused');
        my $ran = $ctl->run(qw(run --priority -101 -- /bin/true));
        is $ran->{code}, 125, 'spawnctl: less than -100, too';
        like $ran->{err}, qr/--priority: .*-100 to 100/, 'with the reason';
    }
);
done_testing;
