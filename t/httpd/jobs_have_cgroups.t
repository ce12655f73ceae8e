#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# With SpawnCgroup each job, a program or a function, is in a cgroup of its own. A job
# that is killed ends with all that is there, also what nothing else tells to be the
# job's. The directory goes when nothing of the job is left in it; those that an earlier
# spawner has left go, too, and those of nobody stay.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use Apache2::Spawn ();
use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();
use SpawnTest::Cgroup ();
use SpawnTest::Process qw(alive);

plan skip_all => 'only root can give a directory of cgroup v2 to httpd' if $> != 0;
my $missing = SpawnTest::Cgroup::missing();
plan skip_all => $missing if $missing;

# Says its pid in a file, in a session of its own and without the mark of its job.
sub hidden_daemon {
    my ($file) = @_;
    return qq{setsid /bin/sh -c '/bin/sh -c "prlimit --rttime=1000000:1000000 --pid \\\$\\\$;}
        . qq{ echo \\\$\\\$ >$file.new; mv $file.new $file; exec sleep 1000" &'; while [ ! -e $file ]; do sleep 0.05; done};
}

sub pid_in {
    my ($file) = @_;
    wait_until(sub { -s $file }, 30) or return 0;
    open my $in, '<', $file or die "$file: $!\n";
    return 0 + <$in>;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $group = SpawnTest::Cgroup->new($mpm);
        my $left = '01890000-0000-7000-8000-000000000001';
        my $theirs = "spawn-00000000-$left";
        mkdir $group->path . "/$_" or die "$_: $!\n" for $theirs, 'others';
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm,
            conf => "PerlModule SpawnTest::Functions\nSpawnTemplate own parent\nSpawnCgroup " . $group->path . "\n")->start;
        my $spawn = $httpd->connection;
        my $gone = sub { my ($id) = @_; return wait_until(sub { !grep { $_ eq $id } $group->jobs }, 90) };

        # programs: that somebody waits for, and that are begun in another way
        for my $reply (qw(accepted started)) {
            my $job = $spawn->spawn([ '/bin/cat', '/proc/self/cgroup' ], stdout => 'capture', reply => $reply);
            like $job->wait(30)->stdout, qr{^0::\S*/spawn-[0-9a-f]{8}-\Q${\$job->id}\E$}m, "a program ($reply) is there from its beginning";
            ok $gone->($job->id), '... and its directory goes with it';
        }
        my $many = $spawn->run([ '/bin/cat', '/proc/self/cgroup', map {"/no/such/$_"} 1 .. 200 ]);
        like $many->stdout, qr{^0::\S*/spawn-}m, 'one with many words, too';

        # usage of all its processes: CPU time is counted without a controller
        my $busy = 'i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done';
        my $used = $spawn->run([ '/bin/sh', '-c', "( $busy; exec sleep 1000 ) & $busy; kill -KILL \$!; exit 0" ])->rusage;
        cmp_ok $used->{tree_utime}, '>', 0, 'its record has the CPU time of all its processes' or diag explain $used;
        my $alone = $spawn->run(['/bin/true'])->rusage;
        cmp_ok $alone->{tree_utime} + $alone->{tree_stime}, '<', 1, '... and of no other job' or diag explain $alone;

        # functions
        for my $template (qw(app own)) {
            my $answer = SpawnTest::Calls->ask($httpd, <<'END', $template);
                my ($template) = @_;
                return Apache2::Spawn->spawn_call('SpawnTest::Functions::starts', [ 'exec sleep 1000' ], template => $template)->id;
END
            my ($id) = @{ $answer->{values} || [] };
            my $pid = 0;
            ok wait_until(sub { $pid = $spawn->job($id)->pid }, 30), "$template: a function";
            ok wait_until(sub { $group->job_of($pid) eq $id }, 30), '... is there' or diag $group->job_of($pid);
            $spawn->job($id)->kill('KILL');
            is $spawn->job($id)->wait(30)->outcome, 'cancelled', '... is killed';
            ok $gone->($id), '... and its directory goes with it';
        }

        # processes that nothing else finds
        my $file = $httpd->work . '/daemon';
        my $job = $spawn->spawn([ '/bin/sh', '-c', hidden_daemon($file) . '; exec sleep 1000' ]);
        my $pid = pid_in($file);
        is $group->job_of($pid), $job->id, 'a daemon that hides is there';
        $job->kill('KILL');
        is $job->wait(30)->outcome, 'cancelled', 'its job is killed';
        ok wait_until(sub { !-e "/proc/$pid" }, 20), '... and it ends';
        ok $gone->($job->id), '... and its directory goes';

        # groups that may stay, and those that an earlier spawner of this httpd has left
        unlink $file;
        $job = $spawn->spawn([ '/bin/sh', '-c', hidden_daemon($file) . '; exit 0' ]);
        $pid = pid_in($file);
        is $job->wait(30)->exit_code, 0, 'a job leaves a daemon';
        ok alive($pid), '... that lives';
        mkdir $group->path . '/' . $group->prefix($job->id) . $left or die "$left: $!\n";
        ok wait_until(sub { 1 == grep { $_ eq $left } $group->jobs }, 90), 'the directory of an earlier spawner goes';
        is_deeply [ sort $group->jobs ], [ sort $job->id, $left ], '... and no other one is left';
        ok -e $group->path . "/$_", "but $_ is" for $theirs, 'others';
        rmdir $group->path . "/$theirs" or die "$theirs: $!\n";
        my $long = $spawn->spawn([ '/bin/sleep', '1000' ], reply => 'started');
        $httpd->graceful;
        ok alive($long->pid), 'a graceful restart';
        is $group->job_of($long->pid), $long->id, '... leaves a job where it is';
        $long->kill('KILL');
        kill 'KILL', $pid;
        ok $gone->($long->id), 'its directory goes with it';
        ok wait_until(sub { !$group->jobs }, 90), 'and that of the daemon with the daemon';

        # without the controllers
        my $refused = eval { $spawn->run(['/bin/true'], limits => { 'tree-memory' => '1G', 'tree-cpu' => 50, 'tree-processes' => 50 }) };
        if (-e '/sys/fs/cgroup/cgroup.controllers') {
            ok $refused->ok, 'limits of all processes of a job';
        } else {
            is $@->code . ' ' . $@->step, 'start_failed cgroup', 'a limit that cannot be set: the job does not start';
            like $@->message, qr/need a cgroup with these controllers/, '... and says why';
        }
    }
);
done_testing;
