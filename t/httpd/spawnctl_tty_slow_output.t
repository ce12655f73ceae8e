#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# spawnctl run --tty whose output nobody takes for a while: nothing of it is lost, signals are
# taken meanwhile, and Ctrl-C ends spawnctl when its job has ended.

use strict;
use warnings;

use Fcntl ();
use FindBin ();
use lib "$FindBin::Bin/../lib";

use IO::Select ();
use POSIX ();
use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Pty ();

use constant { F_SETPIPE_SZ => 1031, PIPE => 4096 };

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm())->start;
my $ctl = SpawnTest::Ctl->new($httpd);
my $lines = 100;

# spawnctl at a terminal, its stdout a pipe that holds little: its pid, our end of it. The job
# makes the file when it has printed all.
sub begin {
    my ($pty, $name) = @_;
    my $fifo = $httpd->dir . "/$name";
    POSIX::mkfifo($fifo, 0600) or die "$fifo: $!\n";
    sysopen my $out, $fifo, Fcntl::O_RDONLY() | Fcntl::O_NONBLOCK() or die "$fifo: $!\n";
    fcntl $out, F_SETPIPE_SZ, PIPE or die "F_SETPIPE_SZ: $!\n";
    my $printed = $httpd->work . "/$name.printed";
    my $job = '$| = 1; print "y" x 98, "\n" for 1 .. ' . $lines . '; open my $f, ">", shift or die $!';
    my $pid = $pty->start({ env => { SPAWN_SOCKET => $httpd->socket } },
        '/bin/sh', '-c', "exec \"\$0\" \"\$\@\" >$fifo", $ctl->{path}, qw(run --tty --), $^X, '-e', $job, $printed);
    ok wait_until(sub { -e $printed }, 60), 'the job has printed all';
    return ($pid, $out);
}

sub ended { return waitpid($_[0], POSIX::WNOHANG()) == $_[0] }

subtest 'nothing is lost' => sub {
    my $pty = SpawnTest::Pty->new;
    my $before = $pty->modes;
    my ($pid, $out) = begin($pty, 'lost');
    ok !wait_until(sub { ended($pid) }, 3), 'spawnctl waits for who reads';
    my ($got, $select) = ('', IO::Select->new($out));
    while ($select->can_read(60)) {
        sysread $out, $got, 65_536, length $got or last;
    }
    is length $got, $lines * 100, 'every byte comes';
    is $pty->ends, 0, 'it ended well';
    is $pty->modes, $before, 'the terminal is as before';
};

subtest 'Ctrl-C when the job has ended' => sub {
    my $pty = SpawnTest::Pty->new;
    my $before = $pty->modes;
    my ($pid, $out) = begin($pty, 'keys');
    ok wait_until(sub { $pty->modes eq $before }, 30), 'the terminal is as before';
    $pty->type("\cC");
    is $pty->ends & 127, POSIX::SIGINT(), 'Ctrl-C ends spawnctl';
};

subtest 'a terminal that takes nothing' => sub {
    my $pty = SpawnTest::Pty->new;
    my $before = $pty->modes;
    my $full = $httpd->work . '/full';
    my $job = <<'END';
use Fcntl ();
fcntl STDOUT, Fcntl::F_SETFL(), Fcntl::O_WRONLY() | Fcntl::O_NONBLOCK();
vec(my $all = '', 1, 1) = 1;
while (select undef, my $can = $all, undef, 2) { syswrite STDOUT, "y" x 65_536 }
open my $f, '>', shift or die $!;
sleep 1000;
END
    my $pid = $pty->start({ env => { SPAWN_SOCKET => $httpd->socket } }, $ctl->{path}, qw(run --tty --), $^X, '-e', $job, $full);
    ok wait_until(sub { -e $full }, 60), 'the job cannot print more';
    kill 'TERM', $pid;
    is $pty->ends & 127, POSIX::SIGTERM(), 'TERM ends spawnctl';
    is $pty->modes, $before, 'the terminal is as before';
};

done_testing;
