#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# One job, sent again by several threads at once: each has its own answer.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Config;
use Test::More;
use Apache2::Spawn ();
use FakeBroker ();

plan skip_all => 'this perl has no threads' if !$Config{useithreads};
require threads;

my $times = 0;
my $broker = FakeBroker->start(
    forget => 1,
    submit => sub {
        my ($attr) = @_;
        return [refused => code => 4, step => 7, text => 'full'] if $times++ < 1;
        return [accepted => id => $attr->{id}, state => 1];
    },
    get => sub { my ($attr) = @_; return [job => id => $attr->{id}, state => 3, queue => 'default', pid => 99] },
);
my $spawn = $broker->connection;
eval { $spawn->spawn([ 'x', 'y' x 50_000 ]) };
my $job = $@->job;
my $id = $job->id;

# Over connections that have asked a different number of times, so that the
# numbers of their requests differ.
my @threads = map {
    my $n = $_;
    threads->create(sub {
        $job->status for 1 .. $n;
        my $wrong = '';
        for (1 .. 300) {
            eval { $job->resubmit; 1 } or $wrong ||= "$@";
        }
        return $wrong || ($job->id eq $id ? 'all' : 'another id');
    });
} 1 .. 6;
is $_->join, 'all', 'a thread has all its answers' for @threads;
done_testing;
