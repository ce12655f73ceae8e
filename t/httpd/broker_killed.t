#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# kill -9 of the broker, again and again, during 200 running jobs, jobs that
# wait behind one, and a stream of submits: no job is lost, none runs twice,
# every exit code is right.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use POSIX ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);

# Accepted ones of the stream, in a process of its own that asks httpd.
sub stream {
    my ($httpd, $ran) = @_;
    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        my %accepted;
        my @errors;
        for my $round (0 .. 19) {
            # whatever happens, it must not go on as the test
            my $answer = eval {
                $httpd->do('spawn_many',
                    from => $round * 20, count => 20,
                    argv => [ '/bin/sh', '-c', "echo \$SPAWN_JOB_ID >>$ran; exit \$((%d % 200))" ]);
            } || { error => "$@" };
            my $n = $round * 20;
            for my $id (@{ $answer->{ids} || [] }) {
                $accepted{$id} = $n % 200 if defined $id;
                $n++;
            }
            push @errors, @{ $answer->{errors} || [ $answer->{error} ] };
            print "round\n";
            STDOUT->flush;
        }
        print JSON::PP::encode_json({ accepted => \%accepted, errors => \@errors }), "\n";
        STDOUT->flush;
        POSIX::_exit(0);
    }
    return $out;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm,
            conf => "SpawnMaxJobs 500\nSpawnMaxQueued 5000\nSpawnSubmitTimeout 20\n<SpawnQueue narrow>\nSpawnMaxJobs 1\n</SpawnQueue>\n")->start;
        my $gate = SpawnTest::Gate->new($httpd, 'a');
        my $ran = $httpd->work . '/ran';
        my $spawner = $httpd->spawner_pid;

        my $held = $httpd->do('spawn_many', count => 200, options => { reply => 'started' },
            argv => $gate->job("echo \$SPAWN_JOB_ID >>$ran; exit %d"));
        is_deeply $held->{errors}, [], '200 jobs run';
        my $n = 0;
        my %code = map { $_ => $n++ } @{ $held->{ids} };
        my $behind = $httpd->do('spawn_many', count => 20, options => { queue => 'narrow' },
            argv => $gate->job("echo \$SPAWN_JOB_ID >>$ran; exit %d"));
        is_deeply $behind->{errors}, [], '20 more are accepted, of which one runs';
        $n = 0;
        $code{$_} = $n++ for @{ $behind->{ids} };
        my $waiting = sub { return scalar grep { $httpd->status($_)->{state} eq 'queued' } @{ $behind->{ids} } };
        ok wait_until(sub { $waiting->() == 19 }, 30), 'and 19 wait';

        # A kill at every fourth round of the stream.
        my $stream = stream($httpd, $ran);
        my ($rounds, $kills, $answer) = (0, 0);
        while (my $line = <$stream>) {
            if ($line ne "round\n") {
                $answer = JSON::PP::decode_json($line);
                next;
            }
            if ($rounds++ % 4 == 0) {
                my $old = $httpd->kill_pair('broker');
                $kills++ if $httpd->new_process('broker', $old);
            }
        }
        close $stream;
        is $kills, 5, 'the broker was killed five times, and came again';
        is $httpd->spawner_pid, $spawner, 'the spawner stayed';
        is_deeply $answer->{errors}, [], 'the stream noticed nothing';
        %code = (%code, %{ $answer->{accepted} });
        is scalar keys %code, 620, '620 jobs were accepted';
        is $waiting->(), 19, 'those that waited wait still';

        $gate->let(220);
        my @ids = sort keys %code;
        my $ends = $httpd->do('wait_many', ids => \@ids, seconds => 60);
        my %wrong;
        for my $i (0 .. $#ids) {
            my $end = $ends->[$i];
            next if ($end->{outcome} || '') eq 'exited' && $end->{exit_code} == $code{ $ids[$i] };
            $wrong{ $ids[$i] } = $end;
        }
        is scalar keys %wrong, 0, 'every exit code is right'
            or diag 'first: ', explain((values %wrong)[0]);

        open my $in, '<', $ran or die "$ran: $!\n";
        my %times;
        while (my $id = <$in>) {
            chomp $id;
            $times{$id}++;
        }
        is_deeply [ grep { !$times{$_} } @ids ], [], 'each of them ran';
        is_deeply [ grep { $times{$_} > 1 } keys %times ], [], 'none ran twice';
    }
);
done_testing;
