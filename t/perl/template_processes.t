#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A Perl job may start processes and threads; the C library knows who it is.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use FakeSpawner ();

plan skip_all => "no syscall numbers for this machine" if !FakeSpawner::can_run();

use Config;

my $dir = FakeSpawner::files('My.pm' => <<'END');
package My;
use strict; use warnings;
use POSIX ();
use Time::HiRes ();
sub system_call { return [system('exit 3;'), $? >> 8, system('/bin/true'), scalar `echo out`] }
sub forks  { my $pid = fork; die $! if !defined $pid; POSIX::_exit(7) if !$pid; waitpid $pid, 0; return $? >> 8 }
sub forks_and_exits { my $pid = fork; if (!$pid) { print "child\n"; exit 8 } waitpid $pid, 0; return $? >> 8 }
sub forks_and_dies  { my $pid = fork; die "in the child\n" if !$pid; waitpid $pid, 0; return $? >> 8 }
sub falls_through   { my $pid = fork; if ($pid) { waitpid $pid, 0 } return $pid ? "parent $?" : 'child' }
sub pipe_out { open my $to, '|-', 'cat' or die $!; print {$to} "through a pipe\n"; close $to or die $!; return $? }
sub pipe_in  { open my $from, '-|', 'echo in' or die $!; my @l = <$from>; close $from or die $!; return "@l" }
sub leaves   { my $pid = fork; if (!$pid) { $SIG{HUP} = 'IGNORE'; Time::HiRes::sleep(30); POSIX::_exit(0) } return $pid }
sub leaves_abort { my $pid = fork; POSIX::abort() if !$pid; waitpid $pid, 0; return $? & 127 }
sub execs    { exec 'echo', 'executed' or die $! }
sub c_library {
    require Socket;
    local $ENV{TZ} = 'Europe/Berlin'; POSIX::tzset();
    my ($error, @found) = Socket::getaddrinfo('127.0.0.1', 80, { flags => Socket::AI_NUMERICHOST() });
    return [scalar localtime(0), scalar(@found) > 0, scalar getpwuid(0)];
}
sub tid {    # the library takes that for its thread's id
    my ($prctl, $gettid) = @_;
    my $address = "\0" x 8;
    my $rv = syscall $prctl, 40, $address, 0, 0, 0;
    return 'unknown' if $rv != 0;
    my $known = unpack 'l', unpack 'P4', $address;
    return $known == syscall($gettid) && $known == $$ ? 'right' : "wrong: $known";
}
sub in_threads { require threads; return join ' ', map { $_->join } map { my $n = $_; threads->create(sub { $n * 2 }) } 1 .. 3 }
sub thread_exits { require threads; threads->create(sub { threads->exit(5) })->join; return 'there' }
sub alarm    { local $SIG{ALRM} = sub { die "alarm\n" }; Time::HiRes::alarm(0.05); 1 while 1 }
sub child_handler { my $n = 0; local $SIG{CHLD} = sub { $n++ }; my $pid = fork; POSIX::_exit(0) if !$pid;
                    waitpid($pid, 0); return $n }
1;
END
my $t = FakeSpawner->start(preload => ['My'], inc => [$dir]);
sub returns { my ($function, @args) = @_; return $t->call("My::$function", \@args)->{returned}[0] }

is_deeply returns('system_call'), [3 << 8, 3, 0, "out\n"], 'system and backticks';
is returns('forks'), 7, 'fork and waitpid';
my $job = $t->call('My::forks_and_exits');
is $job->{returned}[0], 8, 'exit in a forked child ends that child';
is $job->{said}, "child\n", 'and flushes its output once';
$job = $t->call('My::forks_and_dies');
is $job->{returned}[0], 255, 'die in a forked child is the end of that child';
is $job->{said}, "in the child\n", 'with its text';
is returns('falls_through'), 'parent 0', 'a forked child that runs into the end of the function gives no result';
$job = $t->call('My::pipe_out');
is $job->{returned}[0], 0, 'a pipe to a program';
is $job->{said}, "through a pipe\n", 'which has read all';
is returns('pipe_in'), "in\n", 'a pipe from a program';
is returns('leaves_abort'), 6, 'abort in a forked child';
$job = $t->call('My::execs');
is $job->{said}, "executed\n", 'exec';
is $job->{kind}, 0, 'has no result';
is_deeply returns('c_library'), ['Thu Jan  1 01:00:00 1970', 1, 'root'], 'time, addresses, accounts';
is returns('tid', map { FakeSpawner->syscall_number($_) } qw(prctl gettid)), 'right', 'the C library knows its thread';
is returns('alarm'), undef, 'alarm';
is $t->call('My::alarm')->{died}{text}, "alarm\n", 'comes as it should';
is returns('child_handler'), 1, 'SIGCHLD, too';
SKIP: {
    skip 'this perl has no threads', 2 if !$Config{useithreads};
    is returns('in_threads'), '2 4 6', 'threads in a job';
    is returns('thread_exits'), 'there', 'which may end by themselves';
}

$job = $t->call('My::leaves');
my $left = $job->{returned}[0];
ok kill(0, $left), 'a child that it leaves behind lives on';
is getpgrp $left, $job->{pid}, 'in its group';
kill 'KILL', $left;
waitpid $left, 0;

is $t->dismiss, 0, 'the template leaves';

done_testing;
