#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A process that is forked again and again keeps one copy ready. It is as every other copy:
# of the process as it is when it comes to the fork, with its own time-out and end; and it is
# gone, with what it has open, before the process does anything else, and with the process.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use IO::Select ();
use IO::Socket::INET ();
use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Process qw(cmdline descendants_of open_files state_of);
use SpawnTest::Processes qw(httpd process lines failure);

my $answer = 'sub answer { syswrite $_[0], join(" ", $$, $main::state, map { ref $_ ? "handle" : $_ } @_[1 .. $#_]) . "\n" }'
    . ' sub nap { syswrite $_[0], "ready\n"; select undef, undef, undef, 60 }';

# The processes of that name: copies, and what they are copies of.
sub processes {
    return grep { join(' ', cmdline($_)) =~ /\Aspawn Apache2::Spawn::Process/ } descendants_of(httpd()->pid);
}

# It has ended; its waiter may not know yet.
sub gone {
    my ($pid) = @_;
    return (state_of($pid) || 'Z') eq 'Z';
}

# The copy that a process keeps ready: it watches that one, by a pidfd.
sub kept {
    my ($pid) = @_;
    my $kept;
    wait_until(sub {
        my %files = open_files($pid);
        for my $fd (grep { $files{$_} =~ /pidfd/ } keys %files) {
            open my $in, '<', "/proc/$pid/fdinfo/$fd" or next;
            ($kept) = map {/\APid:\s*(\d+)/} <$in>;
        }
        return $kept;
    }, 60) or die "none is kept ready\n";
    return $kept;
}

# Has the process evaluate the code, and waits until it has.
pipe my $noted, my $note or die "pipe: $!\n";

sub evaluated {
    my ($process, $code) = @_;
    $process->eval("$code; syswrite \$main::note, 'x'");
    IO::Select->new($noted)->can_read(60) or die "nothing was evaluated\n";
    sysread $noted, my $byte, 1;
    return;
}

# With what these functions need; a copy is kept for so many seconds.
sub prepared {
    my ($process, $seconds) = @_;
    $process->eval('require Apache2::Spawn::Process::Fork; $Apache2::Spawn::Process::Fork::KEPT = $_[0]', $seconds);
    return $process->send_fh($note)->eval('($main::note) = Apache2::Spawn::Process::Serve::run_args()')->eval($answer);
}

for my $exec (0, 1) {
    my $what = $exec ? 'new_exec' : 'new';
    my $root = prepared(process(exec => $exec), 3600)->eval("\$main::state = 'first'");
    my $pid = $root->pid;
    my @said = map { (lines($root->fork->run('answer')))[0] } 1 .. 2;
    like $_, qr/\A\d+ first\z/, "$what: a copy" for @said;
    my $kept = kept($pid);
    ok $kept, "$what: then one is kept ready";
    is_deeply [ lines($root->fork->send_arg('x')->run('answer')) ], ["$kept first x"], "$what: it is the next copy";
    my $next = kept($pid);
    isnt $next, $kept, "$what: and another one is kept";

    # calls that change the process
    evaluated($root, '$main::state = "second"');
    ok gone($next), "$what: it is gone when the process has done something else";
    is_deeply [ (lines($root->fork->run('answer')))[0] =~ / (.*)/ ], ['second'], "$what: a copy of what has changed";
    ok $next = kept($pid), "$what: one is kept again";
    $root->send_arg('y');
    is_deeply [ (lines($root->fork->run('answer')))[0] =~ / (.*)/ ], ['second y'], "$what: a copy of what was sent an argument";
    ok $next = kept($pid), "$what: and again";
    $root->send_fh(\*STDIN);
    is_deeply [ (lines($root->fork->run('answer')))[0] =~ / (.*)/ ], ['second y handle'], "$what: a copy of what was sent a handle";

    # it keeps nothing open
    $root->eval('use IO::Socket::INET; $main::listener = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die')
        ->eval('sub port { syswrite $_[0], $main::listener->sockport . "\n" }');
    my ($port) = lines($root->fork->run('port'));
    lines($root->fork->run('port'));
    ok kept($pid), "$what: one is kept that has a listening socket";
    evaluated($root, 'close $main::listener');
    ok !IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port"), "$what: which nobody has when the process has closed it";

    # time-out and end
    lines($root->fork->run('answer')) for 1 .. 2;
    $kept = kept($pid);
    my $limited = $root->fork(timeout => 5, grace => 30);
    my $fh = $limited->run('nap');
    is $limited->pid, $kept, "$what: one with a time-out is the one that was kept";
    is_deeply [ lines($fh) ], ['ready'], "$what: it runs";
    ok $limited->wait(30), "$what: until its time is over";
    is $limited->exit_status, 15, "$what: by TERM";
    $kept = kept($pid);
    my $killed = $root->fork;
    $fh = $killed->run('nap');
    is $killed->pid, $kept, "$what: the next one";
    ok $killed->kill('KILL'), "$what: can be killed";
    ok $killed->wait(30), "$what: and ends";
    is $killed->exit_status, 9, "$what: by that";

    # somebody kills the one that is ready
    $kept = kept($pid);
    is kill(KILL => $kept), 1, "$what: one is killed while it is kept";
    ok wait_until(sub { gone($kept) }, 30), "$what: and gone";
    is_deeply [ (lines($root->fork->run('answer')))[0] =~ / (.*)/ ], ['second y handle'], "$what: a copy is made all the same";

    # it ends with the process
    $kept = kept($pid);
    undef $root;
    ok wait_until(sub { gone($kept) && gone($pid) }, 30), "$what: it ends with the process";

    $root = prepared(process(exec => $exec), 3600);
    $pid = $root->pid;
    lines($root->fork->run('answer')) for 1 .. 2;
    $kept = kept($pid);
    my $socket = $root->run('nap');
    IO::Select->new($socket)->can_read(30);
    ok gone($kept), "$what: and before the process runs its function";
    $root->kill('KILL');
    ok $root->wait(30), "$what: which is ended";

    # nobody wants it
    $root = prepared(process(exec => $exec), 10);
    $pid = $root->pid;
    lines($root->fork->run('answer')) for 1 .. 2;
    $kept = kept($pid);
    ok $kept, "$what: one is kept for a while";
    ok wait_until(sub { gone($kept) }, 60), "$what: and ends when nobody wants it";
}
ok wait_until(sub { !processes() }, 30), 'nothing is left';
done_testing;
