#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Standard error of a call of a lent worker stands in the error log with the id of
# that call.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Leases ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Leases->new(mpm => $mpm);
        my $httpd = $t->httpd;
        my $asked = $t->begin(<<'CODE', $t->ran);
my ($file) = @_;
my %ids;
for my $n (1 .. 20) {
    My::Stream::calls($file, $n * 100, 20);
    my $id = sprintf '%08x-%04x-7000-8000-%012x', time / 0x1_0000 * 1000, time & 0xffff, $n;
    my $job = Apache2::Spawn->spawn_call('My::Count::warns', ["line $n"], queue => 'rpc', reply => 'finished');
    $ids{"line $n"} = $job->id;
}
return \%ids;
CODE
        my ($ids) = @{ $t->answer($asked) };
        is scalar(keys %$ids), 20, 'calls write lines';
        ok wait_until(sub { $httpd->error_log =~ /line 20$/m }, 20), 'which are in the log';
        my %found = $httpd->error_log =~ /job ([0-9a-f-]{36}) stderr: (line \d+)$/mg;
        is_deeply { reverse %found }, $ids, 'each with its id';
        $httpd->clean;
    }
);
done_testing;
