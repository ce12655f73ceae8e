#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The kernel kills broker, template, worker and spawner, one after the other, for want of
# memory in a cgroup: each comes back by itself and the log says how it went; jobs that
# run go on; calls that were to run in what was killed fail or run in the next one.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::MemoryGroup ();
use SpawnTest::Patience qw(patiently);
use SpawnTest::Process qw(alive);
use SpawnTest::Templates ();

my $group = SpawnTest::MemoryGroup->new or plan skip_all => SpawnTest::MemoryGroup->why_not;

my $t = SpawnTest::Templates->new(conf => "SpawnSubmitTimeout 30\n<SpawnQueue rpc>\nSpawnWorkers 1 1\n</SpawnQueue>\n")->start;
my $httpd = $t->httpd;
my $gate = SpawnTest::Gate->new($httpd, 'a');
my @running = map { $httpd->spawn($gate->job("exit $_"), reply => 'started') } 3 .. 6;
my $called = $t->at_gate($gate, 'value');
ok $t->all_at_gate($called), 'programs and a call run';
is $t->spawn->call('My::Work::echo', ['x'], queue => 'rpc'), 'x', 'a worker is there';

# The kernel does it as soon as the process needs a page.
sub killed {
    my ($pid, $name, $wake) = @_;
    my $from = length $httpd->error_log;
    my $killed = $group->kills($pid, $wake);
    ok $killed, "the kernel kills the $name for want of memory" or diag $httpd->tail;
    return $from;
}

my $echo = sub { eval { $t->spawn->call('My::Work::echo', ['x'], timeout => 20) }; return };

my ($broker, $spawner) = ($httpd->broker_pid, $httpd->spawner_pid);
my $from = killed($broker, 'broker', sub { eval { $t->spawn->spawn([ '/bin/true' ], env => { BIG => 'x' x 60_000 }) }; return });
ok $httpd->new_pid('broker', $broker), 'another broker comes';
ok $httpd->wait_for_log(qr/MS0306: the broker was killed by signal 9/, 20, $from), 'the log says so';
is scalar patiently(sub { $t->spawn->run([ '/bin/sh', '-c', 'exit 9' ])->exit_code }), 9, 'jobs run';
is $httpd->spawner_pid, $spawner, 'the spawner is the same';

my ($template) = $t->pids('app');
$from = killed($template, 'template', $echo);
ok $httpd->wait_for_log(qr/MS0602: template app \(pid $template\) has gone/, 20, $from), 'the log says so';
ok $t->new_pid('app', $template), 'another template comes';
is $t->spawn->call('My::Work::echo', ['y']), 'y', 'calls return';

my ($worker) = do { $t->has_workers('rpc', 1); $t->workers('rpc') };
$from = killed($worker, 'worker', sub { eval { $t->spawn->call('My::Work::echo', ['x'], queue => 'rpc', timeout => 20) }; return });
ok wait_until(sub { (eval { $t->spawn->call('My::Work::echo', ['z'], queue => 'rpc') } || '') eq 'z' }, 30),
    'another worker serves';

ok alive($_), 'what ran runs on' for map { $httpd->status($_->{id})->{pid} } @running;
$broker = $httpd->broker_pid;
$from = killed($spawner, 'spawner', sub { eval { $t->spawn->spawn(['/bin/true']) }; return });
ok $httpd->wait_for_log(qr/MS0191: the spawner \(pid $spawner\) ended: exit code or signal 9/, 30, $from), 'the log says so';
ok $httpd->new_pid('spawner', $spawner) && $httpd->new_pid('broker', $broker), 'another pair comes';
is scalar patiently(sub { $t->spawn->run([ '/bin/sh', '-c', 'exit 9' ])->exit_code }), 9, 'jobs run';

$gate->let(5);
for my $n (3 .. 6) {
    my $end = $httpd->wait($running[ $n - 3 ]{id});
    ok $end->{outcome} eq 'code_unknown' || $end->{exit_code} == $n, 'a job that ran all along is told to have ended, not wrongly';
}
like $called->wait(30)->outcome, qr/\A(?:exited|code_unknown)\z/, 'so is the call';
done_testing;
