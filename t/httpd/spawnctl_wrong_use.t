#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A fault in a command line is told by spawnctl under the name that it was typed
# with, with what is wanted and where to read on, and without its control characters;
# nothing is asked of a broker. Starts nothing.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use IPC::Open3 qw(open3);
use Test::More;

use SpawnTest qw(build_dir);

my $program = build_dir() . '/spawnctl';

sub said {
    my @words = @_;
    my $pid = open3(my $in, my $out, undef, $program, '--socket', '/none/here', @words);
    close $in;
    my $text = do { local $/ = undef; <$out> };
    waitpid $pid, 0;
    return ($? >> 8, $text);
}

my @run = (
    [ [qw(--nice 20)],                  '--nice: 20 is not allowed; wanted: 0 to 19' ],
    [ [qw(--cwd here)],                 q{--cwd: 'here' is not an absolute path} ],
    [ [ '--queue', 'a b' ],             q{--queue: 'a b' is not a name; wanted: letters} ],
    [ [qw(--capture-limit 17M)],        '--capture-limit: 17825792 is not allowed; wanted: at most 16M' ],
    [ [ '--label', 'x' x 300 ],         '--label has 300 bytes, 200 are allowed' ],
    [ [qw(--fds 4=2 --fds 4=1)],        '--fds: 4 stands twice' ],
    [ [qw(--fds 777)],                  '--fds: our descriptor 777 is not open' ],
    [ [qw(--unset A=1)],                q{--unset: 'A=1' is not allowed; wanted: the NAME of a variable} ],
    [ [qw(--grace -1)],                 q{--grace: '-1' is not allowed; wanted: a time} ],
    [ [ '--context', "\e[31mred" ],     q{--context: '?[31mred' is not name=value} ],
    [ [ '--unset', "\e[31mA=1" ],       q{--unset: '?[31mA=1' is not allowed} ],
    [ [qw(--no-new-privs=maybe)],       q{--no-new-privs: 'maybe' is not allowed; wanted: 0 or 1} ],
    [ [qw(--tty --detach)],             '--tty: only while spawnctl waits for the job\'s end' ],
    [ [qw(--tty --reply started)],      '--tty: only while spawnctl waits' ],
    [ [qw(--forward-signals -d)],       '--forward-signals: only while spawnctl waits' ],
    [ [qw(--tty --stdin -)],            '--stdin: with --tty it is the terminal' ],
    [ [qw(--tty --stderr null)],        '--stderr: with --tty it is the terminal' ],
    [ [qw(--tty --json)],               '--json: with --tty stdout has what the job prints' ],
    [ [qw(--tty=1)],                    q{'--tty=1': this option has no value} ],
    [ [qw(--detach --reply started)],   '--detach means --reply accepted; give one of them' ],
);
for my $case (@run) {
    my ($options, $text) = @$case;
    my ($code, $said) = said('run', @$options, '/bin/true');
    is $code, 125, "@$options";
    is index($said, "spawnctl: $text"), 0, '... is told as typed' or diag $said;
    like $said, qr/\n  try 'spawnctl run --help'\n\z/, '... with where to read on';
}
my @all = (
    [ [],                       'no verb; wanted: run, ps, show, wait, logs, kill, retry, start, templates, cron' ],
    [ ['--colour'],             q{'--colour' is not an option} ],
    [ [qw(ps --colour)],        q{'--colour' is not an option} ],
    [ [ 'ps', "--\e[31mred" ],  q{'--?[31mred' is not an option} ],
    [ [ 'show', "-\e" ],        q{'-?' is not an option} ],
    [ [qw(ps -lx)],             q{'-x' is not an option} ],
    [ [qw(ps -J)],              q{'-J' is not an option} ],
    [ [qw(ps -:)],              q{'-:' is not an option} ],
    [ [ 'ps', "--json=\e[31m" ], q{'--json=?[31m': this option has no value} ],
    [ [qw(wait --help=x)],      q{'--help=x': this option has no value} ],
    [ [qw(run --std /dev/null)], q{'--std' may mean more than one option} ],
    [ [qw(ps --socket)],        q{'--socket' needs a value} ],
    [ [qw(ps -aq)],             q{'-aq' needs a value} ],
    [ [qw(--timeout 0 ps)],     q{--timeout: '0' is not allowed; wanted: a time such as 5, 500ms or 1min} ],
    [ ['check-code'],           'no path; wanted: spawnctl check-code [options] path ...' ],
    [ [qw(check-code --max-bytes 1k .)], q{--max-bytes: '1k' is not allowed; wanted: a number} ],
    [ [qw(check-code --json .)], 'the places are lines of text, and no JSON' ],
    [ [ 'run', '' ],            'no program; wanted: spawnctl run [options] -- program' ],
    [ [qw(run ./here)],         q{'./here' is relative, and the job does not start in this directory} ],
    [ [qw(show abc)],           q{'abc' is not an id; wanted: a job's id, or at least 8 characters} ],
    [ [qw(run --limits x=1 a)], q{--limits: 'x=1' is not allowed; wanted: resource=value with one of cpu, memory, files, processes, core, filesize, tree-memory, tree-cpu, tree-processes, tree-weight, and} ],
    [ [qw(ps --state gone)],    q{--state: 'gone' is not a state; wanted: delayed, queued, starting, running, done} ],
);
for my $case (@all) {
    my ($words, $text) = @$case;
    my ($code, $said) = said(@$words);
    is $code, 125, "spawnctl @$words";
    is index($said, "spawnctl: $text"), 0, '... is told' or diag $said;
}
done_testing;
