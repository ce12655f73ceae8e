#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Under keep-alive and with pipelined requests each request leaves its own jobs,
# as soon as its answer is there and the connection is still open.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::AfterHttpd;

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::AfterHttpd->new(mpm => $mpm,
            conf => "KeepAlive On\nKeepAliveTimeout 60\n")->start;
        my $client = $httpd->client;
        for my $n (1 .. 5) {
            print {$client} $httpd->request_text({ jobs => [ [ $httpd->note("kept $n") ] ] });
            is $httpd->read_answer($client)->{status}, 200, "request $n of a connection";
            ok $httpd->wait_for_ran($n), 'leaves its job while the connection is open';
        }
        print {$client} join '',
            map { $httpd->request_text({ jobs => [ [ $httpd->note("pipe $_") ] ] }) } 1 .. 20;
        my @ids = map { $httpd->read_answer($client)->{data}{ids}[0] } 1 .. 20;
        ok $httpd->wait_for_ran(25), '20 pipelined requests leave theirs';
        is_deeply [ sort grep { /pipe/ } $httpd->ran ],
            [ sort map { "$ids[$_ - 1] pipe $_" } 1 .. 20 ], 'each its own, once';
        print {$client} $httpd->request_text({ jobs => [] });
        is $httpd->read_answer($client)->{status}, 200, 'the connection is still the same';
    }
);
done_testing;
