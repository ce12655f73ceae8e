#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job that runs too long gets TERM, after its grace KILL, with its whole
# process group; its end says that it timed out.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Process qw(alive);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm,
            conf => "<SpawnQueue short>\nSpawnTimeout 1\n</SpawnQueue>\n")->start;
        my $gate = SpawnTest::Gate->new($httpd, 'a');

        my $end = $httpd->wait($httpd->spawn($gate->job('exit 0'), queue => 'short')->{id});
        is $end->{outcome}, 'timed_out', "the queue's time-out" or diag explain $end;
        is $end->{signal}, POSIX::SIGTERM(), 'ended by TERM';
        cmp_ok $end->{elapsed}, '>=', 1, 'not too early';

        # Deaf to TERM, with a child that is deaf too.
        my $pids = $httpd->work . '/pids';
        my $deaf = "trap '' TERM; (read line <'" . $gate->path . "') & echo \$\$ \$! >$pids; wait; wait; wait";
        $end = $httpd->wait($httpd->spawn([ '/bin/sh', '-c', $deaf ], timeout => 5, grace => 0.5)->{id});
        is $end->{outcome}, 'timed_out', 'its own time-out' or diag explain $end;
        is $end->{signal}, POSIX::SIGKILL(), 'ended by KILL after the grace';
        open my $in, '<', $pids or die "$pids: $!\n";
        my @pids = split ' ', scalar <$in>;
        is scalar @pids, 2, 'there were two processes';
        ok wait_until(sub { !grep { alive($_) } @pids }, 20), 'both have gone';

        my $result = $httpd->run($gate->job('exit 0'), timeout => 0.3);
        is $result->{outcome} || $result->{error}{code}, 'timed_out', 'run has a time-out too'
            or diag explain $result;
    }
);
done_testing;
