#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A submit that fails throws the right error; what can be sent again is sent
# again with the same id.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use Apache2::Spawn ();
use FakeBroker ();

my %times;
my $broker = FakeBroker->start(
    submit => sub {
        my ($attr) = @_;
        my $what = $attr->{argv}[0];
        my %job = (id => $attr->{id}, state => 4, queue => 'default', argv => $attr->{argv});
        return [refused => code => 4, step => 7, text => 'full'] if $what eq 'full' && !$times{$what}++;
        return if $what eq 'silent' && !$times{$what}++;
        return [refused => code => 5, step => 7, text => "queue 'x' is not there"] if $what eq 'queue';
        return [job => %job, outcome => 5, step => 36, errno => 2,
            text => 'exec: No such file or directory'] if $what eq 'missing';
        return [job => %job, outcome => 3, signal => 15, out => 'half'] if $what eq 'slow';
        return [job => %job, outcome => 1, exit_code => 3] if $what eq 'false';
        return if $what eq 'long';
        return [accepted => id => $attr->{id}, state => 1];
    },
    get => sub {
        my ($attr) = @_;
        return [job => id => $attr->{id}, state => 3, queue => 'default'];
    },
    wait => sub {
        my ($attr) = @_;
        return [refused => code => 13, step => 4, text => 'late'] if $times{wait}++ < 1;
        return [job => id => $attr->{id}, state => 4, queue => 'default', outcome => 1, exit_code => 0, out => 'x'];
    },
);
my $spawn = Apache2::Spawn->connect($broker->path);

sub failed {
    my ($code) = @_;
    my $made = eval { $code->() };
    ok !defined $made, 'throws';
    return $@;
}

my $error = failed(sub { $spawn->spawn(['full']) });
is $error->code, 'queue_full', 'full';
is $error->step, 'queue', 'step';
is $error->message, 'full', 'the broker\'s words';
my $first = $broker->next_request;
my $job = $error->job;
is $job->resubmit, $job, 'resubmit gives the job';
is_deeply $broker->next_request->{attr}, $first->{attr}, 'the same message again';

open my $handle, '<', $0 or die $!;
$error = failed(sub { $spawn->spawn(['silent', 'x'], stdin => $handle) });
close $handle or die $!;
is $error->code, 'unconfirmed', 'silence';
isnt $error->errno, undef, 'errno';
$first = $broker->next_request;
$job = $error->job;
undef $error;
$job->resubmit;
my $again = $broker->next_request;
is_deeply $again->{attr}, $first->{attr}, 'the same message again';
is $again->{fds}, 1, 'with its handle, though that is closed here';

$error = failed(sub { $spawn->spawn(['queue'], queue => 'x') });
is $error->code, 'unknown_queue', 'unknown queue';
eval { $error->job->resubmit };
is $@->code, 'invalid', 'nothing to send again';

for my $method (['run'], ['spawn', reply => 'started'], ['spawn', reply => 'finished']) {
    my ($name, @options) = @{$method};
    $error = failed(sub { $spawn->$name(['missing'], @options) });
    is $error->code, 'start_failed', "$name @options: start failed";
    is $error->step, 'exec', 'step';
    is $error->errno, 2, 'errno';
    like "$error", qr/missing could not be started: .*No such file/, 'text';
    isa_ok $error->job, 'Apache2::Spawn::Job';
}

my $res = $spawn->run(['false']);
is $res->exit_code, 3, 'an exit code is a result';
ok !$res->ok, 'not ok';
$res = $spawn->run(['slow']);
is $res->outcome, 'timed_out', 'so is a time-out';
is $res->exit_code, undef, 'without an exit code';
is $res->stdout, 'half', 'and what was written before it';
ok !$res->ok, 'not ok';

$res = $spawn->run(['long']);
is $res->stdout, 'x', 'a long one is waited for';
ok $res->ok, 'ok';


done_testing;
