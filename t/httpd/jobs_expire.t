#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job that has not started by the time that it said never does: who waits is
# told, the log has the others, also those whose time came while httpd was
# stopped.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes ();

use SpawnTest qw(each_mpm is_error wait_until);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, conf => "SpawnMaxJobs 1\n")->start;
        my $gate = SpawnTest::Gate->new($httpd, 'a');
        my $ran = $httpd->work . '/ran';
        my $touch = [ '/usr/bin/touch', $ran ];

        my $first = $httpd->spawn($gate->job('exit 3'), reply => 'started', expires => 1);
        ok $first->{pid}, 'it runs' or diag explain $first;
        my $waits = $httpd->spawn($touch, expires => 1);
        is $httpd->status($waits->{id})->{state}, 'queued', 'another waits';
        my $end = $httpd->wait($waits->{id});
        is $end->{outcome}, 'expired', 'and expires';
        like $end->{message}, qr/had not started within 1 s of its submit/, 'it says so';
        my $told = $httpd->run($touch, expires => '500ms');
        is $told->{outcome}, 'expired', 'who waits is told' or diag explain $told;
        my $spawned = $httpd->spawn($touch, expires => '500ms', reply => 'posted');
        ok $httpd->wait_for_log(qr/MS0684.*$spawned->{id} expired/), 'the log has the others';

        my $stopped = $httpd->spawn($touch, expires => 2);
        my $later = $httpd->spawn($touch, delay => 1, expires => 2);
        is $stopped->{error} || $later->{error}, undef, 'two more';
        ok $httpd->stop, 'httpd stops';
        Time::HiRes::sleep(2);
        $httpd->start;
        is $httpd->status($_->{id})->{outcome}, 'expired', 'it expired meanwhile' for $stopped, $later;
        $gate->let(1);
        is $httpd->wait($first->{id})->{exit_code}, 3, 'what had started is not touched';
        my $after = $httpd->run(['/bin/true'], expires => 60);
        is $after->{exit_code}, 0, 'and what starts in time runs' or diag explain $after;
        ok !-e $ran, 'none of them ran';

        is_error($httpd->spawn($touch, delay => 5, expires => 5), 'invalid', 'options', undef,
            'one that could never start');
        my $ctl = SpawnTest::Ctl->new($httpd);
        my $run = $ctl->run(qw(run --expires 2001-01-01T00:00:00Z /bin/true));
        is $run->{code}, 125, 'spawnctl run: its exit code';
        like $run->{err}, qr/expired/, 'and why';
        like $ctl->run(qw(ps --all))->{out}, qr/ expired /, 'spawnctl ps';
    }
);
done_testing;
