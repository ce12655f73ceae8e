#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A caller that is no child of httpd is lent no worker, however often it calls; a child is.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use lib SpawnTest::build_dir() . '/perl';

use Apache2::Spawn ();
use SpawnTest qw(each_mpm);
use SpawnTest::Calls ();
use SpawnTest::Leases ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Leases->new(mpm => $mpm);
        my $httpd = $t->httpd;
        my $spawn = $httpd->connection;
        my $sockets = sub { my @all = glob "/proc/$$/fd/*"; return scalar grep { (readlink || '') =~ /^socket:/ } @all };
        $spawn->call('My::Count::pid', [], queue => 'rpc');
        my $before = $sockets->();
        $spawn->call('My::Count::pid', [], queue => 'rpc') for 1 .. 100;
        is $sockets->(), $before, 'it has the same sockets after 100 calls';

        my $is = SpawnTest::Calls->ask($httpd, <<'END');
my $sockets = sub { my @all = glob "/proc/$$/fd/*"; return scalar grep { (readlink || '') =~ /^socket:/ } @all };
Apache2::Spawn->spawn(['/bin/true']);
my $before = $sockets->();
my $until = time + 60;
do { Apache2::Spawn->call('My::Count::pid', [], queue => 'rpc') } while $sockets->() <= $before && time < $until;
$sockets->() - $before
END
        cmp_ok $is->{values}[0], '>', 0, 'a child of httpd has the socket to a worker after some' or diag explain $is;
        $httpd->clean;
    }
);
done_testing;
