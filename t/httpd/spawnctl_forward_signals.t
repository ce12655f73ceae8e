#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# spawnctl run --forward-signals: the signals that spawnctl gets go to its job, and it ends as the
# job does; a second INT ends spawnctl. Without the option they are spawnctl's own.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use FakeBroker ();
use SpawnTest qw(one_mpm wait_until);

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), conf => <<'END')->start;
<SpawnQueue narrow>
    SpawnMaxJobs 1
</SpawnQueue>
END
my $ctl = SpawnTest::Ctl->new($httpd);
my @signals = qw(HUP INT QUIT USR1 USR2 ALRM WINCH TERM);

# A job that says what it gets into a file, and ends at TERM.
my $says = <<'END';
$| = 1;
for my $name (qw(HUP INT QUIT USR1 USR2 ALRM WINCH TERM)) {
    $SIG{$name} = sub { print "<$name>"; exit 7 if $name eq 'TERM' };
}
print "<ready>";
sleep 1 while 1;    # one that comes just before it waits is said soon
END

sub said {
    my ($file) = @_;
    open my $in, '<', $file or return '';
    local $/ = undef;
    return scalar(<$in>) // '';
}

sub begin {
    my ($name, @run) = @_;
    my $file = $httpd->work . "/$name";
    my $run = $ctl->start('run', @run, '--label', $name, '--stdout', $file, '--', $^X, '-e', $says);
    ok wait_until(sub { said($file) =~ /<ready>/ }, 60), "$name: it runs";
    return ($run, $file);
}

# Signals that the process has not taken yet.
sub pending {
    my ($pid) = @_;
    return said("/proc/$pid/status") =~ /^ShdPnd:\s*0*[1-9a-f]/m;
}

# What the job got, up to the USR2 that it is sent here: that came last. Then it is ended.
sub got {
    my ($file, $id) = @_;
    my $ran = $ctl->run(qw(kill --signal USR2), $id);
    is $ran->{code}, 0, 'the job runs' or diag $ran->{err};
    ok wait_until(sub { said($file) =~ /<USR2>/ }, 60), '... and gets a signal by its id';
    my $said = said($file);
    is $ctl->run(qw(kill --signal KILL), $id)->{code}, 0, '... until it is ended';
    return $said;
}

sub id_of {
    my ($said) = @_;
    return $said =~ /the job goes on: ([0-9a-f-]{36})/ ? $1 : undef;
}

subtest 'each of them' => sub {
    my ($run, $file) = begin('each', '--forward-signals');
    for my $name (@signals) {
        kill $name, $run->{pid} or die "kill: $!\n";
        ok wait_until(sub { said($file) =~ /<$name>/ }, 60), "$name reaches the job";
    }
    my $ran = $ctl->finish($run);
    is $ran->{code}, 7, 'the exit code is that of the job';
    is $ran->{err}, '', 'and no word about it';
};

subtest 'one that the job does not handle' => sub {
    my $gate = SpawnTest::Gate->new($httpd, 'plain');
    my $file = $httpd->work . '/plain';
    my $run = $ctl->start('run', '--forward-signals', '--stdout', $file, '--', '/bin/sh', '-c', 'echo ready; read line <' . $gate->path);
    ok wait_until(sub { said($file) =~ /ready/ }, 60), 'it runs';
    kill 'TERM', $run->{pid};
    is $ctl->finish($run)->{code}, 128 + 15, 'it ends by it, and spawnctl as it did';
};

subtest 'a second INT' => sub {
    my ($run, $file) = begin('second', '--forward-signals');
    kill 'INT', $run->{pid};
    ok wait_until(sub { said($file) =~ /<INT>/ }, 60), 'the first goes to the job';
    kill 'INT', $run->{pid};
    my $ran = $ctl->finish($run);
    is $ran->{code}, -2, 'the second ends spawnctl';
    my $id = id_of($ran->{err});
    ok $id, '... which tells the job\'s id' or diag $ran->{err};
    is got($file, $id), '<ready><INT><USR2>', 'the job did not get it';
};

subtest 'without the option' => sub {
    for my $name (qw(TERM INT)) {
        my ($run, $file) = begin("own-$name");
        kill $name, $run->{pid};
        is $ctl->finish($run)->{code}, $name eq 'TERM' ? -15 : -2, "$name ends spawnctl";
        my ($jobs) = $ctl->json('ps');
        my ($job) = grep { $_->{label} && $_->{label} eq "own-$name" } @{$jobs};
        ok $job, '... and not the job' or diag explain $jobs;
        is got($file, $job->{id}), '<ready><USR2>', '... which did not get it';
    }
};

subtest 'a job that waits' => sub {
    my $gate = SpawnTest::Gate->new($httpd, 'narrow');
    my $first = $ctl->detach(qw(--queue narrow --), @{ $gate->job('exit 0') });
    my $run = $ctl->start(qw(run --forward-signals --queue narrow --label second -- /bin/true));
    ok wait_until(sub { $ctl->run(qw(ps --queue narrow --state queued))->{out} =~ /second/ }, 60), 'it waits';
    kill 'TERM', $run->{pid};
    my $ran = $ctl->finish($run);
    is $ran->{code}, 125, 'TERM cancels it: it has not run';
    like $ran->{err}, qr/cancelled/, '... which is told';
    my $window = $ctl->start(qw(run --forward-signals --queue narrow --label third -- /bin/true));
    ok wait_until(sub { $ctl->run(qw(ps --queue narrow --state queued))->{out} =~ /third/ }, 60), 'another one waits';
    kill 'WINCH', $window->{pid};
    ok wait_until(sub { !pending($window->{pid}) }, 60), '... and spawnctl gets WINCH';
    like $ctl->run(qw(ps --queue narrow --state queued))->{out}, qr/third/, 'it waits on';
    $gate->let(1);
    is $ctl->finish($window)->{code}, 0, 'WINCH does not';
    is $ctl->run('wait', $first)->{code}, 0, 'the first one ended';
};

subtest 'before the broker has the job' => sub {
    my $asked = 0;
    my $broker = FakeBroker->start(kill =>
            sub { return $asked++ == 0 ? [ refused => code => 10, text => 'no such job' ] : [ done => id => $_[0]{id} ] });
    my $run = $ctl->start({ env => { SPAWN_SOCKET => $broker->path } }, qw(run --forward-signals -- /bin/true));
    is $broker->next_request->{type}, 'submit', 'a submit that is not answered yet';
    kill 'USR1', $run->{pid};
    for my $what ('the signal', '... again, since there was no such job') {
        my $request = $broker->next_request;
        is "$request->{type} $request->{attr}{signo}", 'kill ' . POSIX::SIGUSR1(), $what;
    }
    kill 'KILL', $run->{pid};
    $ctl->finish($run);
};

done_testing;
