#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The requests of a handle on a job, and its use of the answers.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use Apache2::Spawn ();
use FakeBroker ();

my $id = '019aa6a0-0000-7000-8000-00000000abcd';
my %looks;
my $broker = FakeBroker->start(
    get => sub {
        my ($attr) = @_;
        my $n = unpack 'H*', substr $attr->{id}, -1;
        return [refused => code => 10, step => 6, text => 'no such job'] if $n eq 'ff';
        return [job => id => $attr->{id}, state => 1, queue => 'default'] if $n eq '01';
        return [job => id => $attr->{id}, state => 3, queue => 'images', pid => 4711, label => 'l',
            argv => ['/bin/sleep', '10'], context => ['uri=/a=b', 'user=u'],
            submitted_at => 1_700_000_000_250, started_at => 1_700_000_001_500];
    },
    wait => sub {
        my ($attr) = @_;
        my $n = unpack 'H*', substr $attr->{id}, -1;
        return [refused => code => 13, step => 4, text => 'late'] if $n eq '02' && $looks{$n}++ < 1;
        return [job => id => $attr->{id}, state => 3, queue => 'q'] if $n eq '03';
        return [job => id => $attr->{id}, state => 4, queue => 'q', outcome => 1, exit_code => 0, out => '',
            out_lost => ~0, cut => [5, 0, 0]] if $n eq '04';
        return [job => id => $attr->{id}, state => 4, queue => 'q', pid => 4711, outcome => 2, signal => 11,
            core => 1, elapsed => 1_500_000, out => 'some', err => '', out_lost => 7, err_lost => 0,
            rusage => [1_500_000, 250_000, 1024, 1, 2, 3, 4, 5, 6], ended_at => 1_700_000_002_000];
    },
    kill => sub {
        my ($attr) = @_;
        return [refused => code => 20, text => 'over'] if $attr->{signo} == 9;
        return [done => id => $attr->{id}];
    },
    list => sub {
        my ($attr) = @_;
        return ((map { [job => id => pack('H*', '019aa6a000007000800000000000000' . $_), state => 4, queue => 'q'] } 1 .. 3),
            [end => rows => 3]);
    },
);
my $spawn = $broker->connection;
my $job = $spawn->job($id);
isa_ok $job, 'Apache2::Spawn::Job';
is $job->id, $id, 'id';
is "$job", $id, 'as text';
ok $job, 'true';

