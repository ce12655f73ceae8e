#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The spawner of a running httpd is killed: it is missed within a second and
# replaced at once, and who submits meanwhile waits that long and is accepted:
# within the default SpawnSubmitTimeout.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Process qw(alive);

each_mpm(
    sub {
        my ($mpm) = @_;
        my ($httpd, $file, $gone, $job);
        # the default, which a machine that is busy may miss: so another httpd is tried
        for (1 .. 3) {
            $httpd = SpawnTest::Httpd->new(mpm => $mpm, conf => "SpawnSubmitTimeout 2s\n")->start;
            $file = $httpd->work . '/ran';
            $gone = $httpd->kill_pair('spawner');
            # until then it might take an order, and nobody knew what became of it
            wait_until(sub { !alive($gone) }, 20) or die "the spawner stays\n";
            $job = $httpd->spawn([ '/bin/sh', '-c', "echo ran >>$file" ], reply => 'accepted');
            last if !$job->{error};
        }
        is $job->{error}, undef, 'accepted' or diag explain $job;
        is $httpd->wait($job->{id})->{outcome}, 'exited', 'and has run';
        is -s $file, 4, 'once';
        isnt $httpd->spawner_pid, $gone, 'by another spawner';
        like $httpd->error_log, qr/MS0191: .*a new one is started at once/, 'which was started at once';
    }
);
done_testing;
