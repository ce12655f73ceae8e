#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job that writes to the log as fast as it can waits in its write: others are
# served meanwhile, and none of its lines is lost.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm())->start;
my $id = $httpd->spawn(
    [ $^X, '-e', 'print STDERR "x" x 999, "\n" for 1 .. 4_000; exit 3' ], stderr => 'log', reply => 'started')->{id};
is $httpd->run([qw(/bin/echo on)])->{stdout}, "on\n", 'others are served';
is $httpd->status($id)->{state}, 'running', 'while it writes';
my $end = $httpd->wait($id);
is $end->{exit_code}, 3, 'it comes to its end';
cmp_ok $end->{elapsed}, '>', 2.5, '4 MB take some seconds';
cmp_ok $end->{elapsed}, '<', 30, 'and not much longer';
ok wait_until(sub { 4_000 == (() = $httpd->error_log =~ /\Q$id\E stderr: x{999}$/mg) }, 20), 'all of its lines are there';
done_testing;
