#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A template of the kind exec is frozen by itself: its memory lies in a file in
# memory, a job has for itself what it writes and no descriptor of it, and finds
# everything as it was, whatever another job does. Not so with shared.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm not_sanitized wait_until);
use SpawnTest::Frozen qw(frozen functions memory_of sizes);
use SpawnTest::Templates ();

not_sanitized('a sanitizer\'s memory is not moved');
my $templates = <<'CONF';
SpawnTemplate app   exec inc=@INC@ preload=My::Work,My::Frozen
SpawnTemplate plain exec inc=@INC@ preload=My::Work,My::Frozen memory=shared
SpawnTemplate huge  exec inc=@INC@ preload=My::Work,My::Frozen memory=huge
CONF

each_mpm(sub {
    my ($mpm) = @_;
    my $t = SpawnTest::Templates->new(
        mpm => $mpm,
        templates => $templates,
        files => { 'My/Frozen.pm' => functions() })->start;
    my $spawn = $t->spawn;
    ok $spawn->call("My::Frozen::unchanged", [], template => $_), "$_ is there" for qw(app plain huge);
    my ($template) = $t->pids('app');

    # ---- what is where ----

    my $own = sizes(frozen(memory_of($template)));
    cmp_ok $own->{Size}, '>', 10_000, 'the template\'s memory is in a file in memory';
    cmp_ok $own->{Anonymous}, '<', 300, '... and next to nothing is its own beside that';
    cmp_ok $own->{Anonymous}, '>', 60, '... but what a call touches, so that no job has to look for it';
    is_deeply [ grep { /spawn-template/ } map { readlink($_) || () } glob "/proc/$template/fd/*" ], [],
        '... of which it has no descriptor';
    my $text = $spawn->call('My::Frozen::smaps');
    my $job = sizes(frozen($text));
    is $job->{Size}, $own->{Size}, 'a job has the same memory';
    cmp_ok $job->{Anonymous}, '<', 2000, '... and for itself what it has written';
    is $spawn->call('My::Frozen::descriptors'), $spawn->call('My::Frozen::descriptors', [], template => 'plain'),
        '... with no descriptor more than a job of a template that is not frozen';
    for my $other (qw(plain huge)) {
        is_deeply [ frozen(memory_of($t->pids($other))) ], [], "memory=$other: nothing is frozen in the template";
        is_deeply [ frozen($spawn->call('My::Frozen::smaps', [], template => $other)) ], [], '... nor in a job';
    }

    # ---- each job has its own ----

    my $gate = $t->httpd->work . '/gate';
    system('mkfifo', '-m', '666', $gate) == 0 or die "mkfifo: $?\n";
    my @jobs = map { $spawn->spawn_call('My::Frozen::changes', [ $gate, $_ ]) } qw(one two);
    for my $job (@jobs) {
        ok wait_until(sub { $job->progress }, 20), 'a job has changed all of it, and waits';
    }
    ok $spawn->call('My::Frozen::unchanged'), 'another job, meanwhile, finds it as the template made it';
    open my $out, '>', $gate or die "$gate: $!\n";
    syswrite $out, 'go';
    for my $word (qw(one two)) {
        my $seen = (shift @jobs)->result(20);
        is_deeply $seen, [ sprintf('%-8s', $word), sprintf('%-8s', $word), $word, $word, 8_000_000 ], "job $word saw its own";
    }
    ok $spawn->call('My::Frozen::unchanged'), 'the next job finds it as the template made it';
    is_deeply sizes(frozen(memory_of($template)))->{Size}, $own->{Size}, 'the template has what it had';
    is_deeply [ $t->pids('app') ], [$template], '... and is the same process';

    # ---- a job can do what it could ----

    for my $round (1, 2) {
        ok $spawn->call('My::Frozen::grows'), 'memory grows';
        is $spawn->call('My::Frozen::depth', [20_000]), 20_000, 'deep recursion';
        is $spawn->call('My::Frozen::forks'), 'child, value 1, 0', 'a job forks, and both have their own';
        is $spawn->call('My::Frozen::digest', ['abc']), 'a9993e364706816aba3e25717850c26c9cd0d89d',
            'a job loads a library';
    }
    ok $spawn->call('My::Frozen::unchanged'), 'and nothing of that is left';
    # huge pages are not always to be had
    my @told = grep { /MS0691/ && !/template huge .*(?:temporarily unavailable|Cannot allocate memory)/ }
        split /\n/, $t->httpd->error_log;
    is "@told", '', 'there is nothing to tell of';
});
done_testing;
