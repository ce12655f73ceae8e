#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The spawner is killed, and its broker ends with it, while a handler calls a worker
# that is lent to it: each call has its result, also one that runs in that moment, and
# none runs twice. But for one that the broker itself gave to a worker just then: its
# caller is told, and it may not have run (docs/reliability.md).

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Leases ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Leases->new(mpm => $mpm);
        my $httpd = $t->httpd;
        my $asked = $t->begin('My::Stream::calls(@_)', $t->ran, 0, 1e9, $t->go);
        $t->wait_for_calls(300);
        my $old = $httpd->kill_pair('spawner');
        ok $httpd->new_pid('spawner', $old), 'a spawner is killed and another one is there';
        ok $t->wait_for_calls(300), 'calls go on';
        $t->touch($t->go);
        my ($n, @wrong) = @{ $t->answer($asked) || [ 0, 'no answer' ] };
        my $is_lost = qr/^(\d+): .* its spawner was killed, and what it may have returned is lost with it /;
        my %lost = map { $_ =~ $is_lost ? ($1 => 1) : () } @wrong;
        is_deeply [ grep { $_ !~ $is_lost } @wrong ], [], 'each has its result';
        cmp_ok scalar keys %lost, '<', 2, '... but for one, at most';
        my %ran = map { $_ => 1 } $t->lines;
        my @expected = grep { $ran{$_} || !$lost{$_} } 1 .. $n;
        is_deeply [ $t->lines ], \@expected, 'each ran once';

        # A call that runs; again when its worker was being taken back just then.
        my ($gate, $want);
        my $runs_lent = sub {
            $gate = "$httpd->{dir}/work/gate$n";
            $asked = $t->begin(<<'CODE', $t->ran, $gate, $n);
my ($file, $gate, $n) = @_;
my ($count, @wrong) = My::Stream::calls($file, $n, 1000); # until it is lent
my $value = eval { Apache2::Spawn->call('My::Count::ran_at', [ $file, $gate, $n + 1001 ], queue => 'rpc') };
return ($value, "$@", @wrong);
CODE
            $n = $want = $n + 1001;
            push @expected, $n - 1000 .. $want;
            wait_until(sub { $t->lines == @expected }, 20) or return 0;
            return 1 if grep { $t->is_lent($_) } $t->workers;
            $t->touch($gate);
            $t->answer($asked);
            return 0;
        };
        ok wait_until($runs_lent, 60), 'a call runs in a worker that is lent';
        $httpd->kill_pair('spawner');
        $t->touch($gate);
        is_deeply $t->answer($asked), [ $want, '' ], 'it has its result from its worker';
        is_deeply [ $t->lines ], \@expected, 'each ran once';
        $httpd->clean;
    }
);
done_testing;
