#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The parent of a pair without httpd keeps nothing of what its caller has open: a pipe comes to its
# end and a lock is free when the caller has ended. A caller without standard descriptors is served.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Fcntl qw(F_SETFD LOCK_EX LOCK_NB);
use IO::Select ();
use POSIX ();
use Test::More;

use SpawnTest ();
use SpawnTest::Alone ();

my $alone = SpawnTest::Alone->new;

# Runs spawn-standalone: its exit code.
sub start {
    my ($name, $before) = @_;
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        $before->();
        exec { $alone->program } $alone->program, '--idle=10min', '--', $alone->dir($name) or POSIX::_exit(127);
    }
    waitpid $pid, 0;
    return $? >> 8;
}

pipe my $read, my $write or die "pipe: $!\n";
open my $lock, '>', $alone->dir . '-lock' or die "lock: $!\n";
flock $lock, LOCK_EX or die "flock: $!\n";
is start('', sub { defined fcntl $_, F_SETFD, 0 or die "fcntl: $!\n" for $write, $lock }), 0, 'a pair is started by who has a pipe and a lock';
ok $alone->parent_pid, '... and is there' or diag $alone->log_text;
close $write or die "close: $!\n";
close $lock or die "close: $!\n";
ok(IO::Select->new($read)->can_read(10) && !sysread($read, my $text, 1), 'the pipe has come to its end');
open $lock, '>', $alone->dir . '-lock' or die "lock: $!\n";
ok flock($lock, LOCK_EX | LOCK_NB), 'the lock is free';

is start(2, sub { POSIX::close($_) for 0 .. 2 }), 0, 'a pair is started by who has no stdin, stdout and stderr';
my $parent = $alone->parent_pid(2);
ok $parent, '... and is there' or diag $alone->log_text(2);
is_deeply [ map { readlink "/proc/$parent/fd/$_" } 0 .. 2 ], [ '/dev/null', '/dev/null', $alone->dir(2) . '/log' ], '... with those that it has ever';
done_testing;
