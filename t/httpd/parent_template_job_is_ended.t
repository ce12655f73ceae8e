#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A Perl job of httpd's own template can be ended in whichever generation of it the
# job runs: by a time-out, a kill, SpawnOnStop kill. Jobs and workers.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::ParentTemplate qw(httpd_with_functions connection templates_of held);
use SpawnTest::Process qw(alive);

my $queue = "<SpawnQueue rpc>\nSpawnWorkers 0 4\n</SpawnQueue>\n";

my %again = (
    'a graceful restart' => sub { return $_[0]->graceful },
    'a restart'          => sub { return $_[0]->restart },
    'a stop and start'   => sub { my ($httpd) = @_; $httpd->stop; return $httpd->start },
);
my @again = ('a graceful restart', 'a restart', 'a stop and start');

sub ended {
    my ($what, $how) = @_;
    ok wait_until(sub { !alive($what->[1]) }, 30), "... ends";
    my $end = $what->[0]->wait(20);
    is_deeply [ $end->outcome, $end->signal ], $how, "... $how->[0], by signal $how->[1]";
    return;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = httpd_with_functions(mpm => $mpm, conf => $queue)->start;
        my $gate = SpawnTest::Gate->new($httpd, 'a');
        my $held = sub { return [ held($httpd, shift, $gate, [], @_) ] };
        my ($ctl, %jobs) = SpawnTest::Ctl->new($httpd);

        # one after another, so that the first ones live in several generations
        for my $when (@again) {
            $jobs{$when} = {
                late   => $held->('deaf_at_gate', timeout => 10, grace => 0.2),
                killed => $held->('at_gate'),
                deaf   => $held->('deaf_at_gate', grace => 0.2),
                worker => $held->('at_gate', queue => 'rpc'),
            };
            ok $again{$when}->($httpd), $when;
            # on a busy machine it is the time of the late one by now
            is $httpd->pid ? scalar(grep { !alive($_->[1]) } @{ $jobs{$when} }{qw(killed deaf worker)}) : 'no httpd', 0,
                'its jobs run on';
            is connection($httpd)->call('My::Loaded::add', [ 1, 2 ]), 3, 'calls are served';
        }
        for my $when (@again) {
            my %job = %{ $jobs{$when} };
            is $ctl->run('kill', $job{killed}[0]->id)->{code}, 0, "after $when: spawnctl kill";
            ended($job{killed}, [ 'cancelled', POSIX::SIGTERM() ]);
            is $ctl->run('kill', '--signal', 'KILL', $job{deaf}[0]->id)->{code}, 0, '... with KILL';
            ended($job{deaf}, [ 'cancelled', POSIX::SIGKILL() ]);
            ok $job{worker}[0]->kill, "... a worker's call";
            ended($job{worker}, [ 'cancelled', POSIX::SIGTERM() ]);
            pass '... a time-out';
            ended($job{late}, [ 'timed_out', POSIX::SIGKILL() ]);
        }

        # by a broker that is not the one that it was told to; and at the stop
        my @late = ($held->('at_gate'), $held->('deaf_at_gate', grace => 0.2), $held->('at_gate', queue => 'rpc'));
        $httpd->{conf} .= "SpawnOnStop kill\n";
        $httpd->graceful;
        my $spawn = $held->('at_gate');
        $httpd->graceful;
        $httpd->kill_pair('broker');
        ok wait_until(sub { eval { $spawn->[0]->kill } }, 20), 'a kill through the next broker';
        ended($spawn, [ 'cancelled', POSIX::SIGTERM() ]);
        my @old = templates_of($httpd);
        $httpd->stop;
        ok $httpd->pair_gone, 'SpawnOnStop kill: the pair goes';
        is scalar(grep { alive($_->[1]) } @late), 0, 'and with it the jobs of the old template';
        ok wait_until(sub { !grep { alive($_) } @old }, 20), 'and the templates';
        $httpd->start;
        is_deeply [ map { $_->[0]->status->signal } @late ], [ POSIX::SIGTERM(), POSIX::SIGKILL(), POSIX::SIGTERM() ],
            'and how they ended is known';
        is_deeply [ grep { /MS0603|MS0330|MS0331/ } split /\n/, $httpd->error_log ], [], 'no template had to be killed';
    }
);
done_testing;
