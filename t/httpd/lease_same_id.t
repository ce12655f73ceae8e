#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# An id that was used before names the call that it was used for, also when that
# one, or the second one, could have gone to a worker directly: it runs once.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::Leases ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Leases->new(mpm => $mpm, conf => 'SpawnWorkerMaxJobs none');
        my $asked = $t->begin(<<'CODE', $t->ran);
my ($file) = @_;
my ($n, @wrong) = My::Stream::calls($file, 0, 50);
my $call = sub { my ($want, $id) = @_;
    return eval { Apache2::Spawn->call('My::Count::ran', [ $file, $want ], queue => 'rpc', id => $id) } // "$@" };
my $id = My::Stream::new_id();
my @same = map { $call->(51, $id) } 1 .. 3;
my ($more) = My::Stream::calls($file, 51, 50);
# one that has died, directly, and its id again at once
eval { Apache2::Spawn->call('My::Count::ran_and_dies', [ $file, 102 ], queue => 'rpc') };
my $error = $@;
eval { Apache2::Spawn->call('My::Count::ran_and_dies', [ $file, 102 ], queue => 'rpc', id => $error->job->id) };
my $again = $@;
return (\@wrong, \@same, "$error", "$again");
CODE
        my ($wrong, $same, $error, $again) = @{ $t->answer($asked) };
        is_deeply $wrong, [], 'calls have their results';
        is_deeply $same, [ 51, 51, 51 ], 'so has each with the same id';
        like $error, qr/it dies/, 'one dies';
        like $again, qr/it dies/, 'and its id has the same exception';
        is_deeply [ $t->lines ], [ 1 .. 102 ], 'each ran once';
        $t->httpd->clean;
    }
);
done_testing;
