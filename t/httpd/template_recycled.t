#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# max_jobs and max_age: another template takes the place of one that has served
# enough, without a call that fails or waits.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Templates ();

my $t = SpawnTest::Templates->new(templates => <<'END')->start;
SpawnTemplate app exec inc=@INC@ preload=My::Work max_jobs=20
SpawnTemplate old exec inc=@INC@ preload=My::Work max_age=300ms
END
my $spawn = $t->spawn;
my $gate = SpawnTest::Gate->new($t->httpd, 'a');

my $held = $t->at_gate($gate, 'held');
ok $t->all_at_gate($held), 'a call runs';
my (%served, $bad);
# On a busy machine the next one takes its time, and the old one serves on.
wait_until(
    sub {
        my ($parent) = eval { $spawn->call('My::Work::parent') };
        $served{ $parent || 0 }++;
        return keys %served >= 3;
    }, 60);
ok !$served{0}, 'no call fails';
cmp_ok scalar keys %served, '>=', 3, 'many calls were served by several templates of 20 jobs';
cmp_ok $_, '>=', 19, "... one of them by $_" for (sort { $b <=> $a } values %served)[0];
ok wait_until(sub { $t->pids('app') == 1 }, 30), 'one is left in the end';
$gate->let;
is $held->result(30), 'held', 'a call of the first one returns';

my $first = $spawn->call('My::Work::parent', [], template => 'old');
ok wait_until(sub { $spawn->call('My::Work::parent', [], template => 'old') != $first }, 30),
    'a template that is too old is followed by another one';
unlike $t->httpd->error_log, qr/MS060[123]/, 'none of it is a fault';

done_testing();
