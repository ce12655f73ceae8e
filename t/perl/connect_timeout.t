#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A connection waits for the broker's answer as long as it was told to: its clones in
# threads, children after a fork and copies that were stored, too. Another one to the same
# socket keeps its own time, and its own connection.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Config;
use POSIX ();
use Storable ();
use Test::More;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);
use Apache2::Spawn ();
use FakeBroker ();
use SpawnTest::Patience qw(patiently);

my $id = '019aa6a0-0000-7000-8000-00000000abcd';
my $broker = FakeBroker->start(forget => 1,
    get => sub { return [ job => id => $_[0]{id}, state => 3, queue => 'default', pid => 11 ] });
local $ENV{SPAWN_SOCKET} = $broker->path;

sub sockets { return scalar grep { (readlink $_ || '') =~ /\Asocket:/ } glob '/proc/self/fd/*' }
sub pid_by { my ($spawn) = @_; return eval { $spawn->job($id)->status->pid } || $@->code }
sub sometime { my ($spawn) = @_; return patiently(sub { $spawn->job($id)->status->pid }) }

# The default, said or not, is one connection; each other time has its own.
my $before = sockets();
my $long = Apache2::Spawn->connect($broker->path, timeout => 600);
is sometime('Apache2::Spawn'), 11, 'the class asks';
is sometime(Apache2::Spawn->connect($broker->path)), 11, 'a connection without a timeout asks';
is sometime(Apache2::Spawn->connect($broker->path, timeout => 2)), 11, 'one with 2 s asks';
is sockets() - $before, 1, 'over the same connection';
is pid_by($long), 11, 'one with another time asks';
is sockets() - $before, 2, 'over a second one';
is pid_by(Apache2::Spawn->connect($broker->path, timeout => '10min')), 11, 'one with the same time asks';
is sockets() - $before, 2, 'over that';
is pid_by(Storable::dclone([$long])->[0]), 11, 'a copy asks';
is sockets() - $before, 2, 'over that, too';
{
    delete local $ENV{SPAWN_SOCKET};
    is eval { Storable::dclone($long->job($id))->status->pid } || $@, 11,
        'with two times there is still one broker, which is asked of the copy of a job';
}

# Asks at a stopped broker, in a child or (below) in a thread. Returns a handle that can be
# read when it is about to ask, and code that waits for the pid that it was told.
sub in_a_child {
    my ($spawn) = @_;
    pipe my $begun, my $begins or die "pipe: $!";
    pipe my $in, my $out or die "pipe: $!";
    my $pid = fork;
    defined $pid or die "fork: $!";
    if (!$pid) {
        syswrite $begins, 'b';
        syswrite $out, pid_by($spawn);
        POSIX::_exit(0);
    }
    close $out;
    return ($begun, sub { my $said = <$in>; waitpid $pid, 0; return $said });
}

sub in_a_thread {
    my ($spawn) = @_;
    pipe my $begun, my $begins or die "pipe: $!";
    my $thread = threads->create(sub { syswrite $begins, 'b'; return pid_by($spawn) });
    return ($begun, sub { return $thread->join });
}

my %ways = ('a child' => \&in_a_child);
if ($Config{useithreads}) {
    require threads;
    $ways{'a thread'} = \&in_a_thread;
}

# The short ones give up while the long ones wait.
for my $way (sort keys %ways) {
    kill STOP => $broker->pid;
    my ($begun, $end) = $ways{$way}->($long);
    my ($copy_begun, $copy_end) = $ways{$way}->(Storable::dclone([$long])->[0]);
    sysread $_, my $byte, 1 for $begun, $copy_begun;
    my $began = clock_gettime(CLOCK_MONOTONIC);
    like pid_by('Apache2::Spawn'), qr/\A(?:deadline|unreachable)\z/, "$way: by default nobody answers in time";
    my $took = clock_gettime(CLOCK_MONOTONIC) - $began;
    cmp_ok $took, '>=', 1.9, 'which is 2 s';
    is pid_by(Apache2::Spawn->connect($broker->path, timeout => '50ms')), 'unreachable', 'nor in a shorter time';
    kill CONT => $broker->pid;
    is $end->(), 11, "$way that was told to wait longer has its answer";
    is $copy_end->(), 11, 'and so has one with a copy of the connection';
}

# A submit, too.
kill STOP => $broker->pid;
eval { Apache2::Spawn->connect($broker->path, timeout => 0.25)->spawn(['/bin/true']) };
kill CONT => $broker->pid;
is ref $@ && $@->code, 'unreachable', 'a submit gives up';

# A program that reckons its timeouts is told when they are too many.
my $made = 0;
$made++ while $made < 1000 && eval { Apache2::Spawn->connect($broker->path, timeout => 10 + $made / 1000); 1 };
is $made, 256 - 4, 'as many as there is room for';
is ref $@ && $@->code, 'system', 'one more is refused';
like $@->message, qr/this process has made 256, each of another socket or timeout; round/, 'with what to do';
is pid_by($long), 11, 'those that are there go on';

done_testing;
