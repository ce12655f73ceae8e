#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A graceful restart with what a start would refuse: httpd serves on, the pair keeps the
# configuration that it has, and the log says why. httpd -t refuses what it can know.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm);
use SpawnTest::Httpd ();

my $queue = "<SpawnQueue new>\n</SpawnQueue>\n";
my $limit = "<SpawnQueue q>\nSpawnLimit tree-memory=1G\n</SpawnQueue>\n";

sub test_refuses {
    my ($httpd, $conf, $why) = @_;
    $httpd->{conf} = $conf;
    my ($code, $said) = $httpd->check_conf;
    ok $code, "httpd -t refuses: $conf";
    like $said, $why, '... and says why';
    return;
}

sub goes_on {
    my ($httpd, $conf, $why) = @_;
    my $spawner = $httpd->spawner_pid;
    my $from = length $httpd->error_log;
    $httpd->{conf} = "$conf\n$queue";
    ok $httpd->graceful, "a graceful restart goes on: $conf";
    ok !$httpd->ended, '... httpd is there' or die $httpd->tail;
    my $log = substr $httpd->error_log, $from;
    like $log, $why, '... the log says why';
    like $log, qr/MS0178: the pair \(spawner pid $spawner\) goes on/, '... and that the pair goes on';
    is $httpd->spawn(['/bin/true'], reply => 'finished')->{error}, undef, '... a job runs';
    is $httpd->spawn(['/bin/true'], queue => 'new')->{error}{code}, 'unknown_queue', '... with the old configuration';
    $httpd->{conf} = $queue;
    $httpd->graceful;
    is $httpd->spawn(['/bin/true'], queue => 'new', reply => 'finished')->{error}, undef,
        '... and the next one brings the new one';
    $httpd->{conf} = q{};
    $httpd->graceful;
    return;
}

my @cases = (
    [ "SpawnCgroup none\n$limit", qr/MS0288: line \d+ of \S+httpd\.conf: SpawnLimit tree-memory needs a cgroup/ ],
    [ 'SpawnCgroup /no/such/path', qr{MS0287: line \d+ of \S+httpd\.conf: SpawnCgroup: /no/such/path is no directory} ],
);
my $httpd = SpawnTest::Httpd->new(mpm => one_mpm())->start;
for (@cases) {
    test_refuses($httpd, @$_);
    goes_on($httpd, @$_);
}
$httpd->stop;

# An ordinary account starts this one.
my $ordinary = SpawnTest::Httpd->new(mpm => one_mpm(), as => SpawnTest::Httpd->user)->start;
goes_on($ordinary, 'SpawnBoundingSet none', qr/MS0270: .*SpawnBoundingSet needs an httpd that is started as root/);
done_testing;
