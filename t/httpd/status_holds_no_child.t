#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# An open status page asks every 5 s, and KeepAliveTimeout is 5 s: where a connection
# that waits for its next request has a child or a thread for itself (prefork, worker),
# it is closed after each answer of the page. event waits for it in one thread, and
# keeps it.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use IO::Select ();
use IO::Socket::INET ();
use Test::More;
use Time::HiRes ();

use SpawnTest qw(mpms);

use constant DEADLINE => 60;

for my $mpm (mpms()) {
    my $httpd = SpawnTest::Httpd->new(mpm => $mpm, handlers => 0, conf => <<'END')->start;
SpawnSubmitTimeout 30s
KeepAlive On
KeepAliveTimeout 300
<Location /spawn-status>
    SetHandler spawn-status
</Location>
END
    my $is_kept = $mpm eq 'event';
    for my $query (qw(? ?view=jobs ?format=json ?format=prometheus ?view=jobs&format=csv ?file=style.css ?job=none)) {
        my $what = "$mpm: $query";
        $is_kept ? kept($httpd, "/spawn-status$query", $what) : closed($httpd, "/spawn-status$query", $what);
    }
    kept($httpd, '/none', "$mpm: what is not the page");
    $httpd->stop;
}
done_testing;

# What comes until it matches, or until the connection is closed. Undef: neither within the deadline.
sub read_to {
    my ($socket, $end) = @_;
    my $until = Time::HiRes::time() + DEADLINE;
    my $select = IO::Select->new($socket);
    my $text = '';
    while ($select->can_read($until - Time::HiRes::time())) {
        my $n = sysread $socket, $text, 65_536, length $text;
        return $text if !$n || $end && $text =~ $end;
    }
    return;
}

sub ask {
    my ($httpd, $path) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $httpd->port, Timeout => DEADLINE) or die "connect: $@\n";
    print {$socket} "GET $path HTTP/1.1\r\nHost: localhost\r\n\r\n";
    return $socket;
}

# The connection is closed behind the answer, which says so.
sub closed {
    my ($httpd, $path, $what) = @_;
    my $text = read_to(ask($httpd, $path));
    return fail "$what: closed" if !defined $text;
    my ($headers) = split /^\r\n/m, $text;
    like $headers, qr{\AHTTP/1[.]1 \d+ .*^Connection: close\r$}msi, "$what: closed";
    return;
}

# The same connection has another answer, too. That request asks to close it.
sub kept {
    my ($httpd, $path, $what) = @_;
    my $socket = ask($httpd, $path);
    my $text = read_to($socket, qr/\r\n\r\n/) // '';
    my ($headers) = $text =~ /\A(HTTP.*?)\r\n\r\n/s or return fail "$what: an answer";
    unlike $headers, qr/^Connection: close/mi, "$what: kept";
    print {$socket} "GET /second HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    like read_to($socket), qr{^HTTP/1[.]1 404 .*^Connection: close\r$}msi, '... and serves the next request';
    return;
}
