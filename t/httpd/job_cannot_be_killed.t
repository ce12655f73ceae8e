#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job that hangs in the kernel (a file system whose server does not answer)
# and does not even end by KILL is told as such, and keeps neither its place in
# the queue nor, at a stop, the pair. Programs that hang before they run or
# while they do, Perl functions of both kinds of template, a worker.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();
use SpawnTest::Hang ();
use SpawnTest::Process qw(alive parent_of state_of);

plan skip_all => 'needs root: others cannot mount' if $< != 0;

sub call {
    my ($httpd, %options) = @_;
    my $path = delete $options{path};
    my $answer = SpawnTest::Calls->ask($httpd,
        'Apache2::Spawn->spawn_call("SpawnTest::Functions::reads", [shift], @_)->id', $path, %options);
    die explain $answer if !$answer->{values};
    return $answer->{values}[0];
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(
            mpm => $mpm,
            templates => "SpawnTemplate tools exec preload=SpawnTest::Functions inc=\@INC@\n"
                . "PerlModule SpawnTest::Functions\n",
            conf => "<SpawnQueue five>\nSpawnMaxJobs 5\n</SpawnQueue>\n"
                . "<SpawnQueue workers>\nSpawnWorkers 1\n</SpawnQueue>\n",
        )->start;
        my $hang = SpawnTest::Hang->fuse($httpd->dir . '/hang')
            or plan skip_all => 'there is no FUSE here';
        my $dir = $httpd->dir . '/hang';

        # When it sleeps in its stdin: mostly before the broker has asked for its process.
        my $at_once = $httpd->spawn(['/bin/true'], stdin => "$dir/open")->{id};
        $hang->hung(1);
        $httpd->do('kill', id => $at_once, signal => 'KILL');

        my %limits = (timeout => 6, grace => 0.5, queue => 'five');
        my %id = (
            'a program before it runs' => $httpd->spawn(['/bin/true'], stdin => "$dir/open", %limits)->{id},
            'a program in its cwd' =>
                $httpd->spawn(['/bin/true'], cwd => "$dir/lookup", %limits, queue => 'default')->{id},
            'a program that reads' => $httpd->spawn([ '/bin/cat', "$dir/read1" ], %limits)->{id},
            'a function of app' => call($httpd, path => "$dir/read2", template => 'app', %limits),
            'a function of tools' => call($httpd, path => "$dir/read3", template => 'tools', %limits),
            'a call in a worker' => call($httpd, path => "$dir/read4", %limits, queue => 'workers'),
            'one that somebody kills' =>
                $httpd->spawn([ '/bin/cat', "$dir/read5" ], queue => 'five')->{id},
            'one that somebody kills at once' => $at_once,
        );
        my $next = $httpd->spawn([ '/bin/sh', '-c', 'exit 5' ], queue => 'five');
        my %pid;
        for my $what (sort keys %id) {
            $pid{$what} = wait_until(sub { $httpd->status($id{$what})->{pid} }, 30);
            ok $pid{$what}, "$what: there";
        }
        wait_until(sub { state_of($pid{'one that somebody kills'}) eq 'D' }, 30);
        $httpd->do('kill', id => $id{'one that somebody kills'}, signal => 'KILL');
        for my $what (sort keys %id) {
            my $end = $httpd->wait($id{$what});
            is $end->{outcome}, $what =~ /somebody/ ? 'cancelled' : 'timed_out', "$what: its end is told"
                or diag explain $end;
            like $end->{message} || '', qr/^it cannot be killed: it hangs in the kernel/, '... as it is';
            is state_of($pid{$what}), 'D', '... and it is still there';
        }
        ok $httpd->wait_for_log(qr/MS0650: job \S+ \(pid \d+\) cannot be killed/), 'the log says so';
        is $httpd->wait($next->{id})->{exit_code}, 5, 'their places are free';
        my $sum = SpawnTest::Calls->ask($httpd,
            'Apache2::Spawn->call("SpawnTest::Functions::sum", [2, 3], @_)', queue => 'workers', timeout => 20);
        is_deeply $sum->{values}, [5], 'there is another worker' or diag explain $sum;

        # The next broker knows nothing of them, and takes no number for theirs.
        my $broker = $httpd->kill_pair('broker');
        ok $httpd->new_pid('broker', $broker), 'a new broker';
        is $httpd->run(['/bin/true'])->{exit_code}, 0, '... works';

        # Programs before they run are still the spawner's fork, by their name.
        my %hung = reverse %pid;
        my @pair = grep { !$hung{$_} } $httpd->spawner_pids, $httpd->broker_pid;
        is scalar @pair, 2, 'spawner and broker';
        push @pair, parent_of($pid{'a function of app'});
        $httpd->stop;
        ok wait_until(sub { !grep { alive($_) } @pair }, 20), '... do not wait for them, nor does their template';
        $hang->end;
        ok wait_until(sub { !grep { alive($_) } values %pid }, 30), 'they end when they can';
    }
);
done_testing;
