#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job that spawnctl has let go: its id serves ps, show, wait and kill, and a
# Ctrl-C at spawnctl is not one at the job.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Process qw(alive parent_of);

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), conf => <<'END')->start;
<SpawnQueue narrow>
    SpawnMaxJobs 1
</SpawnQueue>
END
my $ctl = SpawnTest::Ctl->new($httpd);
my $gate = SpawnTest::Gate->new($httpd, 'a');
my $uuid = qr/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/;

subtest 'to its end' => sub {
    my $ran = $ctl->run(qw(run --detach --label nightly --stdout capture), '--',
        @{ $gate->job('echo done; exit 3') });
    is $ran->{code}, 0, '--detach: exit code';
    like $ran->{out}, qr/\A$uuid\n\z/, '--detach: prints the id';
    is $ran->{err}, '', '--detach: and nothing else';
    chomp(my $id = $ran->{out});

    is $ctl->run(qw(wait --for started), $id)->{code}, 0, 'wait --for started';
    my $ps = $ctl->run('ps');
    like $ps->{out}, qr/\AID +STATE +QUEUE +PID +TIME +COMMAND\n/, 'ps: the columns';
    like $ps->{out}, qr/^\Q$id\E  running +default +[0-9]+ +\S+  \[nightly\] \/bin\/sh/m,
        'ps: the job';
    my $show = $ctl->run('show', $id);
    is $show->{code}, 0, 'show: exit code';
    like $show->{out}, qr/\Q$id\E/, 'show: the id';
    like $show->{out}, qr/running/, 'show: the state';
    my ($pid) = $ps->{out} =~ /running +default +([0-9]+)/;
    is parent_of($pid), $httpd->spawner_pid, 'it is a child of the spawner';

    my $late = $ctl->run(qw(wait --timeout 0.1), $id);
    is $late->{code}, 124, 'wait --timeout: exit code';
    like $late->{err}, qr/running/, 'wait --timeout: the state';
    ok alive($pid), 'wait --timeout: the job goes on';

    $gate->let(1);
    is_deeply $ctl->run('wait', '--output', $id), { code => 3, out => "done\n", err => '' },
        'wait: ends as the job did';
    unlike $ctl->run('ps')->{out}, qr/\Q$id\E/, 'ps leaves it out now';
    like $ctl->run(qw(ps --all))->{out}, qr/^\Q$id\E  exited 3 /m, 'ps --all lists it';
    like $ctl->run(qw(show --output), $id)->{out}, qr/exited 3.*done/s, 'show --output';
    my $kill = $ctl->run('kill', $id);
    is $kill->{code}, 1, 'kill: too late';
    like $kill->{err}, qr/the job has ended: \Q$id\E/, 'kill: says so, and which one';
    (my $other = $id) =~ tr/0-9a-f/1-9a-f0/;
    substr $other, 14, 1, '7';
    substr $other, 19, 1, 'a';
    like $ctl->run($_, $other)->{err}, qr/no job with this id is known: \Q$other\E/, "$_: an id that nobody knows"
        for qw(kill wait show);
};

subtest 'killed' => sub {
    my $id = $ctl->detach('--', @{ $gate->job('exit 0') });
    is $ctl->run(qw(wait --for started), $id)->{code}, 0, 'it runs';
    is_deeply $ctl->run(qw(kill --signal HUP), $id), { code => 0, out => '', err => '' }, 'kill';
    my $end = $ctl->run('wait', $id);
    is $end->{code}, 128 + POSIX::SIGHUP(), 'wait: the signal';
    like $end->{err}, qr/cancelled, signalled 1 \(HUP\)/, 'wait: says so';
};

subtest 'cancelled while queued' => sub {
    my $first = $ctl->detach(qw(--queue narrow --), @{ $gate->job('exit 0') });
    is $ctl->run(qw(wait --for started), $first)->{code}, 0, 'one runs';
    my $second = $ctl->detach(qw(--queue narrow /bin/true));
    like $ctl->run(qw(ps --state queued --queue narrow))->{out}, qr/^\Q$second\E  queued /m,
        'the second waits';
    is $ctl->run('kill', $second, $first)->{code}, 0, 'kill of both';
    my $never = $ctl->run('wait', $second);
    is $never->{code}, 125, 'the second has no code of its own';
    like $never->{err}, qr/cancelled$/m, 'and why';
    is $ctl->run('wait', $first)->{code}, 128 + POSIX::SIGTERM(), 'the first got TERM';
};

subtest 'Ctrl-C' => sub {
    my $started = $httpd->work . '/started';
    my $run = $ctl->start('run', '--', '/bin/sh', '-c',
        "echo \$\$ >$started.part; mv $started.part $started; read line <" . $gate->path);
    ok wait_until(sub { -e $started }, 20), 'the job runs';
    kill INT => $run->{pid};
    my $ran = $ctl->finish($run);
    is $ran->{code}, -POSIX::SIGINT(), 'spawnctl ends by it';
    like $ran->{err}, qr/the job goes on: $uuid\n/, 'and tells the id';
    my ($id) = $ran->{err} =~ /($uuid)/;
    open my $in, '<', $started or die "$started: $!\n";
    chomp(my $pid = <$in>);
    ok alive($pid), 'the job goes on';
    $gate->let(1);
    is $ctl->run('wait', $id)->{code}, 0, 'to its end';
};
done_testing;
