#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SpawnSpawner external, with the units of packaging/systemd: httpd's first connection
# starts the service; jobs run on over a restart of httpd's unit, kill -9 of httpd and of the
# spawner, a hanging spawner (the watchdog ends it), and a stop of the service; when httpd is
# stopped and nothing runs, the service ends by itself, and begins with the next httpd. A
# Perl job of a template that httpd has forked is in httpd's unit, and ends with it; a job
# that waits starts afterwards.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::ParentTemplate qw(httpd_with_functions connection job_at_gate held);
use SpawnTest::Process qw(alive);
use SpawnTest::Systemd ();

SpawnTest::Systemd->begin;

my $httpd = httpd_with_functions(mpm => one_mpm(),
    conf => "SpawnSpawner external\nSpawnSubmitTimeout 40\n<SpawnQueue one>\nSpawnMaxJobs 1\n</SpawnQueue>\n");
my $systemd = SpawnTest::Systemd->new($httpd);
my $gate = SpawnTest::Gate->new($httpd, 'a');
$systemd->spawner_units($httpd);
$systemd->httpd_unit($httpd, $systemd->own_tmp($httpd));

my $main = sub { return $systemd->show('mod_spawn.service', 'MainPID') };
my $is = sub { return $systemd->show('mod_spawn.service', 'ActiveState') };
my $up = sub {
    my ($from) = @_;
    ok $httpd->wait_for_log(qr/resuming normal operations/, 60, $from), '... httpd is up' or diag $httpd->tail;
    return;
};
# A job that waits at the gate: its id, and its process.
my $begin = sub {
    my $job = $httpd->spawn($gate->job('exit 3'), reply => 'started');
    my @pids = $systemd->job_pids($httpd);
    is scalar @pids, 1, 'a job runs' or diag explain $job, $httpd->tail;
    return ($job->{id}, $pids[0]);
};

# ---- the first start ----
is $systemd->ctl('start', 'mod_spawn.socket')->{code}, 0, 'the socket';
is $is->(), 'inactive', '... starts nothing';
is $systemd->ctl('start', 'httpd')->{code}, 0, 'httpd starts';
$up->(0);
is $is->(), 'active', '... and with it the service';
unlike $httpd->error_log, qr/MS0290/, '... nobody warns of restarts';
is $httpd->run([qw(/bin/echo yes)])->{stdout}, "yes\n", 'a job runs';
like $systemd->show('mod_spawn.service', 'StatusText'), qr/\Aserves httpd \(pid \d+\)\z/, 'the status says for whom';
$httpd->run([ '/bin/sh', '-c', 'echo here >/tmp/from-a-job' ]);
my $httpd_pid = (map { m{\A(\d+)\z} } $systemd->pids('httpd.service'))[0];
ok -e "/proc/$httpd_pid/root/tmp/from-a-job", 'httpd has the same /tmp as its jobs'
    or diag $httpd_pid, `ls -la /proc/$httpd_pid/root/tmp /proc/@{[ $systemd->spawner_pid ]}/root/tmp`;
my ($id, $pid) = $begin->();
my $group = do { open my $in, '<', "/proc/$pid/cgroup" or die "cgroup: $!\n"; local $/ = undef; <$in> };
like $group, qr{^0::.*/mod_spawn\.service$}m, 'a job is in the control group of the service';