# new_id: what job() takes, of now, another one each time, and $! is left alone
{
    local $! = 5;
    my ($before, %ids) = (int(time * 1000));
    $ids{ Apache2::Spawn->new_id } = 1 for 1 .. 100;
    is $! + 0, 5, 'new_id: errno is left alone';
    is scalar keys %ids, 100, '... another one each time';
    is scalar(grep { $spawn->job($_)->id eq $_ } keys %ids), 100, '... that job takes';
    no warnings "portable";    # 48 bits
    my @made = map { hex substr s/-//gr, 0, 12 } keys %ids;
    is scalar(grep { $_ >= $before && $_ <= (time + 1) * 1000 } @made), 100, '... of now';
}

# status
my $now = $job->status;
my $request = $broker->next_request;
is $request->{type}, 'get', 'status asks';
ok !$request->{attr}{with_output}, 'without output';
is unpack('H*', $request->{attr}{id}), '019aa6a0000070008000' . '00000000abcd', 'for this id';
isa_ok $now, 'Apache2::Spawn::Result';
is "$now", 'running', 'as text';
ok $now eq 'running', 'compares';
is $now->pid, 4711, 'pid';
is $now->queue, 'images', 'queue';
is $now->label, 'l', 'label';
is_deeply $now->argv, ['/bin/sleep', '10'], 'argv';
is_deeply $now->context, { uri => '/a=b', user => 'u' }, 'context';
is $now->submitted_at, 1_700_000_000.25, 'submitted_at';
is $now->started_at, 1_700_000_001.5, 'started_at';
for my $name (qw(ended_at outcome exit_code status signal core step errno stdout elapsed rusage)) {
    is $now->$name, undef, "no $name yet";
}
is $now->job->id, $id, 'job';
ok !$now->ok, 'not ok';
is $job->pid, 4711, 'pid of the job';
is $spawn->job('019aa6a0-0000-7000-8000-000000000001')->pid, undef, 'none yet';
$broker->next_request for 1 .. 2;

# wait
my $end = $job->wait(5);
$request = $broker->next_request;
is $request->{type}, 'wait', 'wait asks';
is $request->{attr}{with_output}, 1, 'with output';
is $request->{attr}{wait_for}, 3, 'for the end';
is $end->state, 'done', 'done';
is $end->outcome, 'signalled', 'outcome';
is $end->signal, 11, 'signal';
is $end->core, 1, 'core';
is $end->status, 11 | 128, 'status, as $? has it';
is $end->exit_code, undef, 'no exit code';
is $end->elapsed, 1.5, 'elapsed';
is $end->stdout, 'some', 'stdout';
is $end->stderr, '', 'stderr';
is $end->stdout_lost, 7, 'lost';
is_deeply $end->rusage,
    { utime => 1.5, stime => 0.25, maxrss => 1024, minflt => 1, majflt => 2, inblock => 3, oublock => 4,
      nvcsw => 5, nivcsw => 6 }, 'rusage';
ok !$end->ok, 'not ok';
my $lost = $spawn->job('019aa6a0-0000-7000-8000-000000000004')->wait(2);
is $lost->stdout_lost, -1, 'all of it, nobody knows how much';
is $lost->stdout, '', 'and nothing is there';
is $spawn->job('019aa6a0-0000-7000-8000-000000000003')->wait(0.01), undef, 'not done in time';
is $spawn->job('019aa6a0-0000-7000-8000-000000000002')->wait->outcome, 'signalled', 'without a limit it goes on';
is $spawn->job('019aa6a0-0000-7000-8000-000000000003')->wait(0), undef, 'a look';

# kill
$broker = $spawn = undef;
$broker = FakeBroker->start(
    kill => sub {
        my ($attr) = @_;
        return [refused => code => 20, text => 'over'] if $attr->{signo} == 9;
        return [refused => code => 9, step => 6, text => 'not yours'] if $attr->{signo} == 1;
        return [done => id => $attr->{id}];
    },
    list => sub {
        return ((map { [job => id => pack('H*', '019aa6a000007000800000000000000' . $_), state => 4, queue => 'q'] } 1 .. 3),
            [end => rows => 3]);
    },
    get => sub { return [refused => code => 10, step => 6, text => 'no such job'] },
);
$spawn = $broker->connection;
$job = $spawn->job($id);
for my $case ([15], [15, 'TERM'], [15, 'SIGTERM'], [2, 2], [10, 'USR1'], [34, 34]) {
    my ($number, @signal) = @{$case};
    ok $job->kill(@signal), "kill @signal";
    is $broker->next_request->{attr}{signo}, $number, 'its number';
}
ok !$job->kill('KILL'), 'a job that is over';
eval { $job->kill('HUP') };
is $@->code, 'not_permitted', 'a refusal';
is $@->job->id, $id, 'of this job';
eval { $job->status };
is $@->code, 'no_such_job', 'no such job';
$broker->next_request for 1 .. 3;

# list
my @all = $spawn->list(queue => 'q', state => 'done', rows => 10);
is_deeply [map { $_->state } @all], [('done') x 3], 'list';
$request = $broker->next_request;
is $request->{attr}{queue}, 'q', 'of a queue';
is $request->{attr}{states}, 16, 'of a state';
is $request->{attr}{rows}, 10, 'so many';
is scalar $spawn->list, 3, 'their number';

done_testing;
