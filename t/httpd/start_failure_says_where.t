#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A start that failed says of which path, or what is mostly meant by it: to the
# caller, in the error log, and to spawnctl. Not the arguments.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use lib SpawnTest::build_dir() . '/perl';

use Apache2::Spawn ();
use SpawnTest qw(each_mpm);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm)->start;
        my $plain = $httpd->file('plain', "echo\n", 0755);
        my $denied = $httpd->file('denied', "#!/bin/sh\n", 0644);
        my $crlf = $httpd->file('crlf', "#!/bin/sh\r\nexit 0\r\n", 0755);
        my $big = 'x' x 140_000;
        my $too_long = 'exec: Argument list too long: one argument or variable of the environment can have 128 kB, '
            . 'and all together a quarter of the limit of the stack; give big data on stdin, or as a file';
        my $missing = 'No such file or directory';
        my %case = (
            'a directory'       => [ ['/bin/true'], { cwd    => '/none/dir' }, "cwd: $missing: /none/dir" ],
            'a file for stdin'  => [ ['/bin/true'], { stdin  => '/none/in' },  "stdin: $missing: /none/in" ],
            'a file for stdout' => [ ['/bin/true'], { stdout => '>>/none/out' }, "stdout: $missing: /none/out" ],
            'a file for stderr' => [ ['/bin/true'], { stderr => '/none/err' }, "stderr: $missing: /none/err" ],
            'a plain name'      => [ ['none-such'], {}, "exec: $missing: it is looked up in /usr/local/bin:/usr/bin:/bin" ],
            'a relative path'   => [ [ 'none/such', 'a secret' ], { cwd => '/usr' },
                "exec: $missing: it is not an absolute path, and was looked for in /usr" ],
            'a line for a shell' => [ ['/bin/echo hi | cat'], {},
                "exec: $missing: the program and each argument are words of their own; a line for a shell is given to one: sh, -c, line" ],
            'not executable' => [ [$denied], {}, q{exec: Permission denied: the job's user may not execute it; look at its mode, }
                . 'at the directories above it, and whether its file system is mounted noexec' ],
            'a first line with CR LF' => [ [$crlf], {}, "interpreter: $missing: the program is there, but not the interpreter "
                . 'that its first line names (does that line end with CR LF?) or the loader that it needs' ],
            'an argument that is too long' => [ [ '/bin/true', $big ], {}, $too_long ],
            'a variable that is too long'  => [ ['/bin/true'], { env => { BIG => $big } }, $too_long ],
            'a device that is not there' => [ ['/bin/true'], { stdout => '/dev/tty' },
                'stdout: it is a FIFO that nobody reads, a socket, or a device that is not there: No such device or address: /dev/tty' ],
            'no first line' => [ [$plain], {},
                'exec: Exec format error: it is no binary of this machine, and has no first line with #! and an interpreter' ],
        );
        for my $name (sort keys %case) {
            my ($argv, $options, $text) = @{ $case{$name} };
            my $id = $httpd->spawn($argv, %{$options})->{id};
            ok $httpd->wait_for_log(qr/MS0683: job \Q$id\E could not be started: \Q$text\E \(/), "$name: in the error log";
            is $httpd->status($id)->{message}, $text, '... and for who asks';
        }
        # all together 3 MB, of parts that are short enough; where the stack is larger they may be
        SKIP: {
            skip 'the kernel takes that here', 4 if `getconf ARG_MAX` >= 2_900_000;
            my $spawn = $httpd->connection;
            my @many = ('y' x 100_000) x 30;
            my %whole = ('too many arguments' => [ [ '/bin/true', @many ] ],
                'too many variables' => [ ['/bin/true'], env => { map { ("V$_" => $many[0]) } 1 .. 30 } ]);
            for my $name (sort keys %whole) {
                my $job = $spawn->spawn(@{ $whole{$name} });
                ok $httpd->wait_for_log(qr/MS0683: job \Q${\$job->id}\E could not be started: \Q$too_long\E \(/), "$name: in the error log";
                is $job->status->message, $too_long, '... and for who asks';
            }
        }

        # a program that is being replaced; newer kernels may allow that
        my $busy = $httpd->file('busy', "#!/bin/sh\nexit 0\n", 0755);
        open my $writing, '>>', $busy or die "$busy: $!\n";
        my $id = $httpd->spawn([$busy])->{id};
        my $end = $httpd->wait($id);
        if ($end->{outcome} eq 'start_failed') {
            is $end->{message}, 'exec: Text file busy: somebody has the program open for writing; to replace a program, '
                . 'write another file and rename it, as install does', 'a program that is open for writing';
        }
        else {
            is $end->{exit_code}, 0, 'a program that is open for writing runs here';
        }
        $id = $httpd->spawn([$busy], retry => 100, retry_on => 'start_failed', backoff => 0.5)->{id};
        $httpd->wait_for_log(qr/MS0688: attempt 1 of job \Q$id\E/) if $end->{outcome} eq 'start_failed';
        close $writing or die "$busy: $!\n";
        is $httpd->wait($id)->{exit_code}, 0, '... and with retry runs when it is not any more' if $end->{outcome} eq 'start_failed';

        unlike $httpd->error_log, qr/a secret/, 'no argument is told';

        my $ran = SpawnTest::Ctl->new($httpd)->run(qw(run --cwd /none/dir /bin/true));
        like $ran->{err}, qr{\Aspawnctl: /bin/true: start_failed: cwd: $missing: /none/dir\n  job [0-9a-f-]{36}\n\z}, 'spawnctl, once';
    }
);
done_testing;
