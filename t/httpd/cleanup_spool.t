#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job that cannot be posted (it is too big for that, or the post socket is full)
# waits as a file for the broker, and runs once: when the broker goes on, when it
# was killed, when its queue was full; a file that is there again runs no second
# time, and one that makes no sense is put aside.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use File::Copy qw(copy);

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::AfterHttpd;

my $big = 'x' x 200_000;     # more than a post takes
my $half = 'x' x 60_000;

sub files {
    my ($dir) = @_;
    opendir my $in, $dir or die "$dir: $!\n";
    my @files = sort grep { !/^\.\.?\z/ } readdir $in;
    return @files;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::AfterHttpd->new(mpm => $mpm, conf => <<'END')->start;
SpawnMaxQueued 2000
<SpawnQueue small>
    SpawnMaxJobs 1
    SpawnMaxQueued 1
</SpawnQueue>
END
        my $spool = "$httpd->{runtime}/spawn/store/spool";
        my ($mode, $uid) = (stat $spool)[2, 4];
        is sprintf('%04o', $mode & 07777), '0700', 'the spool is closed to others';
        is $uid, $httpd->uid, 'and belongs to the broker';

        my $count = 0;
        my $all = sub {
            my ($more, $name) = @_;
            $count += $more;
            ok $httpd->wait_for_ran($count, 60), $name;
            ok wait_until(sub { !files($spool) }, 30), '... and the spool is empty';
        };

        # too big
        my $broker = $httpd->broker_pid;
        kill STOP => $broker;
        my $id = $httpd->after(
            jobs => [ [ $httpd->note('big'), { stdin_data => $big } ] ])->{ids}[0];
        ok wait_until(sub { "@{[files($spool)]}" eq $id }, 30), 'a big job is a file with its id';
        is sprintf('%04o', (stat "$spool/$id")[2] & 07777), '0600', 'closed to others';
        copy("$spool/$id", $httpd->dir . '/saved') or die "copy: $!\n";
        kill CONT => $broker;
        $all->(1, 'it runs when the broker goes on');
        is $httpd->wait($id)->{context}{status}, 200, 'with its context';

        # the post socket is full
        kill STOP => $broker;
        my @ids = @{ $httpd->after(count => 600,
            jobs => [ [ $httpd->note('full'), { stdin_data => $half } ] ])->{ids} };
        ok wait_until(sub { files($spool) > 50 }, 20), 'what the socket does not take is a file';
        kill CONT => $broker;
        $all->(600, 'all run when the broker goes on');

        # the broker is killed
        kill STOP => $broker;
        $httpd->after(count => 20, jobs => [ [ $httpd->note('killed'), { stdin_data => $big } ] ]);
        wait_until(sub { files($spool) == 20 }, 20);
        $httpd->kill_pair('broker');
        $all->(20, 'the next broker takes them in');

        # the queue is full
        my $gate = SpawnTest::Gate->new($httpd, 'queue');
        my @wait = @{ $gate->job('echo $SPAWN_JOB_ID queue >>' . $httpd->work . '/ran') };
        $httpd->after(count => 5,
            jobs => [ [ \@wait, { queue => 'small', stdin_data => $big } ] ]);
        ok wait_until(sub { files($spool) == 3 }, 30), 'what its queue does not take stays';
        $gate->let(5);
        $all->(5, 'and runs when there is room');

        # known already, and nonsense
        $httpd->stop;
        $httpd->pair_gone;
        my $other = $httpd->new_id;
        copy($httpd->dir . '/saved', "$spool/$_") or die "copy: $!\n" for $id, $other;
        chown $httpd->uid, $httpd->gid, "$spool/$id", "$spool/$other";
        $httpd->start;
        ok wait_until(sub { "@{[files($spool)]}" eq "$other.bad" }, 30),
            'one is removed and one put aside';
        ok $httpd->wait_for_log(qr/MS0592: the job in the spool's file \Q$other\E is left out/),
            'the log says so';
        is scalar(my @lines = $httpd->ran), $count, 'neither has run';
        my %times;
        $times{ (split)[0] }++ for $httpd->ran;
        is_deeply [ grep { $_ != 1 } values %times ], [], 'no job ran twice';
    }
);
done_testing;
