#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# spawnctl run --forward-signals: a signal that the broker refuses to send takes effect on
# spawnctl, which says so; one that it has not taken is sent again. No broker but a posed one.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use FakeBroker ();
use SpawnTest qw(build_dir wait_until);
use SpawnTest::Pty ();

use constant { UNREACHABLE => 1, NOT_PERMITTED => 9, STOPPING => 14 };

# spawnctl at a terminal, whose submit is not answered.
sub begin {
    my ($pty, $broker, @options) = @_;
    my $pid = $pty->start({ env => { SPAWN_SOCKET => $broker->path } }, build_dir() . '/spawnctl', qw(run --forward-signals), @options, qw(-- /bin/true));
    is $broker->next_request->{type}, 'submit', 'it waits for its job';
    return $pid;
}

sub refusing { return FakeBroker->start(kill => sub { return [ refused => code => NOT_PERMITTED, text => 'not for you' ] }) }

# The signal that has ended it, KILL when none did in time.
sub ended_by {
    my ($pty, $pid) = @_;
    wait_until(sub { waited_for($pid) }, 30) or kill 'KILL', $pid;
    return $pty->ends & 127;
}

sub waited_for {
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/stat" or return 1;
    return scalar(<$in>) =~ /\) Z /;
}

for my $options ([], ['--tty']) {
    for my $name (qw(TERM USR1)) {
        subtest "refused: $name @{$options}" => sub {
            my $broker = refusing();
            my $pty = SpawnTest::Pty->new;
            my $before = $pty->modes;
            my $pid = begin($pty, $broker, @{$options});
            kill $name, $pid;
            ok $pty->reads(qr/$name was not forwarded\r\n.*not for you.*\r\n/), 'it says so, and not to a raw terminal';
            is ended_by($pty, $pid), $name eq 'TERM' ? POSIX::SIGTERM() : POSIX::SIGUSR1(), 'it ends by it';
            is $pty->modes, $before, 'the terminal is as before';
        };
    }
}

for my $code (UNREACHABLE, STOPPING) {
    subtest "not taken yet: $code" => sub {
        my $asked = 0;
        my $broker = FakeBroker->start(kill =>
                sub { return $asked++ == 0 ? [ refused => code => $code, text => 'not now' ] : [ done => id => $_[0]{id} ] });
        my $pty = SpawnTest::Pty->new;
        my $pid = begin($pty, $broker);
        kill 'TERM', $pid;
        for my $what ('the signal', '... again') {
            my $request = eval { $broker->next_request };
            is $request && "$request->{type} $request->{attr}{signo}", 'kill ' . POSIX::SIGTERM(), $what;
        }
        unlike $pty->rest, qr/forwarded/, 'no word about it';
    };
}

done_testing;
