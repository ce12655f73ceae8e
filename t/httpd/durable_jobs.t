#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A durable job that was accepted runs after the end of every process, also when
# the store has lost it, and a second time only when it asked for that. It is
# refused where it could not be kept, with the reason.

use strict;
use warnings;

use File::Temp qw(tempdir);
use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm is_error wait_until);
use SpawnTest::Process qw(all_pids cmdline);

sub lines_of {
    my ($path) = @_;
    open my $in, '<', $path or return 0;
    my @lines = <$in>;
    return scalar @lines;
}

sub scribes {
    my ($httpd) = @_;
    my $store = ($httpd->socket =~ m{(.*)/})[0] . '/store';
    return grep { my @argv = cmdline($_); @argv == 3 && $argv[0] eq 'mod_spawn scribe' && $argv[2] eq $store } all_pids();
}

# kill -9 of all that is httpd's or ours, at once.
sub kill_everything {
    my ($httpd) = @_;
    my @all = ($httpd->spawner_pids, $httpd->broker_pid, scribes($httpd));
    kill STOP => $httpd->spawner_pids;
    kill KILL => @all;
    $httpd->kill9;
    return wait_until(sub { $httpd->pair_gone(0) && !scribes($httpd) }, 20);
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, disk => 1, conf => "SpawnMaxJobs 2\n");
        $httpd->start;
        my $store = ($httpd->socket =~ m{(.*)/})[0] . '/store';
        my $gate = SpawnTest::Gate->new($httpd, 'a');

        is scalar(scribes($httpd)), 0, 'without durable jobs nothing is started for them';
        my $run = $httpd->run([ '/bin/sh', '-c', 'echo durable; exit 3' ], durable => 1);
        is "$run->{exit_code} $run->{stdout}", "3 durable\n", 'a durable job runs to its end' or diag explain $run;
        is scalar(scribes($httpd)), 1, 'one process writes them';

        my $ran = $httpd->work . '/ran';
        my @running = map { $httpd->spawn($gate->job('exit 0'), durable => 1, reply => 'started') } 1 .. 2;
        my @waiting = map { $httpd->spawn([ '/bin/sh', '-c', "echo x >>$ran" ], durable => 1) } 1 .. 3;
        is scalar(grep { $_->{id} && !$_->{error} } @running, @waiting), 5, 'two run and three wait'
            or diag explain [ @running, @waiting ];
        ok kill_everything($httpd), 'everything is killed';
        unlink glob "$store/jobs.db*";
        ok !-e "$store/jobs.db", 'and the store is gone';
        $httpd->start;
        $gate->let(2);
        is $httpd->wait($_->{id})->{outcome}, 'exited', 'one that waited ran' for @waiting;
        is lines_of($ran), 3, '... once';
        my @ends = map { $httpd->wait($_->{id})->{outcome} } @running;
        is_deeply \@ends, [qw(lost lost)], 'those that had started are lost';
        is lines_of($ran), 3, 'and nothing else ran';

        my $refused = $httpd->spawn(['/bin/true'], durable => 1, reply => 'posted');
        is_error($refused, 'invalid', 'options', undef, 'a post is refused');
        like $refused->{error}{text}, qr/nobody could be told/, '... with the reason' or diag explain $refused;

        my $ctl = SpawnTest::Ctl->new($httpd);
        is $ctl->run(qw(run --durable -- /bin/sh -c), 'exit 4')->{code}, 4, 'spawnctl run --durable';
        ok $httpd->stop && $httpd->pair_gone, 'httpd stops';
        ok wait_until(sub { !scribes($httpd) }, 10), '... and leaves no process';
        my ($ledger) = glob "$store/durable-*.db";
        ok -e $ledger && !-s "$ledger-wal", '... and the ledger closed';

    SKIP: {
            skip 'no /dev/shm', 3 if !-d '/dev/shm';
            my $memory = tempdir('spawn-test-XXXXXXXX', DIR => '/dev/shm', CLEANUP => 1);
            chmod 0755, $memory or die "$memory: $!\n";
            $httpd->{conf} .= "SpawnStore $memory/store\n";
            $httpd->start;
            $refused = $httpd->spawn(['/bin/true'], durable => 1);
            like $refused->{error}{text}, qr{\Q$memory\E/store is on a tmpfs.*SpawnStore}, 'in memory it is refused'
                or diag explain $refused;
            is $httpd->run(['/bin/true'])->{exit_code}, 0, '... and other jobs are not';
            ok $httpd->stop && $httpd->pair_gone, 'httpd stops';
        }
    }
);
done_testing;
