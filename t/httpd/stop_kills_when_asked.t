#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# With 'SpawnOnStop kill' nothing outlives httpd: running jobs get TERM,
# their grace, KILL, and the next httpd knows how they ended.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Process qw(alive);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, conf => "SpawnOnStop kill\n")->start;
        my $gate = SpawnTest::Gate->new($httpd, 'a');
        my $polite = $httpd->spawn($gate->job('exit 0'), reply => 'started');
        my $is_deaf = $httpd->work . '/deaf';
        my $deaf = $httpd->spawn([ '/bin/sh', '-c', "trap '' TERM; echo >$is_deaf; read line <'" . $gate->path . "'" ],
            reply => 'started', grace => 1);
        ok $polite->{pid} && $deaf->{pid}, 'two jobs run' or diag explain $polite, $deaf;
        ok wait_until(sub { -e $is_deaf }, 20), 'one is deaf';

        $httpd->stop;
        ok $httpd->pair_gone, 'the pair goes';
        ok !alive($polite->{pid}) && !alive($deaf->{pid}), 'and the jobs';

        $httpd->start;
        is $httpd->status($polite->{id})->{signal}, POSIX::SIGTERM(), 'one by TERM';
        is $httpd->status($deaf->{id})->{signal}, POSIX::SIGKILL(), 'one by KILL';
    }
);
done_testing;
