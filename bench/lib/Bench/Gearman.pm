# SPDX-License-Identifier: Apache-2.0
#
# Gearman's job server, and one worker that serves the function "echo", for as long
# as a section wants them. Runs in bench/run.

package Bench::Gearman;

use strict;
use warnings;

use IO::Socket::INET ();

use Bench::Beside qw(begin);
use SpawnTest ();
use SpawnTest::Wait qw(wait_until);

# Why it cannot be had, or nothing.
sub missing {
    my ($program) = _program();
    return 'gearmand is not installed' if !$program;
    return 'Gearman::Worker is not installed' if !eval { require Gearman::Worker; 1 };
    return;
}

sub _program { return grep { -x $_ } '/usr/sbin/gearmand', '/usr/local/sbin/gearmand' }

# HOST:PORT of a server that runs, with its worker.
sub start {
    my $port = SpawnTest::Httpd::free_port();
    my ($program) = _program();
    begin($program, '--listen=127.0.0.1', "--port=$port", '--log-file=none', $< == 0 ? '--user=nobody' : ());
    wait_until(sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) }, 10)
        or die "gearmand does not come\n";
    begin($^X, SpawnTest::root_dir() . '/bench/peers/gearman_worker.pl', "127.0.0.1:$port");
    return "127.0.0.1:$port";
}

1;
