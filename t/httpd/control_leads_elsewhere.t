#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A process of httpd's User can put a symbolic link in the place of `control`, or a second name of
# another socket. httpd, which is root, does not follow it to another httpd's pair that lingers: it
# would take over that one's jobs, in the account of its own User.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Fcntl qw(LOCK_EX LOCK_NB);
use Test::More;

use SpawnTest qw(each_mpm);

plan skip_all => 'only root can connect where others cannot' if $< != 0;

each_mpm(
    sub {
        my ($mpm) = @_;
        my $other = SpawnTest::Httpd->new(mpm => $mpm)->start;
        my $gate = SpawnTest::Gate->new($other, 'a');
        my $job = $other->spawn($gate->job('exit 7'), reply => 'started');
        ok $job->{pid}, 'another httpd has a job' or diag explain $job;
        my $spawner = $other->spawner_pid;
        ok $other->stop, 'and stops: its pair lingers';

        my $httpd = SpawnTest::Httpd->new(mpm => $mpm)->start;
        $httpd->stop;
        $httpd->pair_gone;
        my $store = $httpd->dir . '/run/spawn/store';
        unlink "$store/lock", "$store/control";
        open my $lock, '>', "$store/lock" or die "$store/lock: $!\n";
        chown $httpd->uid, $httpd->gid, "$store/lock" or die "chown: $!\n";
        flock $lock, LOCK_EX | LOCK_NB or die "flock: $!\n";

        my $others = $other->dir . '/run/spawn/store/control';
        for my $how ([ 'a symbolic link', sub { symlink $_[0], $_[1] } ], [ 'a second name', sub { link $_[0], $_[1] } ]) {
            my ($what, $make) = @{$how};
            unlink "$store/control";
            $make->($others, "$store/control") or die "$store/control: $!\n";
            my ($code, $said) = $httpd->start_refused;
            ok $code, "httpd does not start with a control that is $what";
            like $said, qr/MS0163: [^\n]*control/, 'and says why' or diag $said;
        }
        unlink "$store/control";
        unlike $httpd->error_log, qr/MS0173: /, 'it has adopted nothing';
        unlike $other->error_log, qr/MS0312: /, 'and nobody was adopted';

        $other->start;
        is $other->spawner_pid, $spawner, 'the other httpd has its pair again';
        $gate->let(1);
        is $other->wait($job->{id})->{exit_code}, 7, 'with its job';

        close $lock or die "lock: $!\n";
        $httpd->start;
        is $httpd->run([qw(/bin/echo a)])->{stdout}, "a\n", 'without the link httpd starts, and jobs run';
    }
);
done_testing;
