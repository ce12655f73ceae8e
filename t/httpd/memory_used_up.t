#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Broker and template get no more memory (RLIMIT_AS): the broker refuses what it cannot
# keep, a template's jobs fail alone; jobs that run go on, what was accepted runs, and with
# memory all is as before, by itself.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(not_sanitized wait_until);
use SpawnTest::Limits qw(limit no_memory);
use SpawnTest::Process qw(alive);
use SpawnTest::Templates ();

BEGIN { not_sanitized('its memory has no such limit') }

my $t = SpawnTest::Templates->new(
    conf => "SpawnMaxJobs 50\nSpawnSubmitTimeout 30\n<SpawnQueue narrow>\nSpawnMaxJobs 1\nSpawnMaxQueued 10000\n</SpawnQueue>\n",
    templates => 'SpawnTemplate app exec inc=@INC@ preload=My::Work preload=My::Eats spares=0',
    files => { 'My/Eats.pm' => "package My::Eats;\nsub eats { my \$all = 'x' x (\$_[0] << 20); return length \$all }\n1;\n" },
)->start;
my $httpd = $t->httpd;
my $gate = SpawnTest::Gate->new($httpd, 'a');
my @running = map { $httpd->spawn($gate->job("exit $_"), reply => 'started', queue => $_ ? 'default' : 'narrow') } 0 .. 3;
my $called = $t->at_gate($gate, 'value');
ok $t->all_at_gate($called), 'programs and a call run';

# ---- the broker ----

my ($broker, $from) = ($httpd->broker_pid, length $httpd->error_log);
my $had = no_memory($broker);
my (@queued, $refused);
wait_until(
    sub {
        my $job = eval { $t->spawn->spawn([ '/bin/sh', '-c', 'exit 3' ], env => { BIG => 'x' x 50_000 }, queue => 'narrow') };
        push @queued, $job if $job;
        $refused = $@ if !$job;
        return $refused;
    },
    30
);
like $refused ? $refused->code : '', qr/\A(?:system|store)\z/, 'a broker without memory refuses jobs, after ' . @queued;
limit($broker, as => $had);
my $after = wait_until(sub { eval { $t->spawn->spawn([ '/bin/sh', '-c', 'exit 3' ]) } }, 30);
ok $after, 'with memory it takes them';
push @queued, $after;
is $httpd->broker_pid, $broker, 'it is the same';

# ---- a template ----

my ($template) = $t->pids('app');
$had = no_memory($template);
my $failed = $t->spawn->spawn_call('My::Eats::eats', [100]);
$failed = $failed->wait(30);
ok $failed && $failed->outcome ne 'exited' || $failed->exit_code, 'a call of a template without memory fails: ' . $failed->outcome;
limit($template, as => $had) if alive($template);
is $t->spawn->call('My::Eats::eats', [100]), 100 << 20, 'with memory one returns';

$gate->let(5);
my @codes = map { $httpd->wait($_->{id})->{exit_code} } @running;
is "@codes", '0 1 2 3', 'the jobs that ran all along tell their codes';
is $called->result(30), 'value', 'and the call its value';
my @wrong = grep { my $end = $_->wait(30); !$end || $end->exit_code != 3 } @queued;
is scalar @wrong, 0, 'each job that was accepted has run';
done_testing;
