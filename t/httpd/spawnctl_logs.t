#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# spawnctl logs prints what a job has printed until now, of stdout on stdout and of stderr on stderr,
# of all attempts; with -f also what it still prints, each byte once, also when the broker is killed
# meanwhile, and exits as the job did.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(build_dir each_mpm wait_until);

use lib SpawnTest::build_dir() . '/perl';
use Apache2::Spawn ();

# logs -f: its process and what it prints.
sub follow {
    my ($httpd, $id, $err) = @_;
    pipe my $read, my $write or die "pipe: $!\n";
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        delete @SIG{qw(INT TERM HUP PIPE)};
        alarm 300;
        open STDOUT, '>&', $write;
        open STDERR, '>', $err;
        exec build_dir() . '/spawnctl', '--timeout', '60', '--socket', $httpd->socket, 'logs', '-f', $id or POSIX::_exit(127);
    }
    close $write;
    return { pid => $pid, out => $read, said => '' };
}

# Until it has printed this, or its end.
sub said {
    my ($f, $pattern) = @_;
    my $until = time + 120;
    while ($f->{said} !~ $pattern && time < $until) {
        vec(my $in = '', fileno $f->{out}, 1) = 1;
        next if !select $in, undef, undef, 1;
        sysread $f->{out}, $f->{said}, 65536, length $f->{said} or last;
    }
    return $f->{said};
}

sub code_of {
    my ($f) = @_;
    said($f, qr/\A(?!)/);
    waitpid $f->{pid}, 0;
    return $? >> 8;
}

sub slurp { my ($path) = @_; open my $in, '<', $path or return ''; local $/ = undef; return scalar(<$in>) // '' }

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, handlers => 0, conf => "SpawnSubmitTimeout 30s\n")->start;
        my $spawn = $httpd->connection;
        my $ctl = SpawnTest::Ctl->new($httpd);
        my $gate = SpawnTest::Gate->new($httpd, 'gate');
        my $wait = "read line <'" . $gate->path . q{'};
        my @captured = (stdout => 'capture', stderr => 'capture');
        my $err = $httpd->dir . '/follow.err';

        # one that has ended
        my $ended = $spawn->spawn([ '/bin/sh', '-c', 'echo good; echo bad >&2; exit 3' ], @captured);
        is $ended->wait(60)->exit_code, 3, 'a job has ended';
        my $ran = $ctl->run('logs', $ended->id);
        is_deeply [ @{$ran}{qw(code out err)} ], [ 0, "good\n", "bad\n" ], 'what it printed';
        is $ctl->run('logs', '-f', $ended->id)->{code}, 3, '... and -f exits as it did';

        # one that runs
        my $runs = $spawn->spawn([ '/bin/sh', '-c', "echo one; echo ONE >&2; $wait; printf two; $wait; echo more; exit 7" ], @captured);
        ok wait_until(sub { $ctl->run('logs', $runs->id)->{out} eq "one\n" }, 60), 'what one that runs has printed';
        my $f = follow($httpd, $runs->id, $err);
        is said($f, qr/one\n/), "one\n", 'with -f as well';
        $gate->let;
        is said($f, qr/two/), "one\ntwo", '... and what comes next, before it ends';
        my $broker = $httpd->broker_pid;
        kill 'KILL', $broker;
        ok wait_until(sub { ($httpd->broker_pid || $broker) != $broker }, 60), '... a new broker';
        $gate->let;
        is code_of($f), 7, '... it exits as the job did' or diag slurp($err);
        is $f->{said}, "one\ntwomore\n", '... and nothing was printed twice, or was left out';
        is slurp($err), "ONE\n", '... nor of stderr';

        # more than one answer has
        my $big = $spawn->spawn([ '/bin/sh', '-c', "head -c 2500000 /dev/zero | tr '\\0' x; $wait; kill -KILL \$\$" ], @captured, capture_limit => 3_000_000);
        ok wait_until(sub { length $ctl->run('logs', $big->id)->{out} == 2_500_000 }, 90), 'more than one answer has';
        $f = follow($httpd, $big->id, $err);
        $gate->let;
        is code_of($f), 128 + 9, '-f: a signal';
        ok $f->{said} eq 'x' x 2_500_000, '... all of it' or diag length $f->{said};
        like slurp($err), qr/\Aspawnctl: .*signalled 9 \(KILL\)/, '... and how it ended';

        # attempts
        my $count = $httpd->work . '/count';
        my $again = $spawn->spawn([ '/bin/sh', '-c', "echo x >>$count; n=\$(wc -l <$count); echo try \$n; $wait; echo end \$n; test \$n = 3" ],
            @captured, retry => 4, backoff => [0.1]);
        $f = follow($httpd, $again->id, $err);
        is said($f, qr/try 1\n/), "try 1\n", 'an attempt';
        $gate->let(3);
        is code_of($f), 0, '... until one ends well';
        my $all = join '', map {"try $_\nend $_\n"} 1 .. 3;
        is $f->{said}, $all, '... each of them once';
        is $ctl->run('logs', $again->id)->{out}, $all, '... and afterwards';

        # lines that cannot be shown
        my $none = $spawn->spawn([ '/bin/echo', 'lost' ], stdout => 'log');
        is $none->wait(60)->outcome, 'exited', 'one that prints to the error log';
        $ran = $ctl->run('logs', $none->id);
        is_deeply [ @{$ran}{qw(code out)} ], [ 0, '' ], '... nothing is there';
        like $ran->{err}, qr/nothing that this job prints is captured\n  what it writes to the error log stands there with its id/, '... and it says where';
        my $unknown = '01890000-0000-7000-8000-000000000000';
        is $ctl->run('logs', $unknown)->{code}, 1, 'no such job';
        is $ctl->run('logs', '-f', $unknown)->{code}, 125, '... with -f as wait';
        like $ctl->run('logs', '--json', $unknown)->{err}, qr/'spawnctl show --output --json' is for programs/, 'no JSON';
    }
);
done_testing;
