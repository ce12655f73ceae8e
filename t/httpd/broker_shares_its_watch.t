#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The broker watches its directories with an inotify that the spawner keeps, since the
# kernel makes the end of a process that closes the last descriptor of one wait. The
# next broker goes on with it: it hears at once what is removed, and of files in the
# spool.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);

use constant AT_ONCE => 9;     # seconds; by itself it looks every 30 s

# The files that each inotify of this process watches.
sub watches {
    my ($pid) = @_;
    my @found;
    for my $fd (glob "/proc/$pid/fd/*") {
        next if (readlink $fd || '') ne 'anon_inode:inotify';
        (my $info = $fd) =~ s{/fd/}{/fdinfo/};
        open my $in, '<', $info or die "$info: $!\n";
        push @found, join ' ', sort map { /^inotify (wd:\S+ ino:\S+)/ ? $1 : () } <$in>;
        close $in;
    }
    return @found;
}

plan skip_all => 'the descriptors of spawner and broker are shown to root only' if $< != 0;

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm())->start;
my ($spawner, $broker) = ($httpd->spawner_pid, $httpd->broker_pid);
my @spawners = watches($spawner);
is scalar @spawners, 1, 'the spawner has one inotify';
is_deeply [ watches($broker) ], \@spawners, 'the broker has that one, and no other';
is scalar(() = $spawners[0] =~ /wd:/g), 3, 'it watches three directories';

kill KILL => $broker or die "broker: $!\n";
wait_until(sub { my $pid = $httpd->broker_pid; $pid && $pid != $broker && !$httpd->run(['/bin/true'])->{error} }, 10);
my $next = $httpd->broker_pid;
is_deeply [ watches($next) ], [ watches($spawner) ], 'so has the next broker';
is_deeply [ watches($next) ], \@spawners, 'and it watches what the first one did';

my $from = length $httpd->error_log;
my $socket = $httpd->dir . '/run/spawn/socket';
unlink $socket or die "$socket: $!\n";
ok $httpd->wait_for_log(qr/MS0640: removed while httpd runs: the socket/, AT_ONCE, $from), 'it is told at once';

done_testing;
