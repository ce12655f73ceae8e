#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# spawnctl metrics, and the status page with ?format=prometheus: a page that Prometheus
# understands, with the numbers of what was done; they go on when the broker is killed.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Prometheus qw(parse);

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), conf => <<'END')->start;
<SpawnQueue images>
    SpawnMaxJobs 1
</SpawnQueue>
<Location /spawn-status>
    SetHandler spawn-status
</Location>
END
my $ctl = SpawnTest::Ctl->new($httpd);

my $page;    # text of the last one
my $metrics = sub {
    my $ran = $ctl->run('metrics');
    is "$ran->{code}$ran->{err}", '0', 'spawnctl metrics';
    $page = $ran->{out};
    my ($samples, @wrong) = parse($page);
    is_deeply \@wrong, [], 'the format is right';
    return $samples;
};
my $run = sub {
    my (@words) = @_;
    return $ctl->run('run', '--reply', 'finished', @words)->{code};
};

is $run->('--queue', 'images', '/bin/true'), 0, 'a job';
is $run->('--queue', 'images', '--', '/bin/sh', '-c', 'exit 3'), 3, 'one that fails';
is $run->('--queue', 'no-such', '/bin/true'), 125, 'one that is refused';

my $of = 'queue="images"';
my $samples;
my $ended = "mod_spawn_jobs_total{$of,outcome=\"exited\"}";
ok wait_until(sub { index($ctl->run('metrics')->{out}, "\n$ended 2\n") >= 0 }, 60), 'both ended';
$samples = $metrics->();
is $samples->{"mod_spawn_jobs_submitted_total{$of}"}, 2, 'both were submitted';
is $samples->{"mod_spawn_jobs_failed_total{$of}"}, 1, 'one has failed';
is $samples->{"mod_spawn_jobs_total{$of,outcome=\"lost\"}"}, 0, 'none is lost';
is $samples->{"mod_spawn_jobs_submitted_total{queue=\"default\"}"}, 0, 'nothing in another queue';
is $samples->{"mod_spawn_run_seconds_count{$of}"}, 2, 'it is known how long they ran';
is $samples->{"mod_spawn_wait_seconds_count{$of}"}, 2, 'and waited';
is $samples->{'mod_spawn_refusals_total{queue="",reason="unknown_queue"}'}, 1, 'the refusal';
is $samples->{"mod_spawn_jobs_running_limit{$of}"}, 1, 'the limit';
cmp_ok $samples->{'mod_spawn_store_commit_seconds_count'}, '>', 0, 'commits';
cmp_ok $samples->{'mod_spawn_resident_memory_bytes{process="broker"}'}, '>', 100_000, 'memory of the broker';

my $scraped = $httpd->get('/spawn-status?format=prometheus');
is "$scraped->{status} $scraped->{headers}{'content-type'}", '200 text/plain; version=0.0.4; charset=utf-8', 'the status page';
my ($same, @wrong) = parse($scraped->{content});
is_deeply \@wrong, [], '... has the format';
is_deeply [ sort keys %{$same} ], [ sort keys %{$samples} ], '... and the same samples';
is $same->{$ended}, 2, '... of the same jobs';

my $restarts = $samples->{'mod_spawn_restarts_total{process="broker"}'};

SKIP: {
    my ($promtool) = grep { -x } map { "$_/promtool" } split /:/, $ENV{PATH};
    skip q{promtool (Debian's package prometheus) is not installed}, 1 if !$promtool;
    delete local @ENV{qw(LD_PRELOAD ASAN_OPTIONS UBSAN_OPTIONS)};
    my $file = $httpd->work . '/metrics';
    open my $to, '>', $file or die "$file: $!\n";
    print {$to} $page;
    close $to or die "$file: $!\n";
    my $said = `'$promtool' check metrics <'$file' 2>&1`;
    is "$?$said", '0', 'promtool has nothing to say';
}

# kill -9 of the broker
my $broker = $httpd->broker_pid;
ok kill('KILL', $broker), 'the broker is killed';
ok wait_until(sub { $ctl->run('metrics')->{code} == 0 && ($httpd->broker_pid || $broker) != $broker }, 60),
    'another one answers';
$samples = $metrics->();
is $samples->{$ended}, 2, 'the numbers are as they were';
is $samples->{'mod_spawn_restarts_total{process="broker"}'}, $restarts + 1, 'and a restart is told';
is $samples->{'mod_spawn_restarts_total{process="spawner"}'}, 0, 'of the broker alone';

is $ctl->run('metrics', 'x')->{code}, 125, 'no arguments';
is $ctl->run('--json', 'metrics')->{code}, 125, 'no JSON';
$httpd->stop;
done_testing;
