#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Over 10,000 Perl calls, half of which die, memory and descriptors of spawner,
# broker, both kinds of templates and of the httpd child that calls stay level.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(not_sanitized one_mpm wait_until);
use SpawnTest::Calls ();
use SpawnTest::ParentTemplate qw(templates_of);
use SpawnTest::Process qw(children_of cmdline open_files rss_kb);

not_sanitized('freed memory is held back, so that none stays level');
my $httpd = SpawnTest::Calls->httpd(
    mpm => one_mpm(),
    children => 1,
    conf => <<'END')->start;
StartServers 1
SpawnMaxQueued 2000
SpawnHistory 500
SpawnSubmitTimeout 20
PerlModule SpawnTest::Functions
SpawnTemplate own parent
PerlInterpMax 1
END

# So many rounds of 250 calls: how many went as they should.
sub calls {
    my ($rounds) = @_;
    my $good = 0;
    for my $round (1 .. $rounds) {
        my $answer = SpawnTest::Calls->ask($httpd, <<'END', $round % 2 ? 'app' : 'own');
            my ($template) = @_;
            my @jobs = map {
                my $function = 'SpawnTest::Functions::' . ($_ % 2 ? 'sum' : 'dies');
                [ $_, Apache2::Spawn->spawn_call($function, [ $_, $_ ], template => $template, stderr => 'null') ]
            } 1 .. 250;
            return scalar grep {
                my ($n, $job) = @{$_};
                my $value = eval { $job->result(60) };
                $n % 2 ? $value == 2 * $n : $@ =~ /\A$n\b/
            } @jobs;
END
        $good += $answer->{values}[0] || 0;
    }
    return $good;
}

is calls(4), 1000, '1,000 calls to warm up';
my %pids = (
    spawner => $httpd->spawner_pid,
    broker  => $httpd->broker_pid,
    app     => scalar((grep { join(q{ }, cmdline($_)) =~ /\Amod_spawn template app/ } children_of($httpd->spawner_pid))[0]),
    own     => scalar((templates_of($httpd, 'own'))[0]),
    child   => scalar(SpawnTest::Calls->ask($httpd, '$$')->{values}[0]),
);
# kB more. The spawner's table is as long as most jobs at once were, with those
# that the broker has not stored yet: on a busy machine more than while warming up.
my %most = (spawner => 128, broker => 1024, app => 64, own => 64, child => 1024);
my %before = map { $_ => rss_kb($pids{$_}) } keys %pids;
my %files = map { $_ => scalar open_files($pids{$_}) } keys %pids;
is calls(40), 10_000, '10,000 calls';
my $child = SpawnTest::Calls->ask($httpd, '$$')->{values}[0];
is $child, $pids{child}, 'from the same child';
for my $process (sort keys %pids) {
    my $now = rss_kb($pids{$process});
    note "$process $before{$process} kB, then $now kB";
    cmp_ok $now, '>', 0, "$process is the same process";
    cmp_ok $now - $before{$process}, '<=', $most{$process}, '... has not grown';
    SKIP: {
        skip 'spawner and broker show their descriptors to root only', 1 if !defined $files{$process};
        ok wait_until(sub { open_files($pids{$process}) <= $files{$process} }, 30), '... and has no more descriptors'
            or diag "$files{$process}, then ", scalar open_files($pids{$process});
    }
}
done_testing;
