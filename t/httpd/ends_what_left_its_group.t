#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job that is timed out or killed ends with all that it has started, also a process
# that has made a session of its own and has no parent of the job's any more; each is
# ended by KILL when it does not obey TERM within the grace. Processes that other jobs
# have left live on. Programs, functions of both kinds of templates, and calls of
# workers.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use Apache2::Spawn ();
use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();
use SpawnTest::Process qw(alive parent_of session_of started_at);

# The daemons, each with its start: by then its pid may be another process's.
my %noted;
my $tester = $$;
END {
    local $? = $?;
    for ($$ == $tester ? keys %noted : ()) {
        kill 'KILL', $_ if started_at($_) eq $noted{$_};
    }
}

# Forks twice with a session in between, as daemons do, and tells who is there then.
sub daemon_of {
    my ($file, $deaf) = @_;
    my $trap = $deaf ? q(trap \"\" TERM;) : '';
    return qq{setsid /bin/sh -c '/bin/sh -c "$trap echo \\\$\\\$ >$file.new; mv $file.new $file; exec sleep 1000" &'};
}

my $conf = <<'END';
PerlModule SpawnTest::Functions
SpawnTemplate own parent
<SpawnQueue workers_app>
SpawnWorkers 0 2
SpawnTemplate app
</SpawnQueue>
<SpawnQueue workers_own>
SpawnWorkers 0 2
SpawnTemplate own
</SpawnQueue>
END

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, conf => $conf)->start;
        my $spawn = $httpd->connection;
        my $count = 0;
        my $pid_in = sub {
            my ($file) = @_;
            wait_until(sub { -s $file }, 30) or return 0;
            open my $in, '<', $file or die "$file: $!\n";
            my $pid = 0 + <$in>;
            $noted{$pid} = started_at($pid) if started_at($pid);
            return $pid;
        };
        my $job_with_daemon = sub {
            my ($then, $deaf, @options) = @_;
            my $file = $httpd->work . '/daemon' . $count++;
            my $script = daemon_of($file, $deaf) . "; while [ ! -e $file.go ]; do sleep 0.05; done; $then";
            my $job = $spawn->spawn([ '/bin/sh', '-c', $script ], @options);
            my $pid = $pid_in->($file);
            ok wait_until(sub { parent_of($pid) == $httpd->spawner_pid }, 20), 'a daemon'
                or diag "$pid is a child of " . parent_of($pid);
            isnt session_of($pid), $job->pid, 'of another session';
            open my $go, '>', "$file.go" or die "$file.go: $!\n";
            close $go or die "$file.go: $!\n";
            return ($job, $pid);
        };

        my ($kept_job, $kept) = $job_with_daemon->('exit 0');
        is $kept_job->wait(30)->exit_code, 0, 'a job that has ended';
        my ($other_job, $other) = $job_with_daemon->('exec sleep 1000');

        # those that are timed out: all of them at once
        my @late = [ 'a program', $job_with_daemon->('exec sleep 1000', 1, timeout => '30s', grace => '300ms') ];

        my ($job, $pid) = $job_with_daemon->('exec sleep 1000');
        $job->kill('KILL');
        is $job->wait(30)->outcome, 'cancelled', 'killed';
        ok wait_until(sub { !-e "/proc/$pid" }, 20), '... and its daemon has ended';

        ($job, $pid) = $job_with_daemon->('exit 3', 0, leftovers => 'kill');
        is $job->wait(30)->exit_code, 3, 'a job that leaves nothing';
        ok wait_until(sub { !-e "/proc/$pid" }, 20), '... and its daemon has ended';

        ok alive($kept), 'what a job has left lives';
        ok alive($other), 'and what a running one has started';
        $other_job->kill('TERM');
        ok wait_until(sub { !-e "/proc/$other" }, 20), 'until it is told to end';

        # functions; those of a parent template are not the spawner's children
        my $function_with_daemon = sub {
            my ($then, $deaf, @options) = @_;
            my $file = $httpd->work . '/daemon' . $count++;
            my $script = daemon_of($file, $deaf) . "; while [ ! -e $file.go ]; do sleep 0.05; done; $then";
            my $job = $spawn->spawn_call('SpawnTest::Functions::starts', [$script], grace => '300ms', @options);
            my $pid = $pid_in->($file);
            ok alive($pid), 'a daemon';
            isnt session_of($pid), session_of($job->status->pid), 'of another session';
            open my $go, '>', "$file.go" or die "$file.go: $!\n";
            close $go or die "$file.go: $!\n";
            return ($job, $pid);
        };
        for my $template (qw(app own)) {
            for ([ 'a function', template => $template ], [ "a worker's call", queue => "workers_$template" ]) {
                my ($what, @how) = @{$_};
                push @late, [ "$template: $what", $function_with_daemon->('exec sleep 1000', 1, @how, timeout => '30s') ];
            }
        }
        for my $template (qw(app own)) {
            my @own = (template => $template);
            my ($left_job, $left) = $function_with_daemon->('exit 0', 0, @own);
            is $left_job->wait(30)->outcome, 'exited', "$template: a function that has returned";

            ($job, $pid) = $function_with_daemon->('exec sleep 1000', 0, @own);
            $job->kill('TERM');
            is $job->wait(30)->outcome, 'cancelled', "$template: a function is killed";
            ok wait_until(sub { !-e "/proc/$pid" }, 20), '... and its daemon has ended';

            ($job, $pid) = $function_with_daemon->('exit 0', 0, @own, leftovers => 'kill');
            is $job->wait(30)->outcome, 'exited', "$template: one that leaves nothing";
            ok wait_until(sub { !-e "/proc/$pid" }, 20), '... and its daemon has ended';

            ($job, $pid) = $function_with_daemon->('exec sleep 1000', 0, queue => "workers_$template");
            $job->kill('TERM');
            is $job->wait(30)->outcome, 'cancelled', "$template: a worker's call is killed";
            ok wait_until(sub { !-e "/proc/$pid" }, 20), '... and its daemon has ended';

            ok alive($left), "$template: what a function has left lives";
            kill 'KILL', $left;
        }
        for (@late) {
            my ($what, $late, $daemon) = @{$_};
            is $late->wait(90)->outcome, 'timed_out', "$what is timed out";
            ok wait_until(sub { !-e "/proc/$daemon" }, 20), '... and its daemon has ended, which obeys no TERM';
        }
        ok alive($kept), 'what a job has left lives on';
        kill 'KILL', $kept;
    }
);
done_testing;
