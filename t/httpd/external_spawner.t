#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SpawnSpawner external: the spawner is no child of httpd's; it is started when httpd
# connects, says that it is ready and lives, is adopted by the next httpd with its jobs, is
# replaced when it is killed, refuses another httpd, ends by itself when nobody needs it, and
# when it is told to, without its jobs. t/system has the same below a real systemd.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Process qw(alive parent_of);
use SpawnTest::Supervisor ();

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm());
my $supervisor = SpawnTest::Supervisor->new($httpd);
$httpd->{conf} = "SpawnSpawner external @{[ $supervisor->path ]}\nSpawnSubmitTimeout 40\n" . SpawnTest::Httpd->rounds_are_short;
my $gate = SpawnTest::Gate->new($httpd, 'a');

# ---- a start ----
is $httpd->spawner_pid, undef, 'no spawner runs';
$httpd->start;
my $spawner = $httpd->spawner_pid;
is parent_of($spawner), $supervisor->{pid}, 'the spawner is no child of httpd';
like $supervisor->hear(qr/READY=1/, 10), qr/^STATUS=waits for httpd$/m, 'it has said that it is ready';
like $supervisor->hear(qr/serves/, 10), qr/\ASTATUS=serves httpd \(pid $httpd->{pid}\)\n\z/, '... whom it serves';
ok $supervisor->hear(qr/WATCHDOG=1/, 10), '... and that it lives';
is $httpd->run([qw(/bin/echo yes)])->{stdout}, "yes\n", 'a job runs';
$httpd->graceful;
is $httpd->run([qw(/bin/echo yes)])->{stdout}, "yes\n", '... and after a graceful restart';

# ---- what is in the store ----
my $from = length $httpd->error_log;
my $socket = $httpd->socket;
kill STOP => $httpd->pid or die "httpd: $!\n";    # which would make it anew before the broker has looked
unlink $socket or die "$socket: $!\n";
ok $httpd->wait_for_log(qr/MS0640: removed while httpd runs: the socket \Q$socket\E; no job/, 40, $from),
    'the socket is removed: that is told, and nothing else is missing' or diag $httpd->tail;
kill CONT => $httpd->pid;
ok $httpd->wait_for_log(qr/MS0641/, 40, $from), '... then all is there again' or diag $httpd->tail;
is $httpd->run([qw(/bin/echo yes)])->{stdout}, "yes\n", '... and a job runs';

# ---- another httpd ----
my $other = SpawnTest::Httpd->new(mpm => one_mpm(), conf => "SpawnSpawner external @{[ $supervisor->path ]}\n");
my ($code, $said) = $other->start_refused;
isnt $code, 0, 'another httpd cannot have it';
like $said, qr/MS0292: the external spawner at \S+ is not free: .*process id \Q$httpd->{pid}\E;/, '... and says why';

# ---- the next httpd ----
my $job = $httpd->spawn($gate->job('exit 3'), reply => 'started');
my ($pid) = $httpd->status($job->{id})->{pid};
$httpd->stop;
ok $supervisor->hear(qr/STATUS=httpd has gone; 1 jobs run/, 30), 'without httpd it says what it does';
$httpd->start;
is $httpd->spawner_pid, $spawner, 'the next httpd has the same spawner';
ok alive($pid), '... and the job';
is $httpd->status($job->{id})->{state}, 'running', '... which it knows';

# ---- it is killed ----
$from = length $httpd->error_log;
$httpd->kill_pair('spawner');
ok $httpd->wait_for_log(qr/MS0192: the new spawner/, 60, $from), 'killed: another one has come' or diag $httpd->tail;
isnt $httpd->spawner_pid, $spawner, '... it is not the same';
ok alive($pid), '... the job runs on';
is $httpd->status($job->{id})->{state}, 'running', '... and is known';
$spawner = $httpd->spawner_pid;

# ---- it is told to end ----
$from = length $httpd->error_log;
kill TERM => $spawner or die "kill $spawner: $!\n";
ok $supervisor->hear(qr/STOPPING=1/, 30), 'told to end: it says so';
ok $httpd->wait_for_log(qr/MS0192: the new spawner/, 60, $from), '... another one has come' or diag $httpd->tail;
ok alive($pid), '... the job runs on';
$gate->let;
like $httpd->wait($job->{id})->{outcome}, qr/\A(?:exited|code_unknown)\z/, '... to its end, which is told';
is_deeply [ $supervisor->ends ], [ 'signal 9', 0 ], '... and the one that was told has ended with code 0';

# ---- nobody needs it ----
$httpd->stop;
ok $httpd->pair_gone, 'httpd is stopped: it ends';
ok wait_until(sub { $supervisor->ends == 3 }, 20), '... at once';
is +($supervisor->ends)[-1], 0, '... with code 0';

# ---- nobody listens ----
$supervisor->end;
($code, $said) = $httpd->start_refused;
isnt $code, 0, 'without a supervisor httpd does not start';
like $said, qr/MS0293: no external spawner can be reached/, '... and says why';
done_testing;
