#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Each of many parent templates is there: as many as may be configured, and
# "app" beside them, also after a graceful restart.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::ParentTemplate qw(httpd_with_functions connection);

my @names = map { "t$_" } 1 .. 30;
each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = httpd_with_functions(mpm => $mpm, conf => join '', map { "SpawnTemplate $_ parent\n" } @names)->start;
        my $spawn = connection($httpd);
        for my $when ('at the start', 'after a graceful restart') {
            for my $name (@names, 'app') {
                my $sum = eval { $spawn->call('My::Loaded::add', [ 2, 3 ], template => $name, timeout => 30) };
                is $sum, 5, "$name answers $when" or diag $@;
            }
            $httpd->graceful if $when eq 'at the start';
        }
    }
);
done_testing;
