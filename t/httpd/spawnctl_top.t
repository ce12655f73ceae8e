#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# spawnctl top: one look into a pipe or with --once; at a terminal a look again and again,
# which fits 80 columns, and ends by q or SIGINT with the terminal as it was.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Fcntl qw(O_NOCTTY O_RDWR);
use POSIX ();
use Test::More;
use Time::HiRes ();

use SpawnTest qw(build_dir one_mpm wait_until);

use constant { UNLOCK => 0x40045431, NUMBER => 0x80045430, SIZE => 0x5414, DEADLINE => 40 };

my $long = 'a-queue-with-a-very-long-name';
my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), conf => <<"END")->start;
<SpawnQueue $long>
    SpawnMaxJobs 3
</SpawnQueue>
END
my $ctl = SpawnTest::Ctl->new($httpd);
is $ctl->run('run', '--reply', 'finished', '--queue', $long, '/bin/true')->{code}, 0, 'a job';

# one look
my $ran;
ok wait_until(sub { $ran = $ctl->run('top'); $ran->{out} =~ m{^a-queue-with-~ +open +0/3 +0 +- +1 +0 }m }, 60),
    'a look into a pipe: one has ended' or diag $ran->{out}, $ran->{err};
unlike $ran->{out}, qr/\033/, 'without a word for a terminal';
is $ctl->run('top', '--once')->{code}, 0, '--once';
like $ctl->run('top', '--interval', '1ms')->{err}, qr/--interval: '1ms' is not allowed/, 'a time that is too short';

# at a terminal
sub terminal {
    open my $master, '+<', '/dev/ptmx' or return;
    ioctl $master, UNLOCK, my $off = pack 'i', 0 or return;
    ioctl $master, NUMBER, my $number = pack 'i', 0 or return;
    my $name = '/dev/pts/' . unpack 'i', $number;
    ioctl $master, SIZE, my $size = pack 'S4', 24, 80, 0, 0 or return;
    return -c $name ? ($master, $name) : ();
}

# The terminal's modes, which are the same before and after.
sub modes {
    my ($name) = @_;
    sysopen my $fh, $name, O_RDWR | O_NOCTTY or die "$name: $!\n";
    my $t = POSIX::Termios->new;
    $t->getattr(fileno $fh);
    return join ' ', $t->getiflag, $t->getoflag, $t->getcflag, $t->getlflag, map { $t->getcc($_) } 0 .. 15;
}

sub begin {
    my ($name, @words) = @_;
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        sysopen my $fh, $name, O_RDWR | O_NOCTTY or POSIX::_exit(126);
        POSIX::dup2(fileno $fh, $_) for 0 .. 2;
        delete @SIG{qw(INT TERM)};
        alarm 3 * DEADLINE;
        exec build_dir() . '/spawnctl', '--socket', $httpd->socket, 'top', @words or POSIX::_exit(127);
    }
    return $pid;
}

# All that came there, until there are so many looks.
sub looks {
    my ($master, $count) = @_;
    my $text = '';
    my $until = Time::HiRes::time() + DEADLINE;
    while (Time::HiRes::time() < $until && (() = $text =~ /^QUEUE +STATE/mg) < $count) {
        vec(my $in = '', fileno $master, 1) = 1;
        next if !select $in, undef, undef, 1;
        sysread $master, $text, 65536, length $text or last;
    }
    return $text;
}

SKIP: {
    my ($master, $name) = terminal();
    skip 'there is no terminal here', 1 if !$name;
    my $keep = POSIX::open($name, O_RDWR | O_NOCTTY);    # it stays what it is
    my $before = modes($name);

    for my $end (qw(q INT TERM)) {
        my $pid = begin($name, '--interval', '100ms');
        my $text = looks($master, 3);
        cmp_ok scalar(() = $text =~ /^QUEUE +STATE/mg), '>=', 3, "$end: it looks again and again";
        isnt modes($name), $before, "$end: keys come at once";
        my @wide = grep { length > 80 } map { s/\033\[[0-9;?]*[A-Za-z]//gr } split /\r?\n/, $text;
        is_deeply \@wide, [], "$end: 80 columns";
        if ($end eq 'q') { syswrite $master, 'q' or die "terminal: $!\n" }
        else             { kill $end, $pid or die "kill: $!\n" }
        my $rest = '';
        my $gone = 0;
        my $until = Time::HiRes::time() + DEADLINE;
        while (!$gone && Time::HiRes::time() < $until) {
            vec(my $in = '', fileno $master, 1) = 1;
            sysread $master, $rest, 65536, length $rest if select $in, undef, undef, 0.1;
            $gone = waitpid($pid, POSIX::WNOHANG()) == $pid;
        }
        is "$gone $?", '1 0', "$end: it ends";
        is modes($name), $before, "$end: the terminal is as it was";
        while (1) {    # a terminal gives a part of it at a time
            vec(my $in = '', fileno $master, 1) = 1;
            last if !select($in, undef, undef, 1) || !sysread $master, $rest, 65536, length $rest;
        }
        like $rest, qr/\033\[[?]25h\033\[[?]1049l\z/, "$end: with its cursor and what it showed";
    }
    POSIX::close($keep);
}
$httpd->stop;
done_testing;
