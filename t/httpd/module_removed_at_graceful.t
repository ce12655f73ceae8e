#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# When LoadModule has gone at a graceful restart, that is a stop for the
# pair: the running job is waited for and recorded, then the pair goes; when
# the module comes back, the job's end is known. All MPMs at once, since the
# pair waits 30 s for its module to come back.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(mpms);
use SpawnTest::Process qw(alive);

my @sites;
for my $mpm (mpms()) {
    my $httpd = SpawnTest::Httpd->new(mpm => $mpm)->start;
    my $gate = SpawnTest::Gate->new($httpd, 'a');
    my $job = $httpd->spawn($gate->job('exit 11'), reply => 'started');
    ok $job->{pid}, "$mpm: a job runs" or diag explain $job;
    $httpd->{spawn} = 0;
    $httpd->graceful;
    push @sites, [ $mpm, $httpd, $gate, $job ];
}
for my $site (@sites) {
    my ($mpm, $httpd, $gate, $job) = @{$site};
    ok $httpd->do('pid')->{pid}, "$mpm: httpd serves";
    ok alive($job->{pid}), "$mpm: the job runs on";
    $gate->let(1);
}
for my $site (@sites) {
    my ($mpm, $httpd, $gate, $job) = @{$site};
    ok $httpd->pair_gone(60), "$mpm: the pair goes";
    ok !$httpd->ended, "$mpm: httpd does not";
    $httpd->{spawn} = 1;
    $httpd->graceful;
    my $end = $httpd->status($job->{id});
    is $end->{exit_code}, 11, "$mpm: the job's end is known" or diag explain $end;
    is $httpd->run([qw(/bin/echo back)])->{stdout}, "back\n", "$mpm: jobs run again";
}
done_testing;
