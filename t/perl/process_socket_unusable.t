#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# An Apache2::Spawn::Process whose socket was closed behind its back, by its number or as
# a handle: the next call says so at once, with the system's error, instead of trying for
# ever, and touches no other descriptor.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Errno ();
use POSIX ();
use Socket ();
use Test::More;
use Apache2::Spawn ();
use Apache2::Spawn::Process ();
use Apache2::Spawn::Process::Socket ();

my %close = (
    'by its number' => sub { POSIX::close(fileno $_[0]) },
    'as a handle'   => sub { close $_[0] },
);

# Number 0 is a socket that would take a message.
socketpair my $zero, my $peer, Socket::AF_UNIX(), Socket::SOCK_STREAM(), 0 or die "socketpair: $!\n";
POSIX::dup2(fileno $zero, 0) or die "dup2: $!\n";
$peer->blocking(0);

for my $how (sort keys %close) {
    socketpair my $own, my $its, Socket::AF_UNIX(), Socket::SOCK_STREAM(), 0 or die "socketpair: $!\n";
    my $process = Apache2::Spawn::Process->new_from_fh($own, deadline => 60);
    $close{$how}->($own);
    local $SIG{ALRM} = sub { die "it did not return\n" };
    alarm 30;
    my $pid = eval { $process->eval('1')->pid };
    alarm 0;
    my $error = $@;
    ok !defined $pid, "closed $how: no answer";
    isa_ok $error, 'Apache2::Spawn::Error', "closed $how: the error" or diag $error;
    is eval { $error->code }, 'system', "closed $how: its code";
    is eval { $error->errno }, Errno::EBADF(), "closed $how: its errno";
    ok !defined sysread($peer, my $bytes, 1), "closed $how: nothing was written elsewhere";
}

# Nor does readable() wait for a closed socket alone.
socketpair my $one, my $two, Socket::AF_UNIX(), Socket::SOCK_STREAM(), 0 or die "socketpair: $!\n";
POSIX::close(fileno $one);
local $SIG{ALRM} = sub { die "it did not return\n" };
alarm 30;
ok eval { Apache2::Spawn::Process::Socket::readable($one, undef) }, 'what cannot be waited for is to be read';
alarm 0;
is $@, '', 'at once';

done_testing;
