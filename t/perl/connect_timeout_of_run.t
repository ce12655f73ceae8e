#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Over a connection that waits long for the broker, run has a broker that is stopped for
# longer than the default; but the connection's time is none that run waits for the job, and
# none in which signals have to wait.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;
use Apache2::Spawn ();
use FakeBroker ();

# A job of this name is told to be done; others run for ever.
my $broker = FakeBroker->start(
    forget => 1,
    submit => sub {
        my ($attr) = @_;
        return if $attr->{argv}[0] ne 'done';
        return [ job => id => $attr->{id}, state => 4, queue => 'default', outcome => 1, exit_code => 5 ];
    },
    get  => sub { return [ job => id => $_[0]{id}, state => 3, queue => 'default' ] },
    wait => sub { select undef, undef, undef, 0.1; return [ refused => code => 13, step => 4, text => 'late' ] },
);
my $long = Apache2::Spawn->connect($broker->path, timeout => 600);

# Longer than these would be the connection's own time; the test is ended before that.
alarm 300;
ok !eval { $long->run([ 'for ever' ], timeout => 0.1, grace => 0.1); 1 }, 'run does not wait for ever';
is ref $@ && $@->code, 'timed_out', '... but for the job' or diag $@;

{
    local $SIG{USR1} = sub { die "enough\n" };
    my $test = $$;
    my $pid = fork;
    defined $pid or die "fork: $!";
    if (!$pid) {
        POSIX::sleep(1);
        kill USR1 => $test;
        POSIX::_exit(0);
    }
    ok !eval { $long->run([ 'for ever' ], timeout => 500); 1 }, 'a signal ends run';
    is $@, "enough\n", '... by its handler';
    waitpid $pid, 0;
}

# A default run gives up while the long one waits.
kill STOP => $broker->pid;
pipe my $begun, my $begins or die "pipe: $!";
pipe my $in, my $out or die "pipe: $!";
my $pid = fork;
defined $pid or die "fork: $!";
if (!$pid) {
    syswrite $begins, 'b';
    my $end = eval { $long->run(['done'])->exit_code } || $@;
    syswrite $out, $end;
    POSIX::_exit(0);
}
close $out;
sysread $begun, my $byte, 1;
ok !eval { Apache2::Spawn->connect($broker->path)->run(['done']); 1 }, 'by default nobody answers in time';
like ref $@ && $@->code, qr/\A(?:unreachable|unconfirmed)\z/, '... and that is said' or diag $@;
kill CONT => $broker->pid;
is scalar <$in>, 5, 'the longer wait has the end';
waitpid $pid, 0;

done_testing;
