#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A full waiting list is an error at once; other queues do not notice; there
# is room again when a job has gone on.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm is_error wait_until);
use SpawnTest::Wait qw(now);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm,
            conf => "<SpawnQueue narrow>\nSpawnMaxJobs 1\nSpawnMaxQueued 2\n</SpawnQueue>\n")->start;
        my $gate = SpawnTest::Gate->new($httpd, 'a');
        my @narrow = (queue => 'narrow');

        my $first = $httpd->spawn($gate->job('exit 1'), @narrow, reply => 'started');
        ok $first->{pid}, 'one runs' or diag explain $first;
        my @waiting = map { $httpd->spawn($gate->job("exit $_"), @narrow) } 2, 3;
        is $httpd->status($_->{id})->{state}, 'queued', 'one waits' for @waiting;

        my $began = now();
        my $refused = $httpd->spawn($gate->job('exit 4'), @narrow);
        is_error($refused, 'queue_full', 'queue', undef, 'the next is refused');
        cmp_ok now() - $began, '<', 30, 'at once, not when its time to submit is over';
        like $refused->{error}{text}, qr/narrow/, 'the text names the queue';

        my $other = $httpd->spawn(['/bin/true'], reply => 'finished');
        is $other->{error}, undef, 'another queue takes jobs' or diag explain $other;

        $gate->let(1);
        is $httpd->wait($first->{id})->{exit_code}, 1, 'the first ends';
        is wait_until(sub { $httpd->status($waiting[0]{id})->{state} eq 'running' }, 20), 1,
            'the next one starts, in order';
        my $again = $httpd->spawn($gate->job('exit 5'), @narrow);
        is $again->{error}, undef, 'there is room again' or diag explain $again;

        $gate->let(3);
        is_deeply [ map { $httpd->wait($_->{id})->{exit_code} } @waiting, $again ], [ 2, 3, 5 ],
            'all that were accepted ran';
    }
);
done_testing;
