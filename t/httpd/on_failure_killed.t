#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# kill -9 of the broker, and of the spawner with it, before, while and after jobs fail: what
# on_failure names is called once for each of them, whatever was killed between the failure
# and the start of the handler.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::OnFailure qw(site notes noted);
use SpawnTest::Patience qw(patiently);
use SpawnTest::Process qw(alive);

my %option = (on_failure => 'My::Failed::note');

sub killed {
    my ($httpd, $what, $text) = @_;
    my $old = $httpd->kill_pair($what);
    ok $httpd->new_pid($what, $old), $text;
    return;
}

# A job that fails when its gate lets it.
sub fails_at {
    my ($t, $gate) = @_;
    my $job = $t->spawn->spawn([ '/bin/sh', '-c', 'read x <"$0"; exit 7', $gate->path ], reply => 'started', %option);
    return ($job, scalar patiently(sub { $job->pid }));
}

each_mpm(sub {
    my ($mpm) = @_;
    my $t = site(mpm => $mpm)->start;
    my $httpd = $t->httpd;
    my $ctl = SpawnTest::Ctl->new($httpd);
    my @ids;

    # between the failure and the start of the handler, which waits in a paused queue
    my $gate = SpawnTest::Gate->new($httpd, 'a');
    my ($job, $pid) = fails_at($t, $gate);
    push @ids, $job->id;
    is $ctl->run(qw(pause default))->{code}, 0, 'the queue is paused while a job runs';
    $gate->let(1);
    is patiently(sub { $job->wait(30)->exit_code }), 7, 'it fails';
    is_deeply [ noted($t, $job->id, 1) ], [], 'the handler waits';
    killed($httpd, 'broker', 'the broker is killed') for 1 .. 2;
    killed($httpd, 'spawner', 'and the spawner');
    is_deeply [ noted($t, $job->id, 1) ], [], 'the handler waits still';
    is $ctl->run(qw(resume default))->{code}, 0, 'the queue is resumed';
    is scalar(() = noted($t, $job->id)), 1, 'and it is called';

    # the broker does not see the failure, but the next one does
    my $second = SpawnTest::Gate->new($httpd, 'b');
    ($job, $pid) = fails_at($t, $second);
    push @ids, $job->id;
    my $old = $httpd->broker_pid;
    kill STOP => $old or die "stop $old: $!\n";
    $second->let(1);
    ok wait_until(sub { !alive($pid) }, 30), 'a job fails while the broker is stopped';
    # its spawner may have killed it by then, as one that hangs
    $httpd->kill_pair('broker') if ($httpd->broker_pid || 0) == $old;
    ok $httpd->new_pid('broker', $old), 'which is killed then';
    is scalar(() = noted($t, $job->id)), 1, 'the next one has the function called';

    # in the midst of many
    for my $round (1 .. 3) {
        my @jobs = map { my ($n, $id) = ($_, $t->spawn->new_id); patiently(sub { $t->spawn->spawn([ '/bin/sh', '-c', "exit $n" ], id => $id, %option) }) } 1 .. 15;
        push @ids, map { $_->id } @jobs;
        ok wait_until(sub { scalar noted($t, $jobs[0]->id, 1) }, 30), 'the first of many has failed';
        killed($httpd, $round == 3 ? 'spawner' : 'broker', 'a process of the pair is killed');
        is_deeply [ grep { !noted($t, $_->id) } @jobs ], [], 'the function is called for each';
    }

    my %calls;
    $calls{ $_->{got}[0]{id} }++ for notes($t);
    is_deeply [ grep { ($calls{$_} || 0) != 1 } @ids ], [], 'once for each' or diag explain \%calls;
    is scalar(keys %calls), scalar @ids, 'and for no other job';
});
done_testing;
