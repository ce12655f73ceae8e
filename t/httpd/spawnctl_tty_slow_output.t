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

# The kernel takes some 12 kB for a terminal, and a part only of what comes when that is nearly full,
# which keeps who writes the rest. When it is so depends on what came before.
subtest 'terminals that take nothing' => sub {
    my $job = <<'END';
use Fcntl ();
fcntl STDOUT, Fcntl::F_SETFL(), Fcntl::O_WRONLY() | Fcntl::O_NONBLOCK();
my ($full, $pieces) = @ARGV;
for (1 .. $pieces) { syswrite STDOUT, 'y' x 100; select undef, undef, undef, 0.01 }
vec(my $all = '', 1, 1) = 1;
while (select undef, my $can = $all, undef, 2) { syswrite STDOUT, 'y' x 65_536 }
open my $f, '>', $full or die $!;
sleep 1000;
END
    my @begun;
    for my $pieces (map { $_ * 5 } 18 .. 25) {
        my $pty = SpawnTest::Pty->new;
        my ($before, $full) = ($pty->modes, $httpd->work . "/full$pieces");
        my $pid = $pty->start({ env => { SPAWN_SOCKET => $httpd->socket } },
            $ctl->{path}, qw(run --tty --), $^X, '-e', $job, $full, $pieces);
        push @begun, [$pty, $pid, $before, $full, $pieces];
    }
    for my $one (@begun) {
        my ($pty, $pid, $before, $full, $pieces) = @{$one};
        ok wait_until(sub { -e $full }, 60), "$pieces pieces: the job cannot print more";
        kill 'TERM', $pid;
        my $ended = wait_until(sub { ended($pid) }, 20);
        is $ended && $? & 127, POSIX::SIGTERM(), '... and TERM ends spawnctl';
        kill 'KILL', $pid if !$ended;
        is $pty->modes, $before, '... whose terminal is as before';
        delete $pty->{pid} if $ended;
    }
};

done_testing;
