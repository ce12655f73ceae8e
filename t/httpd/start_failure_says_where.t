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

use SpawnTest qw(each_mpm);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm)->start;
        my $plain = $httpd->file('plain', "echo\n", 0755);
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
            'no first line' => [ [$plain], {},
                'exec: Exec format error: it is no binary of this machine, and has no first line with #! and an interpreter' ],
        );
        for my $name (sort keys %case) {
            my ($argv, $options, $text) = @{ $case{$name} };
            my $id = $httpd->spawn($argv, %{$options})->{id};
            ok $httpd->wait_for_log(qr/MS0683: job \Q$id\E could not be started: \Q$text\E \(/), "$name: in the error log";
            is $httpd->status($id)->{message}, $text, '... and for who asks';
        }
        unlike $httpd->error_log, qr/a secret/, 'no argument is told';

        my $ran = SpawnTest::Ctl->new($httpd)->run(qw(run --cwd /none/dir /bin/true));
        like $ran->{err}, qr{\Aspawnctl: /bin/true: start_failed: cwd: $missing: /none/dir\n  job [0-9a-f-]{36}\n\z}, 'spawnctl, once';
    }
);
done_testing;
