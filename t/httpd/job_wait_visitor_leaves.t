#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# When a visitor goes away his request waits no longer: under prefork, with one child, the
# next one is served long before the wait would have been over.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Visitor ();

for my $how ('a request', 'a stream') {
    my $v = SpawnTest::Visitor->new(mpm => 'prefork', children => 1, wait => '10min 1');
    my ($id, $token, $gate) = $v->job('on it');
    my $is = $v->says($id, $token, 'on it');
    ok $is, 'it runs';
    my %accept = $how eq 'a stream' ? (Accept => 'text/event-stream') : ();
    my $sock = $v->begin($id, "token=$token&wait=600&seen=$is->{seen}", %accept);
    ok $how eq 'a stream' ? $v->until_it_says($sock, qr/retry/, 60) : !defined $v->until_it_says($sock, qr/\S/, 0.5), "$how waits";
    close $sock;
    my $next = $v->get($id, "token=$token");
    is $next->{status}, 200, 'the next one is served';
    cmp_ok $next->{took}, '<', 100, '... soon';
    $gate->let(1);
}
done_testing;
