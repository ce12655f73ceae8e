#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job for a queue that is not configured is refused at once and by name, and so is
# a list of its jobs.

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
            conf => "<SpawnQueue images>\nSpawnMaxJobs 2\n</SpawnQueue>\n<SpawnQueue audio>\n</SpawnQueue>\n")->start;
        my $answer = $httpd->spawn(['/bin/true'], queue => 'pictures');
        is_error($answer, 'unknown_queue', undef, undef, 'refused');
        like $answer->{error}{text}, qr/'pictures' is not configured; configured: default, images, audio\b(?!,)/,
            'with the names that there are, in their order';
        my $job = $httpd->spawn(['/bin/true'], queue => 'images', reply => 'finished');
        is $job->{error}, undef, 'a configured one takes it' or diag explain $job;
        is $httpd->status($job->{id})->{queue}, 'images', 'and is told';

        my $ctl = SpawnTest::Ctl->new($httpd);
        for my $all ([], ['--all']) {
            my $ran = $ctl->run('ps', '-q', 'pictures', @{$all});
            is $ran->{code}, 125, "ps -q pictures @{$all}: exit code";
            like $ran->{err}, qr/queue 'pictures' is not configured; configured: default, images, audio\b(?!,)/, 'and why';
            is $ctl->run('ps', '-q', 'audio', @{$all})->{code}, 0, 'one without jobs is no error';
        }
        like $ctl->run('ps', '-q', 'images', '--all')->{out}, qr/\bimages\b/, 'nor one with some';
    }
);
done_testing;
