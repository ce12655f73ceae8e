#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Calls and results go on in a forked child and in threads, each with an encoder
# of its own.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Config;
use Sereal::Decoder ();
use Sereal::Encoder ();
use Test::More;
use Apache2::Spawn ();
use FakeBroker ();

# A function that returns its arguments.
my $broker = FakeBroker->start(
    submit => sub {
        my ($attr) = @_;
        return [job => id => $attr->{id}, state => 4, queue => 'default', function => $attr->{function},
            outcome => 1, exit_code => 0, result_kind => 1, result => $attr->{args}];
    },
);
my $spawn = $broker->connection;

sub echoes {
    my ($n) = @_;
    my @got = $spawn->call('A::b', [ $n, { deep => [$n] } ]);
    eval { $spawn->call('A::b', [ sub { 1 } ]) };
    return $got[0] == $n && $got[1]{deep}[0] == $n && ref $@ && $@->code eq 'not_sendable' ? 1 : 0;
}

is echoes(1), 1, 'a call';
is scalar(($spawn->call('A::b', [ bless [5], 'X' ], objects => 1))[0][0]), 5, 'one with objects';

my $pid = fork;
die "fork: $!" if !defined $pid;
if (!$pid) {
    my $ok = echoes(2);
    require POSIX;
    POSIX::_exit($ok ? 0 : 1);
}
waitpid $pid, 0;
is $?, 0, 'in a forked child';

SKIP: {
    skip 'this perl has no threads', 1 if !$Config{useithreads};
    require threads;
    my @threads = map {
        my $n = $_;
        threads->create(sub { my $ok = 0; $ok += echoes(100 * $n + $_) for 1 .. 20; return $ok });
    } 1 .. 6;
    is $_->join, 20, 'in a thread' for @threads;
    my $inner = threads->create(sub { return threads->create(sub { return echoes(3) })->join })->join;
    is $inner, 1, 'in a thread of a thread that had made none';
}
is echoes(4), 1, 'and here as before';

done_testing;
