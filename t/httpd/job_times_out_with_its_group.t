#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A time-out is for the whole group of a job: a process that ignores TERM gets
# KILL after the grace, also when the job's own process has obeyed TERM. Until
# then the job has not ended. A process that obeys within the grace is not
# killed, and nobody waits for the grace when none is left. Programs and Perl
# functions of both kinds of template, and of a worker.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();
use SpawnTest::Process qw(alive);

my @kinds = qw(program app tools worker);

sub start {
    my ($httpd, $kind, $script, %options) = @_;
    return $httpd->spawn([ '/bin/sh', '-c', $script ], %options)->{id} if $kind eq 'program';
    my $answer = SpawnTest::Calls->ask($httpd,
        'Apache2::Spawn->spawn_call("SpawnTest::Functions::starts", [$_[0]], @_[1 .. $#_])->id', $script,
        ($kind eq 'worker' ? (queue => 'workers') : (template => $kind)), %options);
    die explain $answer if !$answer->{values};
    return $answer->{values}[0];
}

sub pid_in {
    my ($path) = @_;
    my $pid = wait_until(sub { open my $in, '<', $path or return; my $line = <$in>; $line && $line =~ /^(\d+)\n/ && $1 }, 20);
    return $pid;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(
            mpm => $mpm,
            templates => "SpawnTemplate tools exec preload=SpawnTest::Functions inc=\@INC@\n"
                . "PerlModule SpawnTest::Functions\n",
            conf => "<SpawnQueue workers>\nSpawnWorkers 1\n</SpawnQueue>\n",
        )->start;
        my $gate = SpawnTest::Gate->new($httpd, 'never');
        my $waits = "read line <'" . $gate->path . "'";

        # All kinds at once. The leader obeys TERM, its child is deaf.
        my (%id, %file);
        for my $kind (@kinds) {
            $file{$kind} = $httpd->work . "/deaf-$kind";
            $id{$kind} = start($httpd, $kind,
                "(trap '' TERM; sh -c 'echo \$PPID' >$file{$kind}; $waits) & $waits", timeout => 6, grace => 1.5);
        }
        my %deaf = map { $_ => pid_in($file{$_}) } @kinds;
        for my $kind (@kinds) {
            my $end = $httpd->wait($id{$kind});
            my $gone = wait_until(sub { !alive($deaf{$kind}) }, 20);
            ok $gone, "$kind: the child that was deaf has gone";
            is $end->{outcome}, 'timed_out', '... timed out' or diag explain $end;
            is $end->{signal}, POSIX::SIGTERM(), '... its own process by TERM';
            cmp_ok $end->{elapsed}, '>=', 7.4, '... and it ended with its grace';
            cmp_ok $end->{ended_at} - $end->{started_at}, '>=', 7.4, '... (ended_at)';
        }

        # The child needs a while of its long grace and ends by itself.
        for my $kind (@kinds) {
            $file{$kind} = $httpd->work . "/slow-$kind";
            $id{$kind} = start($httpd, $kind,
                "(trap 'sleep 0.3; echo done >>$file{$kind}; exit' TERM; sh -c 'echo \$PPID' >$file{$kind}; $waits; $waits) & $waits",
                timeout => 6, grace => 25);
        }
        for my $kind (@kinds) {
            my $end = $httpd->wait($id{$kind}, 26);
            is $end->{outcome}, 'timed_out', "$kind: with a child that obeys" or diag explain $end;
            open my $in, '<', $file{$kind} or die "$file{$kind}: $!\n";
            my @lines = <$in>;
            is $lines[-1], "done\n", '... which had the time that it needed';
        }

        # A job that ends by itself leaves its children alone, as ever.
        $file{left} = $httpd->work . '/left';
        my $end = $httpd->wait(start($httpd, 'program',
            "(sh -c 'echo \$PPID' >$file{left}; $waits) & while [ ! -s $file{left} ]; do :; done; exit 3", timeout => 20));
        is $end->{exit_code}, 3, 'one that ends by itself';
        ok alive(pid_in($file{left})), '... leaves its children alone';
        $gate->let;
    }
);
done_testing;
