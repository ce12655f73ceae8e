#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# spawnctl run --tty in the background: the terminal is the shell's, and is neither raw nor read. It
# becomes raw when the shell gives it, without a word too, and is as before while
# spawnctl is stopped.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Pty ();

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm())->start;
my $ctl = SpawnTest::Ctl->new($httpd);

# What a shell does with its jobs: "fg" gives the terminal without CONT, as bash does for one that
# runs, "cont" with it. It changes no mode of the terminal.
my $shell = <<'END';
use POSIX ();
$| = 1;
$SIG{TTOU} = 'IGNORE';
sub front { POSIX::tcsetpgrp(0, $_[0]) or die "tcsetpgrp: $!\n" }
my $pid = fork;
if (!$pid) {
    setpgrp 0, 0;
    $SIG{TTOU} = 'DEFAULT';
    exec { $ARGV[0] } @ARGV or POSIX::_exit(99);
}
setpgrp $pid, $pid;
print "begun $pid.\n";
while (my $line = <STDIN>) {
    chomp $line;
    print "shell got $line.\n";
    next if $line !~ /^(fg|cont)$/;
    front($pid);
    kill 'CONT', -$pid if $line eq 'cont';
    waitpid $pid, POSIX::WUNTRACED();
    my $status = $?;
    my $stopped = kill 0, $pid;    # $? does not tell it
    front(getpgrp);
    print $stopped ? "stopped.\n" : "ended with $status.\n";
    exit 0 if !$stopped;
}
END

# A shell that has begun spawnctl run --tty in the background: spawnctl's pid.
sub in_background {
    my ($pty, $code) = @_;
    $pty->start({ env => { SPAWN_SOCKET => $httpd->socket } }, $^X, '-e', $shell, $ctl->{path}, qw(run --tty -- /bin/sh -c), $code);
    ok $pty->reads(qr/begun \d+\./), 'begun in the background';
    my ($pid) = $pty->{matched} =~ /(\d+)/;
    return $pid;
}

subtest 'begun in the background' => sub {
    my $pty = SpawnTest::Pty->new;
    my $before = $pty->modes;
    in_background($pty, 'echo "ready."; read line; echo "got $line."; exit 4');
    ok $pty->reads(qr/ready\./), 'the job runs, and its output comes';
    is $pty->modes, $before, 'the terminal is not raw';
    $pty->type("words\r");
    ok $pty->reads(qr/shell got words\./), 'what is typed is for the shell';
    $pty->type("fg\r");
    ok wait_until(sub { $pty->is_raw }, 30), 'it is raw when the shell has given it';
    $pty->type("more\r");
    ok $pty->reads(qr/\r\ngot more\./), '... and what is typed is for the job';
    ok $pty->reads(qr/ended with @{[ 4 << 8 ]}\./), 'it has never been stopped';
    $pty->ends;
    is $pty->modes, $before, 'the terminal is as before';
};

subtest 'it ends in the background' => sub {
    my $pty = SpawnTest::Pty->new;
    my $pid = in_background($pty, 'echo "ready."; read line');
    ok $pty->reads(qr/ready\./), 'the job runs';
    # as another program has made it that is in the foreground
    my $t = POSIX::Termios->new;
    $t->getattr(fileno $pty->{its});
    $t->setlflag($t->getlflag & ~(POSIX::ECHO() | POSIX::ICANON() | POSIX::ISIG() | POSIX::IEXTEN()));
    $t->setoflag(0);
    $t->setiflag(0);
    $t->setattr(fileno $pty->{its}, POSIX::TCSANOW());
    my $raw = $pty->modes;
    kill 'TERM', $pid;
    ok wait_until(sub { !-e "/proc/$pid" || said("/proc/$pid/stat") =~ /\) Z / }, 30), 'TERM ends it';
    is $pty->modes, $raw, 'a raw terminal that is another\'s stays so';
};

for my $signal (qw(TSTP TTIN TTOU)) {
    subtest "$signal stops it" => sub {
        my $pty = SpawnTest::Pty->new;
        my $before = $pty->modes;
        my $pid = in_background($pty, 'echo "ready."; read line; echo "got $line."');
        ok $pty->reads(qr/ready\./), 'the job runs';
        $pty->type("cont\r");
        ok wait_until(sub { $pty->is_raw }, 30), 'raw in the foreground';
        kill $signal, $pid;
        ok $pty->reads(qr/stopped\./), 'stopped';
        is $pty->modes, $before, 'the terminal is as before';
        $pty->type("cont\r");
        ok wait_until(sub { $pty->is_raw }, 30), 'raw when it goes on';
        $pty->type("more\r");
        ok $pty->reads(qr/\r\ngot more\./), '... and so does the job';
        ok $pty->reads(qr/ended with 0\./), 'it ends';
        $pty->ends;
        is $pty->modes, $before, 'the terminal is as before';
    };
}

subtest 'stty tostop' => sub {
    my $pty = SpawnTest::Pty->new;
    my $t = POSIX::Termios->new;
    $t->getattr(fileno $pty->{its});
    $t->setlflag($t->getlflag | POSIX::TOSTOP());
    $t->setattr(fileno $pty->{its}, POSIX::TCSANOW());
    my $pid = in_background($pty, 'echo "ready."; read line; echo "got $line."');
    ok wait_until(sub { said("/proc/$pid/stat") =~ /\) T / }, 30), 'output in the background stops it';
    $pty->type("cont\r");
    ok $pty->reads(qr/ready\./), '... until the shell gives the terminal';
    $pty->type("more\r");
    ok $pty->reads(qr/\r\ngot more\./), 'and the job goes on';
    ok $pty->reads(qr/ended with 0\./), 'it ends';
    $pty->ends;
};

sub said {
    my ($file) = @_;
    open my $in, '<', $file or return '';
    return scalar(<$in>) // '';
}

done_testing;
