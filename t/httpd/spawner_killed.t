#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# kill -9 of the spawner: running jobs go on, a new pair comes, and how each
# job ended is told, with its exit code where the kernel gives it and never a
# wrong one.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Process qw(alive);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm,
            conf => "SpawnMaxJobs 20\nSpawnSubmitTimeout 20\n")->start;
        my $gate = SpawnTest::Gate->new($httpd, 'a');

        my $made = $httpd->do('spawn_many', count => 20, options => { reply => 'started' },
            argv => $gate->job('exit %d'));
        is_deeply $made->{errors}, [], '20 jobs run';
        my @ids = @{ $made->{ids} };
        my @pids = map { $httpd->status($_)->{pid} } @ids;
        my $queued = $httpd->spawn([ '/bin/sh', '-c', 'exit 33' ]);

        my ($spawner, $broker) = ($httpd->spawner_pid, $httpd->broker_pid);
        $httpd->kill_pair('spawner');
        ok $httpd->new_pid('spawner', $spawner), 'a new spawner comes';
        ok $httpd->new_pid('broker', $broker), 'and a new broker';
        is scalar(grep { alive($_) } @pids), 20, 'the jobs run on';
        is $httpd->status($ids[0])->{state}, 'running', 'and are known as running';

        $gate->let(20);
        my $ends = $httpd->do('wait_many', ids => \@ids, seconds => 60);
        my @wrong;
        for my $n (0 .. 19) {
            my $end = $ends->[$n];
            my $outcome = $end->{outcome} || '';
            push @wrong, $end
                if !($outcome eq 'exited' && $end->{exit_code} == $n)
                && $outcome ne 'code_unknown';
        }
        is scalar @wrong, 0, 'each end is told, none wrongly' or diag explain $wrong[0];
        is $httpd->wait($queued->{id})->{exit_code}, 33, 'the queued job ran';
        is $httpd->run([qw(/bin/echo x)])->{stdout}, "x\n", 'new jobs run';
    }
);
done_testing;
