#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A module in C starts a job that waits for its time; one that has ended, or that nobody
# knows, is refused.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);
use Apache2::Spawn ();
use SpawnTest::CApi;

use constant { ACCEPTED => 1, APR_SUCCESS => 0 };

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::CApi->new(mpm => $mpm, conf => "SpawnSubmitTimeout 30s\n")->start;
        my $id = $httpd->capi('submit/' . ACCEPTED . '/0', 'delay=3600', '--', '/bin/sh', '-c', 'exit 7')->{id};
        is $httpd->connection->job($id)->status->state, 'delayed', 'it waits for its time';
        is $httpd->capi('start_now', $id)->{status}, APR_SUCCESS, 'it is started';
        is $httpd->capi_wait($id)->{exit_code}, 7, '... and ends';
        is $httpd->capi('start_now', $id)->{code}, 'not_delayed', '... and waits no more';
        is $httpd->capi('start_now', '0190a5b4-4c6e-7cde-8f01-23456789abcd')->{code}, 'no_such_job', 'one that nobody knows';
        $httpd->stop;
    }
);
done_testing;
