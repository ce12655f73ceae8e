#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A process that may connect to the socket and nothing more cannot fill the
# error log: some lines a minute are about each account, and the rest is
# counted.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Socket qw(AF_UNIX SOCK_SEQPACKET pack_sockaddr_un);
use Test::More;

use SpawnTest qw(each_mpm);

my $TIMES = 300;

# Each connection is closed on us when what we sent was looked at.
sub babble {
    my ($path, $bytes) = @_;
    socket my $socket, AF_UNIX, SOCK_SEQPACKET, 0 or die "socket: $!\n";
    connect $socket, pack_sockaddr_un($path) or die "connect: $!\n";
    send $socket, $bytes, 0 or die "send: $!\n";
    while (sysread $socket, my $answer, 65536) { }
    return;
}

# As an account that the broker does not know, when we can be one, and that may
# connect: in the socket's group.
sub as_a_stranger {
    my ($gid, $code) = @_;
    defined(my $pid = fork) or die "fork: $!\n";
    if ($pid == 0) {
        if ($< == 0) {
            POSIX::setgid($gid);
            POSIX::setuid(65532);
        }
        eval { $code->(); 1 } or warn $@;
        POSIX::_exit($@ ? 1 : 0);
    }
    waitpid $pid, 0;
    return $? == 0;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm)->start;
        ok as_a_stranger($httpd->gid, sub { babble($httpd->socket, "\e]0;no message\a" . 'x' x 40) for 1 .. $TIMES }),
            "$TIMES packets of a stranger were answered by closing";
        is $httpd->run([qw(/bin/echo on)])->{stdout}, "on\n", 'others are served';
        ok $httpd->wait_for_log(qr/MS0542:.*\n/), 'it is told';
        my @lines = $httpd->error_log =~ /^.*MS0542:.*$/mg;
        cmp_ok scalar @lines, '<=', 5, 'in few lines';

        # The count of lines left out is told at the end of the minute, or of
        # the broker.
        my $uid = $< == 0 ? 65532 : $<;
        $httpd->stop;
        ok $httpd->pair_gone, 'the pair has gone';
        my ($count) = $httpd->error_log =~ /MS0375: (\d+) more lines like MS0542 .*\(uid $uid\)/;
        is defined $count && $count + @lines, $TIMES, 'none was forgotten';
    }
);
done_testing;
