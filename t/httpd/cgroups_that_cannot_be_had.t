#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# httpd does not start when its configuration asks for cgroups, or for limits that need
# them, and they are not there: it says what is missing.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm);
use SpawnTest::Httpd ();

for (
    [ 'SpawnCgroup /tmp',          qr{MS0287: line \d+ of \S+httpd\.conf: SpawnCgroup: /tmp is no directory of cgroup v2} ],
    [ 'SpawnCgroup /no/such/path', qr{MS0287: line \d+ of \S+httpd\.conf: SpawnCgroup: /no/such/path is no directory of cgroup v2} ],
    [ "SpawnCgroup none\n<SpawnQueue q>\nSpawnLimit tree-cpu=50\n</SpawnQueue>", qr{MS0288: line \d+ of \S+httpd\.conf: SpawnLimit tree-cpu needs a cgroup for each job} ],
    )
{
    my ($conf, $why) = @$_;
    my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), handlers => 0, conf => "$conf\n");
    my ($code, $said) = $httpd->start_refused;
    ok $code, "no start: $conf";
    like $said, $why, '... and why';
}
my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), handlers => 0, conf => "SpawnCgroup none\nSpawnLimit tree-cpu=unlimited\n");
ok $httpd->start, 'what limits nothing needs none';
done_testing;
