#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Thousands of requests with a SpawnCleanupHandler, several at once, on short
# and long connections: no child dies (as they did, under the threaded MPMs,
# with handlers that were pushed while a request ran), and each request has its
# handler run once. SPAWN_MANY says how many requests.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use IO::Socket::INET ();
use JSON::PP ();
use POSIX ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);

my $clients = 8;
my $each = int(($ENV{SPAWN_MANY} || 2000) / $clients);

# One answer to a GET; '' when httpd has closed the connection instead, as the
# event MPM does with those that wait when its threads are busy.
sub get {
    my ($socket, $path) = @_;
    local $SIG{PIPE} = 'IGNORE';
    print {$socket} "GET $path HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" or return '';
    my $head = '';
    while (defined(my $line = <$socket>)) {
        $head .= $line;
        last if $line eq "\r\n";
    }
    return '' if $head eq '';
    my ($length) = $head =~ m{^HTTP/1.1 200.*^Content-Length: ([0-9]+)}ms or return;
    my $body;
    read $socket, $body, $length;
    return length $body == $length ? $head : undef;
}

# In a process of its own: exits with 0 when all were answered.
sub client {
    my ($port, $n) = @_;
    my $done = 0;
    while ($done < $each) {
        my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port)
            or POSIX::_exit(1);
        while ($done < $each) {
            my $head = get($socket, "/x/$n/$done");
            POSIX::_exit(2) if !defined $head;
            last if $head eq '';
            $done++;
            last if $head =~ /^Connection: close/mi || ($n % 2 && $done % 5 == 0);
        }
    }
    POSIX::_exit(0);
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, children => 10);
        my $ran = $httpd->work . '/ran';
        $httpd->{conf} = <<"END";
KeepAlive On
MaxKeepAliveRequests 37
SpawnMaxQueued 200000
SpawnTemplate app exec preload=Apache2::Spawn::Cleanup,SpawnTest::Handled inc=$httpd->{dir}/perl
PerlModule SpawnTest::Handled
PerlSetVar Ran $ran
<Location /x>
    SetHandler modperl
    PerlResponseHandler SpawnTest::Handled::answer
    SpawnCleanupHandler SpawnTest::Handled::second
</Location>
END
        $httpd->start;
        my @pids = map {
            my $n = $_;
            my $pid = fork;
            defined $pid or die "fork: $!\n";
            client($httpd->port, $n) if !$pid;
            $pid;
        } 1 .. $clients;
        my @status = map { waitpid $_, 0; $? >> 8 } @pids;
        is_deeply \@status, [ (0) x $clients ], 'all are answered' or diag explain \@status;

        my $all = wait_until(
            sub {
                open my $in, '<', $ran or return 0;
                my @lines = <$in>;
                return @lines >= $clients * $each;
            },
            60 + $clients * $each / 100
        );
        ok $all, 'all handlers run';
        open my $in, '<', $ran or die "$ran: $!\n";
        my %times;
        $times{ JSON::PP::decode_json($_)->{uri} }++ while <$in>;
        is scalar keys %times, $clients * $each, 'for each request';
        is_deeply [ grep { $_ != 1 } values %times ], [], 'once';
        unlike $httpd->error_log, qr/exit signal|Segmentation|failed to resolve|lookup of/, 'no child died';
    }
);
done_testing;
