#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Recurring jobs: a program and a Perl function run when they are due, and by
# hand; spawnctl lists them with next and last run, pauses and resumes them,
# over a restart; one that fails is tried again; what was missed while httpd was
# stopped is made up; one that is removed is gone at a graceful.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use DBI ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);

# An hour that has begun neither now nor in a moment.
my $hour = ((gmtime)[2] + 12) % 24;

# As if that had been ten minutes ago.
sub was_stopped_long {
    my ($httpd) = @_;
    ok $httpd->pair_gone, 'httpd is stopped';
    my $store = DBI->connect("dbi:SQLite:dbname=$httpd->{runtime}/spawn/store/jobs.db", q{}, q{}, { RaiseError => 1 });
    $store->do(q{UPDATE cron SET done = done - 600 WHERE name = 'due'});
    $store->disconnect;
    return;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm);
        my ($work, $inc) = ($httpd->work, $httpd->dir . q{/perl});
        my $conf = sub {
            my ($more) = @_;
            return <<"CONF" . ($more || q{});
SpawnTemplate app exec inc=$inc preload=Apache2::Spawn,SpawnTest::Functions
SpawnCron "* * * * *"   name=due tz=UTC catch_up=one /bin/sh -c "echo \$\$ >>$work/due"
SpawnCron "0 $hour * * *" name=nightly tz=Europe/Berlin SpawnTest::Functions::write_file $work/written "a text"
SpawnCron \@yearly      name=fails  /bin/sh -c "exit 3"
SpawnCron \@yearly      name=again  retry=1 retry_on=7 backoff=100ms priority=5 /bin/sh -c "exit 7"
CONF
        };
        $httpd->{conf} = $conf->(qq(SpawnCron \@yearly name=old /bin/true\n));
        my $minute = int(time / 60);
        $httpd->start;
        my $ctl = SpawnTest::Ctl->new($httpd);
        my $rows = sub { return map { $_->{name} => $_ } @{ ($ctl->json('cron'))[0] || [] } };

        my %is = $rows->();
        is_deeply [ sort keys %is ], [qw(again due fails nightly old)], 'all are listed' or diag explain \%is;
        is $is{nightly}{tz}, 'Europe/Berlin', 'its zone';
        is $is{fails}{last}, undef, 'no run yet';
        cmp_ok $is{due}{next_at_ms}, '<=', (time + 61) * 1000, 'when it runs next';
        is $is{due}{next_at_ms} % 60_000, 0, '... at a full minute';

        # ---- by hand ----
        my $ran = $ctl->run(qw(cron run nightly));
        is $ran->{code}, 0, 'a function is run by hand' or diag explain $ran;
        my ($id) = $ran->{out} =~ /\A([0-9a-f-]{36})\n\z/;
        is $httpd->wait($id)->{outcome}, 'exited', 'it has run' or diag explain $httpd->wait($id);
        ok -e "$work/written", '... with its arguments';
        is $httpd->status($id)->{label}, 'nightly', 'its name is the label';
        $ran = $ctl->run(qw(cron run fails));
        ($id) = $ran->{out} =~ /\A([0-9a-f-]{36})\n\z/;
        is $httpd->wait($id)->{exit_code}, 3, 'a program that fails is a failed job';
        %is = $rows->();
        is $is{fails}{last}{exit_code}, 3, '... and is listed as that';
        is $is{fails}{last}{id}, $id,      '... with its id';
        $ran = $ctl->run(qw(cron run again));
        my ($again) = $ran->{out} =~ /\A([0-9a-f-]{36})\n\z/;
        is $httpd->wait($again)->{exit_code}, 7, 'one that is tried again fails';
        is $httpd->status($again)->{attempt}, 2, '... twice';
        $ran = $ctl->run(qw(cron run nobody));
        is $ran->{code}, 125, 'one that is not there';
        like $ran->{err}, qr/no recurring job 'nobody' is configured; configured: due, nightly/, '... is refused with those that are';

        # ---- paused, over a restart ----
        is $ctl->run(qw(cron pause due))->{code}, 0, 'paused';
        $httpd->stop;
        was_stopped_long($httpd);
        unlink "$work/due";
        $httpd->start;
        %is = $rows->();
        ok $is{due}{paused_at_ms}, 'still paused after a restart';
        ok !-e "$work/due", 'and nothing is made up';
        like $httpd->error_log, qr/MS0882: recurring job due is paused since/, 'which the log says';
        my $then = int(time / 60);
        is $ctl->run(qw(cron resume due))->{code}, 0, 'resumed';
        my $made_up = -e "$work/due";
        ok !$made_up, 'and nothing is made up' if int(time / 60) == $then;    # a minute later one is due

        # ---- missed: the last minute is made up, unless it has run by itself ----
        $httpd->stop;
        was_stopped_long($httpd);
        my $now = int(time / 60);
        wait_until(sub { int(time / 60) > $now }, 90) if $now > $minute;
        unlink "$work/due";
        $httpd->start;
        ok wait_until(sub { -s "$work/due" }, 60), 'a missed run is made up';
        ok wait_until(sub { %is = $rows->(); $is{due}{last} && ($is{due}{last}{outcome} || q{}) eq 'exited' }, 60), '... and listed'
            or diag explain $is{due};

        # ---- another configuration ----
        $httpd->{conf} = $conf->();
        $httpd->graceful;
        ok wait_until(sub { %is = $rows->(); !$is{old} }, 60), 'what was removed is gone at a graceful';
        is scalar keys %is, 4, 'the others are there';
        ok $is{fails}{last}{id} eq $id, 'with what is known of them';
        ok $httpd->stop, 'httpd stops';
    }
);
done_testing;
