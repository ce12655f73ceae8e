#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SpawnOnFailure, outside of the queues and in one: a Perl function, a program with
# arguments, or none; a job's own on_failure goes before it, also that of a recurring job,
# and the queue's limits of programs hold for what it calls.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::OnFailure qw(site notes noted followers program);

sub slurp {
    my ($file) = @_;
    open my $in, '<', $file or die "$file: $!\n";
    local $/;
    return scalar <$in>;
}

each_mpm(sub {
    my ($mpm) = @_;
    my $t = site(mpm => $mpm);
    my @program = map {qq("$_")} map { s/(["\\])/\\$1/gr } program($t);
    $t->httpd->{conf} .= <<"END";
SpawnOnFailure My::Failed::note
<SpawnQueue own>
    SpawnOnFailure @program one "two words"
</SpawnQueue>
<SpawnQueue quiet>
    SpawnOnFailure None
</SpawnQueue>
<SpawnQueue strict>
    SpawnAllow /bin/false
</SpawnQueue>
SpawnCron \@yearly name=yearly on_failure=My::Failed::note_and_die queue=quiet /bin/false
END
    $t->start;
    my $spawn = $t->spawn;
    my $ctl = SpawnTest::Ctl->new($t->httpd);
    my $variables = $t->httpd->work . '/variables';

    my $job = $spawn->spawn(['/bin/false']);
    is scalar(() = noted($t, $job->id)), 1, 'outside of the queues: a function';

    $job = $spawn->spawn([ '/bin/sh', '-c', 'exit 9' ], queue => 'own', label => 'nine');
    ok wait_until(sub { -e $variables }, 30), 'in a queue: a program';
    my $id = $job->id;
    is_deeply [ sort split /\n/, slurp($variables) ], [ sort 'SPAWN_FAILED_ATTEMPT=1', 'SPAWN_FAILED_EXIT_CODE=9', "SPAWN_FAILED_ID=$id",
        'SPAWN_FAILED_LABEL=nine', 'SPAWN_FAILED_OUTCOME=exited', 'SPAWN_FAILED_QUEUE=own', 'SPAWN_FAILED_REQUEST_ID=', 'SPAWN_FAILED_WHAT=/bin/sh',
        'one two words' ], '... which has its arguments, and what has failed in its variables';
    my @rows = $spawn->list(queue => 'own');
    is scalar(grep { $_->id ne $id } @rows), 1, '... a job of this queue';

    $job = $spawn->spawn(['/bin/false'], queue => 'own', on_failure => 'My::Failed::note');
    is scalar(() = noted($t, $job->id)), 1, "a job's own goes before the queue's";
    my @none = map { $spawn->spawn(['/bin/false'], %{$_}) } { queue => 'quiet' }, { on_failure => 'none' };
    $_->wait(30) for @none;

    $job = $spawn->spawn(['/bin/false'], queue => 'strict');
    $job->wait(30);
    ok wait_until(sub { grep { $_->outcome && $_->outcome eq 'start_failed' } $spawn->list(queue => 'strict') }, 30),
        'SpawnAllow holds for what is called, too';
    ok !noted($t, $job->id, 1), '... it is not called';

    is $ctl->run(qw(cron run yearly))->{code}, 0, 'a recurring job is run';
    ok wait_until(sub { grep { $_->{got}[0]{label} && $_->{got}[0]{label} eq 'yearly' } notes($t) }, 30), 'its own is called';

    is $ctl->run(qw(run --queue quiet --on-failure My::Failed::note -- /bin/false))->{code}, 1, 'spawnctl run --on-failure';
    ok wait_until(sub { grep { $_->{got}[0]{queue} eq 'quiet' && !$_->{got}[0]{label} } notes($t) }, 30), '... has it called';
    is_deeply [ followers($t, $_->id) ], [], 'none has none' for @none;
    is scalar(() = $spawn->list(queue => 'quiet', state => 'queued')), 0, 'and nothing waits';
});
done_testing;
