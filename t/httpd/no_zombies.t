#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# 1,000 jobs leave no zombie and no process behind.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Process qw(children_of descendants_of state_of);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, conf => "SpawnMaxQueued 2000\n")->start;
        my @ids;
        for (1 .. 10) {
            my $made = $httpd->do('spawn_many', count => 100, argv => ['/bin/true']);
            is_deeply $made->{errors}, [], '100 jobs accepted';
            push @ids, @{ $made->{ids} };
        }
        my $ends = $httpd->do('wait_many', ids => \@ids, seconds => 60);
        is scalar(grep { ($_->{outcome} || '') eq 'exited' && $_->{exit_code} == 0 } @{$ends}),
            1000, 'all ended well';

        my $spawner = $httpd->spawner_pid;
        my $broker = $httpd->broker_pid;
        is_deeply [ children_of($spawner) ], [$broker], 'the spawner has its broker and no other child';
        is_deeply [ children_of($broker) ], [], 'the broker has none';
        my @zombies = grep { state_of($_) eq 'Z' } descendants_of($httpd->pid);
        is_deeply \@zombies, [], 'no zombie below httpd';
    }
);
done_testing;
