#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# httpd -X, one process for everything, runs jobs too.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, single => 1)->start;
        my $result = $httpd->run([qw(/bin/echo hello)]);
        is $result->{stdout}, "hello\n", 'run' or diag explain $result;
        my $job = $httpd->spawn([ '/bin/sh', '-c', 'exit 6' ], reply => 'started');
        ok $job->{pid}, 'spawn' or diag explain $job;
        is $httpd->wait($job->{id})->{exit_code}, 6, 'exit code';
        ok $httpd->stop, 'it stops';
        ok $httpd->pair_gone, 'and the pair with it';
    }
);
done_testing;
