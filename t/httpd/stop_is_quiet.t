#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# An idle pair ends with httpd at once and without a complaint: no broker is
# started again on the way out, no error is logged, nothing stays behind.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);

each_mpm(sub {
    my ($mpm) = @_;
    my $httpd = SpawnTest::Httpd->new(mpm => $mpm);
    for my $round (1 .. 3) {
        $httpd->start;
        is $httpd->run(['/bin/true'])->{exit_code}, 0, "round $round: a job";
        $httpd->stop;
        ok $httpd->pair_gone(20), "round $round: the pair goes";
    }
    unlike $httpd->error_log, qr/MS0306/, 'no broker was missed';
    unlike $httpd->error_log, qr/\[spawn:(?:error|crit)\]/, 'no error';
});
done_testing;
