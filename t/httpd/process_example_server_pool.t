#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Example: a pool of server processes that all accept on one socket; when the
# process that they were forked from is let go, they stay.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use IO::Socket::INET ();

use SpawnTest ();
use SpawnTest::Processes qw(process module line at_end);

module('Some::Stuff', "package Some::Stuff; our \$loaded = \$\$; 1;\n");
module('My::Server', <<'END');
package My::Server;
use strict;
use warnings;
sub run {
    my ($slave, $listener, $id) = @_;
    close $slave;    # we do not use the socket
    while (my $socket = $listener->accept) {
        my $line = <$socket>;
        print {$socket} "$id $$ $Some::Stuff::loaded $line";
        close $socket;
        last if $line =~ /enough/;
    }
}
1;
END

my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 20) or die "listen: $!";
my $port = $listener->sockport;

my $pool = process()->require('Some::Stuff', 'My::Server')->send_fh($listener);
close $listener or die "close: $!";
my @workers;
for my $id (1 .. 10) {
    push @workers, $pool->fork->send_arg($id);
    at_end($workers[-1]->run('My::Server::run'), "worker $id has closed its socket");
}
my $loaded = $pool->pid;
my $first = $pool->job;
undef $pool;
ok $first->wait(30), 'the pool object is gone, and its process ends';

my %pid = map { $_ + 1 => $workers[$_]->pid } 0 .. 9;
my %seen;
for my $round (1 .. 10) {
    my $client = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port") or die "connect: $!";
    print {$client} "enough\n";
    my ($id, $pid, $from, $line) = split / /, line($client);
    is $pid, $pid{$id}, "round $round: answered by worker $id";
    is $from, $loaded, "round $round: whose modules are the pool's";
    ok !$seen{$id}++, "round $round: which ended afterwards";
}
for my $worker (@workers) {
    ok $worker->wait(30), 'a worker has ended';
    is $worker->exit_status, 0, 'with exit code 0';
}
ok !IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port"), 'nobody holds the listening socket any more';
done_testing;
