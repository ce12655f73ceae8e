#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The handler's own things stay as they are: STDIN, STDOUT, signals, $?, $!, $@
# and the environment; no child, no descriptor is left.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use Apache2::Spawn ();
use FakeBroker ();

my $broker = FakeBroker->start(
    submit => sub {
        my ($attr) = @_;
        return [refused => code => 4, step => 7, errno => 11, text => 'full'] if $attr->{argv}[0] eq 'full';
        return [accepted => id => $attr->{id}, state => 1] if ($attr->{reply} || 1) < 2;
        return [job => id => $attr->{id}, state => 4, queue => 'default', outcome => 1, exit_code => 5,
            out => 'out', err => 'err'];
    },
    get => sub { my ($attr) = @_; return [job => id => $attr->{id}, state => 3, queue => 'default'] },
    wait => sub { my ($attr) = @_; return [job => id => $attr->{id}, state => 4, queue => 'default'] },
    kill => sub { my ($attr) = @_; return [done => id => $attr->{id}] },
    list => sub { return [end => rows => 0] },
);
my $spawn = $broker->connection;

sub descriptors { return join ' ', map { my $to = readlink "/proc/self/fd/$_"; defined $to ? "$_=$to" : () }
    sort { $a <=> $b } grep { /\A\d+\z/ } do { opendir my $dir, '/proc/self/fd' or die $!; readdir $dir } }

sub signals {
    open my $in, '<', '/proc/self/status' or die $!;
    return join '', grep { /\A(?:Sig|Shd)(?:Blk|Ign|Cgt)/ } <$in>;
}

my $job = $spawn->spawn(['x']);    # so that the connection is there
$spawn->run(['x']);                # which has one of its own
my $alarms = 0;
local $SIG{ALRM} = sub { $alarms++ };
local $SIG{CHLD} = 'IGNORE';
local $SIG{PIPE} = 'DEFAULT';
my ($stdin, $stdout) = (-t STDIN, fileno STDOUT);
my %env = %ENV;

my %before;
sub remember {
    %before = (fds => descriptors(), signals => signals(), sig => join(' ', map { "$_=" . ($SIG{$_} || '') } sort keys %SIG));
    $? = 4242;
    $@ = 'mine';
    $! = 7;
    return;
}

sub unchanged {
    my ($name, %but) = @_;
    my ($errno, $eval, $status) = ($! + 0, $@, $?);
    is $errno, 7, "$name: \$!";
    is $eval, 'mine', "$name: \$\@" if !$but{eval};
    is $status, 4242, "$name: \$?";
    is descriptors(), $before{fds}, "$name: descriptors";
    is signals(), $before{signals}, "$name: signals of the process";
    is join(' ', map { "$_=" . ($SIG{$_} || '') } sort keys %SIG), $before{sig}, "$name: %SIG";
    is waitpid(-1, 1), 0, "$name: no child but the test's own, which runs";
    return;
}

open my $file, '<', $0 or die $!;
my %calls = (
    spawn => sub { $spawn->spawn(['x'], stdin => $file, env => { A => 1 }) },
    posted => sub { $spawn->spawn(['x'], reply => 'posted') },
    run => sub { $spawn->run(['x'], stdin => \'data') },
    status => sub { $job->status },
    pid => sub { $job->pid },
    wait => sub { $job->wait(1) },
    kill => sub { $job->kill },
    list => sub { $spawn->list },
    job => sub { $spawn->job($job->id) },
    connect => sub { Apache2::Spawn->connect($broker->path) },
);
for my $name (sort keys %calls) {
    remember();
    my @made = $calls{$name}->();
    unchanged($name);
    undef @made;
}
my %failing = (
    'a bad option' => sub { $spawn->spawn(['x'], colour => 1) },
    'a refusal' => sub { $spawn->spawn(['full']) },
    'nobody there' => sub { Apache2::Spawn->connect('/nonexistent')->spawn(['x']) },
);
for my $name (sort keys %failing) {
    remember();
    { my $made = eval { $failing{$name}->() }; }
    unchanged($name, eval => 1);
    isa_ok $@, 'Apache2::Spawn::Error';
}

is -t STDIN, $stdin, 'STDIN';
is fileno STDOUT, $stdout, 'STDOUT';
is_deeply \%ENV, \%env, '%ENV';
is $alarms, 0, 'no alarm';

# 200 submits with handles leave no descriptor
remember();
$spawn->spawn(['x'], stdin => $file, fds => { 9 => $file }) for 1 .. 200;
is descriptors(), $before{fds}, 'no descriptor of 200 submits is left';

# signal handlers run during a wait
$broker = FakeBroker->start(
    wait => sub { my ($attr) = @_; select undef, undef, undef, $attr->{wait_ms} / 1000;
        return [refused => code => 13, step => 4, text => 'late'] },
);
$job = $broker->connection->job($job->id);
local $SIG{ALRM} = sub { die "alarm\n" };
alarm 1;
eval { $job->wait(30) };
is $@, "alarm\n", 'an alarm ends a wait';

done_testing;