# ---- httpd's unit is restarted ----
my ($call, $called) = held($httpd, 'at_gate', $gate, ['a'], queue => 'one');
$called = $systemd->outer('httpd.service', $called);
ok $called, "a Perl job of httpd's own template is in httpd's unit";
my $ran = $httpd->work . '/ran';
my $waits = $httpd->spawn([ '/bin/sh', '-c', "echo x >>$ran" ], queue => 'one');
my $spawner = $systemd->spawner_pid;
my $from = length $httpd->error_log;
is $systemd->ctl('restart', 'httpd')->{code}, 0, 'a restart of httpd';
$up->($from);
like substr($httpd->error_log, $from), qr/MS0173: adopted the spawner/, '... adopts the spawner';
is $systemd->spawner_pid, $spawner, '... the same one';
ok alive($pid), '... the job runs on';
ok !alive($called), "... a job of httpd's own template has ended";
# its template is killed with it, and may have no time to tell how it ended
like join(' ', map { ($_->outcome, $_->signal // ()) } $call->wait(30)), qr/\A(?:signalled 9|code_unknown)\z/, '... which is told';
is $httpd->wait($waits->{id})->{exit_code}, 0, '... and one that waited has run';
is -s $ran, 2, '... once';
is connection($httpd)->call('My::Loaded::add', [ 1, 2 ]), 3, '... and calls are served';
$gate->let;
is $httpd->wait($id)->{exit_code}, 3, '... to its end';

# ---- httpd is killed ----
($id, $pid) = $begin->();
$from = length $httpd->error_log;
$systemd->ctl(qw(kill --signal=KILL httpd));
ok wait_until(sub { $systemd->show('httpd', 'ActiveState') eq 'failed' }, 30), 'httpd is killed';
is $systemd->ctl('start', 'httpd')->{code}, 0, '... and started';
$up->($from);
ok alive($pid), '... the job runs on';
$gate->let;
is $httpd->wait($id)->{exit_code}, 3, '... to its end';

# ---- the spawner is killed, and hangs ----
for my $signal (qw(KILL STOP)) {
    ($id, $pid) = $begin->();
    $spawner = $systemd->spawner_pid;
    $from = length $httpd->error_log;
    kill $signal => $spawner or die "kill $spawner: $!\n";
    ok $httpd->wait_for_log(qr/MS0192: the new spawner/, 90, $from), "the spawner gets $signal: there is another one"
        or diag $httpd->tail;
    isnt $systemd->spawner_pid, $spawner, '... it is not the same';
    ok alive($pid), '... the job runs on';
    is $httpd->status($id)->{state}, 'running', '... and is known';
    $gate->let;
    like $httpd->wait($id)->{outcome}, qr/\A(?:exited|code_unknown)\z/, '... its end is told';
    is $httpd->run([qw(/bin/echo yes)])->{stdout}, "yes\n", '... others run';
}

# ---- the service is restarted ----
($id, $pid) = $begin->();
$from = length $httpd->error_log;
is $systemd->ctl('restart', 'mod_spawn')->{code}, 0, 'a restart of the service';
ok $httpd->wait_for_log(qr/MS0192: the new spawner/, 60, $from), '... there is another spawner' or diag $httpd->tail;
ok alive($pid), '... the job runs on';
$gate->let;
like $httpd->wait($id)->{outcome}, qr/\A(?:exited|code_unknown)\z/, '... its end is told';

# ---- the end ----
is $systemd->ctl('stop', 'httpd')->{code}, 0, 'httpd stops';
ok wait_until(sub { $is->() eq 'inactive' }, 30), '... and the service, which has nothing to do';
is $systemd->show('mod_spawn.service', 'Result'), 'success', '... in peace';
$from = length $httpd->error_log;
is $systemd->ctl('start', 'httpd')->{code}, 0, 'httpd starts again';
$up->($from);
is $httpd->run([qw(/bin/echo yes)])->{stdout}, "yes\n", '... and runs jobs';
is $systemd->ctl('stop', 'httpd')->{code}, 0, '... and stops';
ok $httpd->pair_gone, '... and all of it has gone';

# ---- both are to stop, as when the machine stops ----
$from = length $httpd->error_log;
is $systemd->ctl('start', 'httpd')->{code}, 0, 'httpd starts once more';
$up->($from);
($id, $pid) = $begin->();
is $systemd->ctl(qw(stop httpd.service mod_spawn.service))->{code}, 0, 'both units are stopped';
cmp_ok $systemd->show('mod_spawn', 'ActiveExitTimestampMonotonic'), '>=', $systemd->show('httpd', 'InactiveEnterTimestampMonotonic'),
    '... the service when httpd has ended';
ok alive($pid), '... the job runs on';

# ---- httpd is stopped after its service ----
$from = length $httpd->error_log;
is $systemd->ctl('start', 'httpd')->{code}, 0, 'httpd starts';
$up->($from);
is $httpd->status($id)->{state}, 'running', '... and knows the job';
$gate->let;
like $httpd->wait($id)->{outcome}, qr/\A(?:exited|code_unknown)\z/, '... and its end';
my ($parent) = $systemd->show('httpd', 'MainPID') =~ /([1-9][0-9]*)/;
is $systemd->run(qw(kill -STOP), $parent)->{code}, 0, 'httpd does not look whether there is a spawner';
is $systemd->ctl(qw(stop mod_spawn.service))->{code}, 0, '... the service is stopped';
my ($posted) = @{ $httpd->do('spawn_many', argv => [ '/bin/sh', '-c', 'exit 5' ], options => { reply => 'posted' }, count => 1)->{ids} || [] };
ok $posted, '... a job is posted';
is $systemd->ctl(qw(stop --no-block httpd.service))->{code}, 0, '... httpd is to stop';
is $systemd->run(qw(kill -CONT), $parent)->{code}, 0, '... and goes on';
ok $httpd->wait_for_log(qr/MS0226/, 60, $from), '... it has it stored' or diag $httpd->tail;
ok wait_until(sub { $systemd->show('httpd', 'ActiveState') eq 'inactive' }, 60), '... before it ends';
$from = length $httpd->error_log;
is $systemd->ctl('start', 'httpd')->{code}, 0, '... httpd starts';
$up->($from);
ok wait_until(sub { ($httpd->status($posted)->{state} // '') eq 'done' }, 60), '... and it has run' or diag $httpd->tail;
is $httpd->status($posted)->{exit_code}, 5, '... to its end';
is $systemd->ctl('stop', 'httpd')->{code}, 0, '... and stops';
ok $httpd->pair_gone, '... and all of it has gone';

# ---- without the socket ----
is $systemd->ctl('stop', 'mod_spawn.socket')->{code}, 0, 'the socket is taken away';
$from = length $httpd->error_log;
$systemd->ctl('start', 'httpd');
ok $httpd->wait_for_log(qr/MS0293: no external spawner can be reached/, 30, $from), '... httpd says so';
ok wait_until(sub { $systemd->show('httpd', 'ActiveState') eq 'failed' }, 30), '... and does not start';
done_testing;
