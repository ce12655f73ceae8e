#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Over 10,000 jobs the memory of spawner and broker stays level.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(mpms not_sanitized);
use SpawnTest::Process qw(rss_kb);

not_sanitized('freed memory is held back, so that none stays level');
my ($mpm) = mpms();
my $httpd = SpawnTest::Httpd->new(mpm => $mpm,
    conf => "SpawnMaxQueued 2000\nSpawnHistory 500\nSpawnSubmitTimeout 20\n")->start;

sub jobs {
    my ($thousands) = @_;
    my $good = 0;
    for (1 .. $thousands) {
        my $made = $httpd->do('spawn_many', count => 1000, argv => ['/bin/true']);
        my $last = $httpd->spawn(['/bin/true'], reply => 'finished');
        $good += grep { defined } @{ $made->{ids} };
        diag explain $made->{errors}[0] if @{ $made->{errors} };
    }
    return $good;
}

sub memory { return map { rss_kb($_) } $httpd->spawner_pid, $httpd->broker_pid }

is jobs(3), 3000, '3,000 jobs to warm up';
my @before = memory();
is jobs(10), 10_000, '10,000 jobs';
my @after = memory();

note "spawner $before[0] kB, then $after[0] kB; broker $before[1] kB, then $after[1] kB";
cmp_ok $after[0], '<', 4096, 'the spawner is small';
# Its table is as long as most jobs at once were, with those that the broker has not
# stored yet: on a busy machine more than while warming up.
cmp_ok $after[0] - $before[0], '<=', 128, 'the spawner has not grown';
cmp_ok $after[1] - $before[1], '<=', 1024, 'the broker has not grown';
done_testing;
