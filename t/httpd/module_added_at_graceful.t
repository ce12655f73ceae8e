#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# mod_spawn can be added to a running httpd by a graceful restart.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, spawn => 0)->start;
        ok !$httpd->spawner_pid, 'no pair without the module';

        $httpd->{spawn} = 1;
        $httpd->graceful;
        my $spawner = $httpd->spawner_pid;
        ok $spawner, 'the pair is there after the graceful restart';
        my $result = $httpd->run([qw(/bin/echo hello)]);
        is $result->{stdout}, "hello\n", 'jobs run' or diag explain $result;

        $httpd->graceful;
        is $httpd->spawner_pid, $spawner, 'the next graceful restart keeps it';
        is $httpd->run([qw(/bin/echo again)])->{stdout}, "again\n", 'jobs run';
    }
);
done_testing;
