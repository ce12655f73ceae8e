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

use IO::Socket::INET ();
use Test::More;

use SpawnTest qw(mpms);

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
        my $headers = ask($httpd, "/spawn-status$query");
        is $headers =~ /^Connection: close\r$/mi ? 0 : 1, $is_kept ? 1 : 0, "$mpm: $query: " . ($is_kept ? 'kept' : 'closed');
    }
    my $headers = ask($httpd, '/none');
    unlike $headers, qr/^Connection: close/mi, "$mpm: what is not the page is kept as ever";
    $httpd->stop;
}
done_testing;

# The headers of the answer to one request of a client that would go on.
sub ask {
    my ($httpd, $path) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $httpd->port, Timeout => 60) or die "connect: $@\n";
    print {$socket} "GET $path HTTP/1.1\r\nHost: localhost\r\n\r\n";
    my $headers = '';
    while (defined(my $line = <$socket>)) {
        last if $line eq "\r\n";
        $headers .= $line;
    }
    close $socket;
    return $headers;
}
