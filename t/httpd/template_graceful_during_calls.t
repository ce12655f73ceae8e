#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Graceful restarts, and a restart, during 100 running calls: each returns what
# it should; new calls have the new code; the old templates go.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Templates ();

my $t = SpawnTest::Templates->new(conf => 'SpawnMaxJobs 300')->start;
my $httpd = $t->httpd;
my $spawn = $t->spawn;
my $gate = SpawnTest::Gate->new($httpd, 'a');

my @jobs = map { $t->at_gate($gate, $_) } 1 .. 100;
ok $t->all_at_gate(@jobs), '100 calls run';
my @old = $spawn->call('My::Work::parent');

for my $again (2 .. 4) {
    $t->new_version($again);
    $again == 3 ? $httpd->restart : $httpd->graceful;
    ok wait_until(sub { $spawn->call('My::Work::version') == $again }, 30), "version $again is served";
    push @old, $spawn->call('My::Work::parent');
}
ok $t->new_pid('app', @old[ 0 .. 2 ]), 'one template is left';
is(($t->pids('app'))[0], $old[3], 'the last one');

$gate->let(100);
is_deeply [ map { ($_->result(60))[0] } @jobs ], [ 1 .. 100 ], 'all 100 calls return';
is_deeply [ grep { $_->status->{outcome} ne 'exited' } @jobs ], [], 'none was cut short';

done_testing();
