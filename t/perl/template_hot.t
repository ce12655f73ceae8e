#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A frozen template knows which pages its jobs touch, from jobs of nothing that run before
# it is ready: a job has them without page faults, and one that a spare takes has copied
# what it writes before the order. No code of users runs for that but handlers of the
# fork, and where such a handler hangs or ends the process, there are jobs all the same.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use FakeSpawner ();
use SpawnTest::ForkLibrary ();
use SpawnTest::Process qw(children_of);
use SpawnTest::Wait qw(wait_until);

plan skip_all => "no syscall numbers for this machine" if !FakeSpawner::can_run();
my $build = $ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build";
plan skip_all => 'a sanitizer has pages of its own' if -x "$build/perl-sanitized";

# Faults of a job: some 50, those of its preparation too; without that knowledge 85.
# Of a job in a spare since it had its order: some 16; 26.
use constant { MOST => 66, MOST_SINCE => 22 };

my $dir = FakeSpawner::files('My.pm' => <<'END');
package My;
use Apache2::Spawn::Template ();
my $marks = $ENV{MARKS};
Apache2::Spawn::Template::after_fork(sub { open my $out, '>>', "$marks/hook" or die $! }) if $marks;
END { if ($marks) { open my $out, '>>', "$marks/end" } }
sub echo { return $_[0] }
my @fat = map { "text $_" } 1 .. 100_000;
sub is_whole { my $n = 0; $_ eq 'text ' . ++$n or return 0 for @fat; return $n }
1;
END

my $n = 0;
sub env {
    return (env => [ 'PATH=/usr/local/bin:/usr/bin:/bin', 'HOME=/srv', 'USER=web', 'LOGNAME=web', 'LANG=C.UTF-8',
        sprintf('SPAWN_JOB_ID=01900000-7000-0001-8000-%012d', ++$n), 'SPAWN_QUEUE=default', 'SPAWN_SOCKET=/run/spawn/socket' ]);
}

sub start {
    my (%with) = @_;
    return FakeSpawner->start(memory => 'frozen', preload => ['My'], inc => [$dir], %with,
        env => [ HOME => '/srv', USER => 'web', LOGNAME => 'web', @{ $with{env} || [] } ]);
}

sub median { my @s = sort { $a <=> $b } @_; return $s[ @s / 2 ] }

# Faults of processes that were reaped.
sub faults {
    my $usage = "\0" x 256;
    syscall(FakeSpawner->syscall_number('getrusage'), -1, $usage) == 0 or die "getrusage: $!";
    return (unpack 'q9', $usage)[8];
}

my $t = start();
my @found;
for (1 .. 5) {
    my $before = faults();
    my $job = $t->call('My::echo', ['x'], env());
    is_deeply $job->{returned}, ['x'], 'a job' if !@found;
    push @found, faults() - $before;
}
cmp_ok median(@found), '<', MOST, "its pages are there: @found";
is $t->call('My::is_whole', [], env())->{returned}[0], 100_000, 'all that was loaded is as it was';
is $t->dismiss, 0, 'the template leaves';

# ---- in a spare ----

sub spares {
    my @found;
    for my $file (glob '/proc/[0-9]*/stat') {
        open my $in, '<', $file or next;
        my ($pid, $name, $state, $parent) = (<$in> || '') =~ /\A(\d+) \((.*)\) (\S) (\d+)/s or next;
        push @found, $pid if $parent == $$ && $name =~ /\Amod_spawn spare/ && $state eq 'S';
    }
    return @found;
}

sub faults_of {
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/stat" or die "$pid: $!";
    return (split / /, (split /\) /, <$in>)[1])[7];
}

$t = start(spares => 2);
$t->call('My::echo', ['x'], env());
my @since;
for (1 .. 5) {
    ok wait_until(sub { spares() == 2 }, 20), 'spares' if !@since;
    wait_until(sub { spares() == 2 }, 20);
    my %before = map { $_ => faults_of($_) } spares();
    my $before = faults();
    my $job = $t->call('My::echo', ['x'], env());
    push @since, faults() - $before - $before{ $job->{pid} } if defined $before{ $job->{pid} };
}
cmp_ok median(@since), '<', MOST_SINCE, "a spare has copied its pages before its order: @since";
is $t->dismiss, 0, 'the template leaves';

# ---- what does not run ----

my $marks = FakeSpawner::files();
chmod 01777, $marks;
$t = start(env => [ MARKS => "$marks" ], code => 'use Apache2::Spawn::Template; Apache2::Spawn::Template::_end_blocks(2);');
is_deeply [ glob "$marks/*" ], [], 'no hook of after_fork ran, and no END block';
is_deeply $t->call('My::echo', ['x'], env())->{returned}, ['x'], 'a job';
is_deeply [ map { s{.*/}{}r } glob "$marks/*" ], [qw(end hook)], '... in which they run';
undef $t;

# ---- handlers ----

SKIP: {
    my $library = SpawnTest::ForkLibrary->build or skip 'no C library can be compiled here', 1;
    for my $how (qw(hang_children end_children)) {
        my $lib = FakeSpawner::files('My/Lib.pm' => $library->code . "\nMy::Lib::$how(); 1;\n");
        $t = start(preload => [ 'My', 'My::Lib' ], inc => [ "$dir", "$lib" ]);
        my $job = $t->order('My::echo', ['x'], env());
        my $message;
        do { $message = $t->next_message } until !$message || $message->{type} eq 'launched';
        is $message->{attr}{id}, $job->{id}, "$how: there are jobs";
        kill 'KILL', $message->{attr}{pid};
        waitpid $message->{attr}{pid}, 0;
        ok wait_until(sub { !grep { $_ != $t->{pid} } children() }, 20), '... and nobody else is left';
        is $t->dismiss, 0, '... and the template leaves';
    }
}

# ---- a template of the kind parent, whose jobs are its children ----

$t = start(code => 'use Apache2::Spawn::Template; BEGIN { my $serve = \\&Apache2::Spawn::Template::_until_the_end; '
        . 'no warnings "redefine"; *Apache2::Spawn::Template::_until_the_end = sub { $serve->(1) } }');
is_deeply [ children_of($t->pid) ], [], 'its jobs of nothing are reaped before it is ready';
is $t->dismiss, 0, '... and it leaves';

# Of this process, that have not ended.
sub children {
    my @found;
    for my $file (glob '/proc/[0-9]*/stat') {
        open my $in, '<', $file or next;
        my ($pid, $state, $parent) = (<$in> || '') =~ /\A(\d+) \(.*\) (\S) (\d+)/s or next;
        push @found, $pid if $parent == $$ && $state ne 'Z';
    }
    return @found;
}

done_testing;
