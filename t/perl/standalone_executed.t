#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A program that a user of a pair without httpd executes is a user itself, by SPAWN_STANDALONE and
# the SPAWN_SOCKET that it was given: the pair stays when all others have gone.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Fcntl qw(:flock);
use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Alone ();

my $alone = SpawnTest::Alone->new;
unshift @INC, $alone->perl;
require Apache2::Spawn;

# Does anybody hold the pair?
sub is_used {
    open my $users, '+<', $alone->dir . '/users' or die "users: $!\n";
    return !flock $users, LOCK_EX | LOCK_NB;
}

my $idle = 1;
Apache2::Spawn->standalone($alone->dir, program => $alone->program, idle => "${idle}s", timeout => 30);
my $broker = $alone->broker_pid;
ok $broker, 'a pair is there' or diag $alone->log_text;

# The executed one says that it is there, waits for a line, and uses the pair then.
my $executed = '$| = 1; print "$ENV{SPAWN_SOCKET} ", getppid, "\n"; <STDIN>; print Apache2::Spawn->run(["/bin/echo", "fine"], stdout => "capture")->stdout';
my ($first, $second) = map {
    my $what = $_;
    pipe my $its_in, my $to or die "pipe: $!\n";
    my $pid = open my $from, '-|';
    defined $pid or die "fork: $!\n";
    if (!$pid) {
        close $to;
        open STDIN, '<&', $its_in or die "stdin: $!\n";
        $ENV{SPAWN_STANDALONE} = $alone->dir . $what->{slash};
        delete $ENV{SPAWN_SOCKET};
        $ENV{PATH} = "$alone->{dir}:$ENV{PATH}";
        my @perl = ($^X, '-I' . $alone->perl, '-MApache2::Spawn', '-e');
        # the user is it itself from then on, or its parent, which ends
        exec @perl, $what->{code}, '--', @perl[ 1 .. 3 ], $executed or die "exec: $!\n";
    }
    +{ from => $from, to => $to };
} { slash => '', code => 'exec $^X, @ARGV' }, { slash => '/', code => 'exit if fork; exec $^X, @ARGV' };

for my $one ($first, $second) {
    my $line = readline $one->{from};
    like $line, qr{\A\Q@{[ $alone->dir ]}\E/socket \d+$}, 'a program that a user executes: it has the socket';
}
Apache2::Spawn::Standalone->release($alone->dir);
ok is_used(), 'it holds the pair when it alone is left';
select undef, undef, undef, 0.1 for 1 .. 30 * $idle;    # three times its idle: what is not to happen
is $alone->broker_pid, $broker, '... which stays';
for my $one ($first, $second) {
    print { $one->{to} } "go on\n" or die "go on: $!\n";
    close $one->{to} or die "go on: $!\n";
    is readline($one->{from}), "fine\n", '... and serves it';
    close $one->{from};
}
ok !is_used(), 'nobody holds it when that has ended';
ok $alone->ended, '... and it ends' or diag $alone->log_text;

# what names no pair
for my $case ([ '', '/no/such/socket' ], [ $alone->dir(2), '/no/such/socket' ], [ '', undef ]) {
    my ($dir, $socket) = @{$case};
    local $ENV{SPAWN_STANDALONE} = $dir;
    local $ENV{SPAWN_SOCKET} = $socket if defined $socket;
    open my $in, '-|', $^X, '-I' . $alone->perl, '-MApache2::Spawn', '-e', 'print $ENV{SPAWN_SOCKET} // "none"' or die "perl: $!\n";
    is join('', <$in>), $socket // 'none', "SPAWN_STANDALONE '$dir' beside SPAWN_SOCKET @{[ $socket // 'unset' ]}";
}
ok !-e $alone->dir(2), '... starts none';
done_testing;
