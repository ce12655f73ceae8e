#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job that is timed out or killed ends with all that it has started, also what has
# made a session of its own and has no parent of the job's any more; each is ended by
# KILL when it does not obey TERM within the grace. What other jobs have left lives on.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use Apache2::Spawn ();
use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();
use SpawnTest::Process qw(alive parent_of session_of);

# Forks twice with a session in between, as daemons do, and tells who is there then.
sub daemon_of {
    my ($file, $deaf) = @_;
    my $trap = $deaf ? q(trap \"\" TERM;) : '';
    return qq{setsid /bin/sh -c '/bin/sh -c "$trap echo \\\$\\\$ >$file.new; mv $file.new $file; exec sleep 1000" &'};
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, conf => "PerlModule SpawnTest::Functions\nSpawnTemplate own parent\n")->start;
        my $spawn = Apache2::Spawn->connect($httpd->socket);
        my $count = 0;
        my $pid_in = sub {
            my ($file) = @_;
            wait_until(sub { -s $file }, 30) or return 0;
            open my $in, '<', $file or die "$file: $!\n";
            return 0 + <$in>;
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

        my ($job, $pid) = $job_with_daemon->('exec sleep 1000', 1, timeout => '10s', grace => '300ms');
        is $job->wait(60)->outcome, 'timed_out', 'timed out';
        ok wait_until(sub { !-e "/proc/$pid" }, 20), '... and its daemon has ended, which obeys no TERM';

        ($job, $pid) = $job_with_daemon->('exec sleep 1000');
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
        for my $template (qw(app own)) {
            my $file = $httpd->work . "/function_$template";
            my $answer = SpawnTest::Calls->ask($httpd, <<'END', daemon_of($file), $template);
                my ($script, $template) = @_;
                my $job = Apache2::Spawn->spawn_call('SpawnTest::Functions::starts', [ "$script; exec sleep 1000" ],
                    template => $template, grace => '300ms');
                return $job->id;
END
            my ($id) = @{ $answer->{values} || [] };
            ok $id, "$template: a function" or diag explain $answer;
            $pid = $pid_in->($file);
            ok alive($pid), '... has a daemon';
            $spawn->job($id)->kill('TERM');
            is $spawn->job($id)->wait(30)->outcome, 'cancelled', '... is killed';
            ok wait_until(sub { !-e "/proc/$pid" }, 20), '... and its daemon has ended';
        }
        kill 'KILL', $kept;
    }
);
done_testing;
