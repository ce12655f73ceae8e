#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A graceful restart brings the new configuration to the pair that runs:
# queues come, go and change.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm is_error wait_until);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm,
            conf => "<SpawnQueue old>\nSpawnMaxJobs 1\n</SpawnQueue>\n")->start;
        my $gate = SpawnTest::Gate->new($httpd, 'a');
        my $spawner = $httpd->spawner_pid;
        my $running = $httpd->spawn($gate->job('exit 1'), queue => 'old', reply => 'started');
        my $waiting = $httpd->spawn($gate->job('exit 2'), queue => 'old');
        is_error($httpd->spawn(['/bin/true'], queue => 'new'), 'unknown_queue', undef, undef,
            'a queue that is not there yet');

        $httpd->{conf} = "<SpawnQueue old>\nSpawnMaxJobs 2\n</SpawnQueue>\n<SpawnQueue new>\n</SpawnQueue>\n";
        $httpd->graceful;
        is $httpd->spawner_pid, $spawner, 'the pair is the same';
        ok wait_until(sub { $httpd->status($waiting->{id})->{state} eq 'running' }, 20),
            'two at once now';
        my $new = $httpd->spawn(['/bin/true'], queue => 'new', reply => 'finished');
        is $new->{error}, undef, 'the new queue takes jobs' or diag explain $new;

        $httpd->{conf} = "<SpawnQueue new>\n</SpawnQueue>\n";
        $httpd->graceful;
        is_error($httpd->spawn(['/bin/true'], queue => 'old'), 'unknown_queue', undef, undef,
            'the queue that has gone');
        $gate->let(2);
        is_deeply [ map { $httpd->wait($_->{id})->{exit_code} } $running, $waiting ], [ 1, 2 ],
            'its running jobs end as ever';
    }
);
done_testing;
