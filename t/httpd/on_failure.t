#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# on_failure: when a job has failed for good its function is called once, with what the job
# was and how it ended, in a job of its own. Not for a job that ended well, was cancelled,
# or is tried again; and not for a handler that fails.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::OnFailure qw(site notes noted followers);

each_mpm(sub {
    my ($mpm) = @_;
    my $t = site(mpm => $mpm, conf => "<SpawnQueue rpc>\nSpawnWorkers 1 1\n</SpawnQueue>\n<SpawnQueue one>\n</SpawnQueue>\n")->start;
    my $spawn = $t->spawn;
    my %option = (on_failure => 'My::Failed::note');

    # how it ended
    my $job = $spawn->spawn([ '/bin/sh', '-c', 'exit 7', 'sh', "a \xff" ], queue => 'one', label => 'seven', %option);
    my @notes = noted($t, $job->id);
    is @notes, 1, 'a program that failed: one call';
    is_deeply $notes[0]{got}, [ {
        id => $job->id, queue => 'one', label => 'seven', outcome => 'exited', exit_code => 7, attempt => 1,
        argv => [ '/bin/sh', '-c', 'exit 7', 'sh', "a \xff" ] } ], '... is told this' or diag explain $notes[0];
    isnt $notes[0]{id}, $job->id, '... and is a job of its own';
    my $handler = $spawn->job($notes[0]{id});
    my $status = $handler->wait(30);
    is_deeply [ $status->ok, $status->queue, $status->label ], [ 1, 'one', 'on failure' ], '... which ended well';

    $job = $spawn->spawn_call('My::Failed::dies', [], %option);
    @notes = noted($t, $job->id);
    is @notes, 1, 'a function that died';
    is $notes[0]{got}[0]{function}, 'My::Failed::dies', '... is named';
    ok $notes[0]{got}[0]{exit_code}, '... with its exit code';

    $job = $spawn->spawn_call('My::Failed::killed', [], %option);
    is +(noted($t, $job->id))[0]{got}[0]{signal}, 9, 'one that was killed by a signal';
    $job = $spawn->spawn([ '/bin/sleep', 60 ], timeout => 0.2, %option);
    is +(noted($t, $job->id))[0]{got}[0]{outcome}, 'timed_out', 'one whose time was over';
    $job = $spawn->spawn(['/no/such/program'], %option);
    my $got = (noted($t, $job->id))[0]{got}[0];
    is $got->{outcome}, 'start_failed', 'one that could not be started';
    like $got->{text}, qr/No such file/, '... with the reason';
    $job = $spawn->spawn_call('My::Failed::dies', [], queue => 'rpc', %option);
    is scalar(() = noted($t, $job->id)), 1, 'a call of a worker';
    my $id = $spawn->new_id;
    ok !eval { $spawn->call('My::Failed::dies', [], queue => 'rpc', id => $id, %option); 1 }, 'a call whose caller waits fails';
    is scalar(() = noted($t, $id)), 1, '... and the function is called, too';

    # retries
    $job = $spawn->spawn([ '/bin/sh', '-c', 'exit 3' ], retry => 2, backoff => '10ms', %option);
    @notes = noted($t, $job->id);
    is_deeply [ map { $_->{got}[0]{attempt} } @notes ], [3], 'one that was tried three times: after the last';

    # the handler of a handler
    $job = $spawn->spawn(['/bin/false'], on_failure => 'My::Failed::note_and_die');
    my ($note) = noted($t, $job->id);
    ok wait_until(sub { my $s = $spawn->job($note->{id})->status; $s->{state} eq 'done' && !$s->ok }, 30), 'a handler that fails';

    # none
    my @good = map { $spawn->spawn($_->[0], @{$_}[ 1 .. $#{$_} ]) }
        [ ['/bin/true'], %option ], [ ['/bin/false'] ], [ ['/bin/false'], on_failure => 'none' ];
    my $cancelled = $spawn->spawn([ '/bin/sleep', 60 ], %option);
    $cancelled->kill('TERM');
    my $late = $spawn->spawn(['/bin/false'], delay => 3600, %option);
    $late->kill('TERM');
    $_->wait(30) for @good, $cancelled, $late;
    is_deeply [ map { followers($t, $_->id) } @good, $cancelled, $late ], [], 'none of one that ended well, or was cancelled, or has none';
    my %calls;
    $calls{ $_->{got}[0]{id} }++ for notes($t);
    is_deeply [ grep { $calls{$_} != 1 || 1 != (() = followers($t, $_)) } keys %calls ], [], 'each was called once';
    is_deeply [ followers($t, $note->{id}) ], [], 'and nothing for the handler that failed';

    # refused
    for my $name ('note', 'My::Failed::no te', '/bin/true', '') {
        ok !eval { $spawn->spawn(['/bin/true'], on_failure => $name); 1 }, "on_failure '$name' is refused";
        is ref $@ && $@->code, 'invalid', '... as invalid';
    }
});
done_testing;
