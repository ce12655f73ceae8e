#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Jobs and connections go on in a forked child and in threads.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use Config;
use Apache2::Spawn ();
use FakeBroker ();

my $times = 0;
my $broker = FakeBroker->start(
    submit => sub {
        my ($attr) = @_;
        return [refused => code => 4, step => 7, text => 'full'] if $attr->{argv}[0] eq 'full' && $times++ < 1;
        return [accepted => id => $attr->{id}, state => 1];
    },
    get => sub { my ($attr) = @_; return [job => id => $attr->{id}, state => 3, queue => 'default', pid => 99] },
);
my $spawn = $broker->connection;
my $job = $spawn->spawn(['x']);
eval { $spawn->spawn(['full']) };
my $failed = $@->job;

# fork
my $pid = fork;
die "fork: $!" if !defined $pid;
if (!$pid) {
    my $ok = eval {
        $job->status eq 'running' && $spawn->spawn(['y'])->pid == 99;
    };
    require POSIX;
    POSIX::_exit($ok ? 0 : 1);
}
waitpid $pid, 0;
is $?, 0, 'in a forked child';
is $job->status, 'running', 'and in the parent as before';

# ithreads
SKIP: {
    skip 'this perl has no threads', 1 if !$Config{useithreads};
    require threads;
    my @threads = map {
        my $n = $_;
        threads->create({ context => 'list' }, sub {
            my @ids = map { $spawn->spawn([$n])->id } 1 .. 20;
            return ($job->status . '', $job->id, $failed->id, @ids);
        });
    } 1 .. 8;
    my %ids;
    for my $thread (@threads) {
        my ($state, $id, $failed_id, @ids) = $thread->join;
        is $state, 'running', 'a handle from before';
        is $id, $job->id, 'its id';
        is $failed_id, $failed->id, 'that of one to send again';
        $ids{$_}++ for @ids;
    }
    is scalar keys %ids, 160, 'each thread has submitted its jobs';
    my $again = threads->create(sub { $failed->resubmit; return 'done' })->join;
    is $again, 'done', 'one thread sends it again';
    undef $failed;
}
is $spawn->spawn(['z'])->pid, 99, 'after the threads';

done_testing;
