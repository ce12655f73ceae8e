#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# spawnctl templates while a template is replaced: the old process, which takes
# orders and counts the jobs, stands first, and the one that preloads below it;
# and when the broker was killed the next one tells of the same processes.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(time);

use SpawnTest qw(wait_until);
use SpawnTest::ParentTemplate qw(templates_of);
use SpawnTest::Templates ();

my $t = SpawnTest::Templates->new(
    templates => "SpawnTemplate app exec inc=\@INC\@ preload=My::Work,My::Slow\nSpawnTemplate httpd parent",
    conf      => "<SpawnQueue images>\n    SpawnWorkers 1 1\n</SpawnQueue>",
    files     => { 'My/Slow.pm' => "1;\n" },
)->start;
my $httpd = $t->httpd;
my $spawn = $t->spawn;
my $ctl = SpawnTest::Ctl->new($httpd);

# The rows without a template's name of another kind, by what they are.
sub rows {
    my ($list) = $ctl->json('templates');
    return grep { !$_[0] || ($_->{queue} || $_->{template}) eq $_[0] } @{ $list || [] };
}

# Waits until these rows have these states, and their processes: a template is
# preloading from when its start is told, which is before there is a pid.
sub has_states {
    my ($name, @states) = @_;
    my @rows;
    ok wait_until(sub {
        @rows = rows($name);
        return join(q{ }, map { $_->{state} } @rows) eq "@states" && !grep { !$_->{pid} } @rows;
    }, 30), "$name: all have a process";
    is_deeply [ map { $_->{state} } @rows ], \@states, "$name: @states";
    return @rows;
}

my ($first) = has_states('app', 'ready');
has_states('httpd', 'ready');
has_states('images', 'idle');
my $job_gate = SpawnTest::Gate->new($httpd, 'job');
my $job = $t->at_gate($job_gate, 1);
ok $t->all_at_gate($job), 'a job runs';

# ---- the broker is killed ----

# older than what differs when a start is told by another one
my @before;
ok wait_until(sub { @before = rows(); return !grep { !$_->{pid} || time - $_->{started_at_ms} / 1000 < 3 } @before }, 30),
    'all have been there for a moment';
my $old = $httpd->kill_pair('broker');
ok $httpd->new_pid('broker', $old), 'the broker is killed and another one is there';
my @after;
ok wait_until(sub { @after = rows(); return @after == @before && !grep { !$_->{pid} } @after }, 30), 'which tells of';
is_deeply [ map {"$_->{template} $_->{kind} $_->{pid}"} @after ], [ map {"$_->{template} $_->{kind} $_->{pid}"} @before ],
    'the same processes';
is $after[-1]{pid}, (templates_of($httpd))[0], 'that of httpd too';
for my $i (0 .. $#before) {
    cmp_ok abs($after[$i]{started_at_ms} - $before[$i]{started_at_ms}), '<', 1500,
        "$before[$i]{kind}: started when it was";
}
is_deeply $after[0]{pids}, [ $job->pid ], 'and of the job that runs';
is $after[0]{jobs_ended}, 0, 'it has counted none';

# ---- another one takes its place ----

my $load = SpawnTest::Gate->new($httpd, 'load');
my $path = $load->path;
$t->file('My/Slow.pm', "open my \$in, '<', '$path' or die; sysread \$in, my \$byte, 1; 1;\n");
$httpd->graceful;
my ($ready, $coming) = has_states('app', 'ready', 'preloading');
is $ready->{pid}, $first->{pid}, 'the old process first';
is $ready->{running}, 1, '... with the job that runs';
isnt $coming->{pid}, $first->{pid}, 'another one below it';
ok !exists $coming->{$_}, "... which tells no $_" for qw(running pids faults private_per_job);

$load->let;
ok wait_until(sub { ($ready) = rows('app'); return $ready->{pid} == $coming->{pid} }, 30), 'when it is ready it stands first';
is $ready->{state}, 'ready', '... and takes orders';
is_deeply $ready->{pids}, [ $job->pid ], '... with the job of the one that has gone';
ok wait_until(sub { my ($w) = rows('images'); return $w && $w->{state} eq 'idle' && $w->{pid} != $before[1]{pid} }, 30),
    'and with a worker of its own';
$job_gate->let;
is $job->result(20), 1, 'the job returns';
($ready) = rows('app');
is $ready->{jobs_ended}, 1, 'and is counted';
done_testing;
