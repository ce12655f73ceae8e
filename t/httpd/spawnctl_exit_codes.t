#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# spawnctl run exits as the job did, in the manner of env and timeout; and with
# 125 when it could not even ask.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm);

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm())->start;
my $ctl = SpawnTest::Ctl->new($httpd);
my $gate = SpawnTest::Gate->new($httpd, 'never');

sub code_is {
    my ($code, $arguments, $stderr, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $ran = $ctl->run(@{$arguments});
    is $ran->{code}, $code, "$name: exit code" or diag explain $ran;
    like $ran->{err}, $stderr, "$name: on stderr";
    return $ran;
}

my $silent = qr/\A\z/;
code_is($_, [ qw(run -- /bin/sh -c), "exit $_" ], $silent, "exit $_") for 0, 1, 3, 77, 255;
code_is(128 + 9, [ qw(run -- /bin/sh -c), 'kill -KILL $$' ], qr/signalled 9 \(KILL\)/, 'KILL');
code_is(128 + 10, [ qw(run -- /bin/sh -c), 'kill -USR1 $$' ], qr/signalled 10 \(USR1\)/, 'USR1');
code_is(124, [ qw(run --timeout 0.2 --grace 5 --), @{ $gate->job('exit 0') } ],
    qr/timed_out, signalled 15 \(TERM\)/, 'a time-out');
code_is(124, [ qw(run --timeout 5 --), '/bin/sh', '-c',
        q{trap 'exit 3' TERM; while :; do read line <>} . $gate->path . '; done' ],
    qr/timed_out, exited 3/, 'a time-out that the job takes well');

my $plain = $httpd->file('plain', "no program\n", 0644);
code_is(126, [ 'run', $plain ], qr/\Q$plain\E: start_failed: exec: Permission denied/, 'no program');
code_is(126, [ 'run', $httpd->dir ], qr/exec: Permission denied/, 'a directory');
code_is(127, [qw(run /nowhere/to/be/found)], qr/exec: No such file or directory/, 'a missing file');
code_is(127, [qw(run no-such-program-anywhere)], qr/exec: No such file/, 'a name not in the path');
code_is(125, [qw(run --cwd /nowhere /bin/true)], qr/start_failed: cwd: No such file/,
    'an earlier step of the start');

code_is(125, [], qr/no verb; wanted: run, ps, show, wait, logs, kill, retry, start, templates, cron, queues, pause, resume, drain, scale, metrics, top, check-code\n/, 'no verb');
code_is(125, ['eat'], qr/'eat' is not a verb/, 'an unknown verb');
code_is(125, [qw(templates app)], qr/'app' is too much/, 'templates takes no name');
code_is(125, ['run'], qr/spawnctl run --help/, 'no program');
code_is(125, [qw(run --colour red /bin/true)], qr/'--colour' is not an option/, 'an unknown option');
code_is(125, [qw(run --nice 20 /bin/true)], qr/nice: 20 is not allowed; wanted: 0 to 19/, 'a bad value');
code_is(125, [qw(run --cwd here /bin/true)], qr/cwd: 'here' is not an absolute path/, 'a relative path');
code_is(125, [qw(run --timeout soon /bin/true)], qr/--timeout: 'soon' is not allowed/, 'a bad time');
code_is(125, [qw(run --capture-limit lots /bin/true)], qr/--capture-limit: 'lots' is not allowed/,
    'a bad size');
code_is(125, [qw(run --queue nope /bin/true)], qr/'nope' is not configured; [^()\n]*\n  queues are made by <SpawnQueue/, 'an unknown queue');
code_is(125, [qw(run --user root /bin/true)], qr/--user: jobs of queue 'default' run as \S+, and no other account can be had there\n  try 'spawnctl run --help'\n\z/,
    'another account, and no word of who asks');
code_is(125, [qw(wait --timeout 5y), '0' x 8], qr/--timeout: '5y' is not allowed; wanted: a time: .*min or m.*24 days/, 'a bad time to wait');
code_is(125, [qw(ps too much)], qr/'too' is too much/, 'ps with arguments');
code_is(125, ['wait'], qr/no id/, 'wait for nothing');

for my $help ([qw(--help)], [qw(run --help)], [qw(--version)]) {
    my $ran = code_is(0, $help, $silent, "@{$help}");
    isnt $ran->{out}, '', "@{$help}: says something";
}
done_testing;
