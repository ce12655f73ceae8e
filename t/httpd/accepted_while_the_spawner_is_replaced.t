#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The spawner of a running httpd is killed: it is missed within a second and
# replaced at once, and who submits meanwhile waits that long and is accepted.

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
        # of 2 s usually half is left; this one is for a machine that is busy
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, conf => "SpawnSubmitTimeout 30s\n")->start;
        my $file = $httpd->work . '/ran';
        my $gone = $httpd->kill_pair('spawner');
        # until then it might take an order, and nobody knew what became of it
        ok wait_until(sub { !alive($gone) }, 20), 'the spawner has gone';
        my $job = $httpd->spawn([ '/bin/sh', '-c', "echo ran >>$file" ], reply => 'accepted');
        is $job->{error}, undef, 'accepted' or diag explain $job;
        is $httpd->wait($job->{id})->{outcome}, 'exited', 'and has run';
        is -s $file, 4, 'once';
        isnt $httpd->spawner_pid, $gone, 'by another spawner';
        like $httpd->error_log, qr/MS0191: .*a new one is started at once/, 'which was started at once';
    }
);
done_testing;
