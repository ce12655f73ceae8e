#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# What a job writes to 'log' stands in the error log, each line with the
# job's id, and cannot pretend to be another line.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm)->start;
        my $job = $httpd->spawn(
            [ '/bin/sh', '-c', q{printf 'one\ntwo \033[31m\nlast'; echo wrong >&2} ],
            stdout => 'log', stderr => 'log');
        my $id = $job->{id};
        is $httpd->wait($id)->{outcome}, 'exited', 'the job ends' or diag explain $job;
        ok $httpd->wait_for_log(qr/\Q$id\E stdout: \Q$_\E/), "its line $_" for qw(one two last);
        ok $httpd->wait_for_log(qr/\Q$id\E stderr: wrong/), 'its error';
        unlike $httpd->error_log, qr/\x1b/, 'no control characters';
        is $httpd->run([qw(/bin/echo after)])->{stdout}, "after\n", 'all goes on';
    }
);
done_testing;
