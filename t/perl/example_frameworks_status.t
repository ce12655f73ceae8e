#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The examples for frameworks say "no such job" (404) of an id that no job has, and of what is no
# id; when the broker cannot be asked they do not: that error goes on, and is a 500.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../../examples/frameworks/lib";

use Test::More;

use Apache2::Spawn ();
use Example::Work ();

my $id = '01900000-0000-7000-8000-000000000000';

# An object with the methods that are called; its status is code.
{
    package Jobs;
    sub new { my ($class, $status) = @_; return bless { status => $status }, $class }
    sub job    { return $_[0] }
    sub status { return $_[0]{status}->() }
}

my $status = { state => 'done' };
is(Example::Work::status_of(Jobs->new(sub { return $status }), $id), $status, 'one that is there');
for my $code (qw(no_such_job invalid)) {
    my @got = eval { Example::Work::status_of(Jobs->new(sub { Apache2::Spawn::Error::_throw($code, 'of the test') }), $id) };
    is_deeply [ $@, @got ], [''], "$code: there is none";
}
my $none = Apache2::Spawn->connect('/no/such/socket');
is eval { Example::Work::status_of($none, 'nope'); 'none' }, 'none', 'what is no id, as it is thrown';
ok !eval { Example::Work::status_of($none, $id); 1 }, 'nobody to ask';
my $error = Apache2::Spawn::Error->caught;
is $error ? $error->code : $@, 'unreachable', '... is thrown';
for my $other ("another\n", { by => 'signal' }) {
    ok !eval { Example::Work::status_of(Jobs->new(sub { die $other }), $id); 1 }, 'what is no error of ours';
    is_deeply $@, $other, '... goes on, too';
}
done_testing;
