#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job for a queue that is not configured is refused at once and by name.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm is_error);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm,
            conf => "<SpawnQueue images>\nSpawnMaxJobs 2\n</SpawnQueue>\n")->start;
        my $answer = $httpd->spawn(['/bin/true'], queue => 'pictures');
        is_error($answer, 'unknown_queue', undef, undef, 'refused');
        like $answer->{error}{text}, qr/'pictures' is not configured; configured: (?:default, images|images, default)\b/,
            'with the names that there are';
        my $job = $httpd->spawn(['/bin/true'], queue => 'images', reply => 'finished');
        is $job->{error}, undef, 'a configured one takes it' or diag explain $job;
        is $httpd->status($job->{id})->{queue}, 'images', 'and is told';
    }
);
done_testing;
