#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# httpd is stopped while its spawner is dead and not replaced yet: what was
# posted meanwhile is in no process but httpd's own, and is stored all the same.
# It runs after the next start, once, and nothing lives in between.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();

use constant POSTS => 20;

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, templates => '')->start;
        my $ran = $httpd->work . '/ran';

        # the second one that dies young is replaced after a pause
        my $first = $httpd->kill_pair('spawner');
        ok $httpd->new_pid('spawner', $first), 'a first spawner is replaced';
        is $httpd->run([qw(/bin/echo a)])->{stdout}, "a\n", 'which works';
        $httpd->kill_pair('spawner');
        ok $httpd->wait_for_log(qr/MS0191: [^\n]* in 1 to 12 s/), 'a second one is not replaced at once';
        # nobody replaces it now, however long this takes
        kill STOP => $httpd->pid or die "httpd: $!\n";
        ok $httpd->pair_gone, 'and the broker has ended with it';

        my $ids = SpawnTest::Calls->ask($httpd, <<'END', $ran, POSTS)->{values};
my ($ran, $posts) = @_;
return map { Apache2::Spawn->spawn([ '/bin/sh', '-c', "echo $_ >> $ran" ], reply => 'posted')->id } 1 .. $posts;
END
        is scalar @{$ids}, POSTS, 'jobs are posted';
        ok !-e $ran, 'and do not run';
        kill TERM => $httpd->pid or die "httpd: $!\n";
        kill CONT => $httpd->pid;
        $httpd->stop;
        like $httpd->error_log, qr/MS0226: /, 'the stop tells of the spawner that stores them';
        ok $httpd->pair_gone, 'which ends when it has';
        ok !-e $ran, 'they still do not run';
        unlike $httpd->error_log, qr/MS0226: .*MS0306: /s, 'its broker ended as it should';

        $httpd->start;
        is_deeply [ map { $httpd->wait($_)->{outcome} } @{$ids} ], [ ('exited') x POSTS ], 'after a start all have run';
        open my $in, '<', $ran or die "$ran: $!\n";
        chomp(my @lines = <$in>);
        is_deeply [ sort { $a <=> $b } @lines ], [ 1 .. POSTS ], 'each of them once';
        my $from = length $httpd->error_log;
        $httpd->stop;
        unlike substr($httpd->error_log, $from), qr/MS0226: /, 'a stop with a spawner starts none';
        ok $httpd->pair_gone, 'and nothing is left';
    }
);
done_testing;
