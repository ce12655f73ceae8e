#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# httpd's User owns the directory of the socket, and can pose as the broker to root's
# spawnctl. No control character of such a broker's texts, in any field, comes to the
# terminal. Starts no httpd.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use IO::Select ();
use IPC::Open3 qw(open3);
use POSIX ();
use Test::More;

use FakeBroker ();
use SpawnTest qw(build_dir);

my $bad = "x\e[31m\e]0;y\a\b\x7f\xc2\x9b1m\r";
my @bad = (
    id => pack('H*', '01900000000070008000' . '0123456789ab'), state => 4, outcome => 5, step => 1, errno => 2,
    queue => $bad, label => $bad, context => ["a$bad=$bad"], text => $bad
);
my @program = (job => @bad, argv => [$bad, $bad]);
my @function = (job => @bad, function => $bad, progress => [1, 2, $bad]);
my @process = (process => template => $bad, process_state => 2, text => $bad);
my $broker = FakeBroker->start(
    submit    => sub { return [@program] },
    wait      => sub { return [@function] },
    get       => sub { return [@function] },
    kill      => sub { return [refused => code => 20, text => $bad] },
    list      => sub { return ([@program], [@function], [end => rows => 2]) },
    templates => sub { return ([@process], [@process, queue => $bad], [end => rows => 2]) },
);

sub said {
    my ($by, @words) = @_;
    local $ENV{LC_ALL} = 'C.UTF-8';
    my $pid = open3(my $in, my $out, undef, build_dir() . '/spawnctl', '--socket', $by->path, @words);
    close $in;
    my $text = do { local $/ = undef; <$out> };
    waitpid $pid, 0;
    return $text;
}

use constant {
    UNLOCK => 0x40045431,    # TIOCSPTLCK
    NUMBER => 0x80045430,    # TIOCGPTN
};

sub terminal {
    open my $master, '+<', '/dev/ptmx' or return;
    ioctl $master, UNLOCK, my $off = pack 'i', 0 or return;
    ioctl $master, NUMBER, my $number = pack 'i', 0 or return;
    my $name = '/dev/pts/' . unpack 'i', $number;
    return -c $name ? ($master, $name) : ();
}

# The output at the terminal, which ends lines with CR LF itself.
sub at_terminal {
    my ($master, $name, $by, @words) = @_;
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        local $ENV{LC_ALL} = 'C.UTF-8';
        open STDOUT, '>', $name or POSIX::_exit(126);
        open STDERR, '>&', \*STDOUT or POSIX::_exit(126);
        exec build_dir() . '/spawnctl', '--socket', $by->path, @words or POSIX::_exit(127);
    }
    my $text = '';
    while (1) {
        my $ended = waitpid $pid, POSIX::WNOHANG();
        while (IO::Select->new($master)->can_read($ended ? 0 : 0.1)) {
            sysread $master, $text, 4096, length $text or last;
        }
        last if $ended;
    }
    $text =~ s/\r\n/\n/g;
    return $text;
}

my $id = '01900000-0000-7000-8000-0123456789ab';
for my $words ([qw(ps --all)], ['templates'], [ show => $id ], [ wait => $id ], [ kill => $id ], [qw(run /bin/true)]) {
    my $text = said($broker, @{$words});
    like $text, qr/x\?\[31m/, "@{$words}: shows what the broker said" or diag $text;
    unlike $text, qr/[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]/, '... with no control character';
}

# The output of a job is what it is; but at a terminal it commands nothing.
my $output = FakeBroker->start(
    get  => sub { return [job => @bad, argv => ['/bin/true'], out => "one\ttwo\n$bad\n", err => "$bad\0"] },
    wait => sub { return [job => @bad, argv => ['/bin/true'], out => "one\ttwo\n$bad\n", err => "$bad\0"] },
);
SKIP: {
    my ($terminal, $name) = terminal() or skip 'no terminal can be made here', 6;
    for my $words ([ show => -o => $id ], [ wait => -o => $id ]) {
        my $text = at_terminal($terminal, $name, $output, @{$words});
        like $text, qr/^one\ttwo\n.*x\?\[31m/ms, "@{$words} at a terminal: what the job printed" or diag $text;
        unlike $text, qr/[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]/, '... with no control character';
        like said($output, @{$words}), qr/\Q$bad\E/, '... which a pipe gets as it is';
    }
}
done_testing;
