#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A Perl function that returns while processes live that it has forked: its
# caller does not wait for them. They are kept or killed, as the option says, in its
# group or not, and none of them becomes httpd's.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();
use SpawnTest::ParentTemplate qw(templates_of);
use SpawnTest::Process qw(alive parent_of);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, conf => "PerlModule SpawnTest::Functions\nSpawnTemplate own parent\n")->start;
        my $gate = SpawnTest::Gate->new($httpd, 'left');

        for my $template (qw(app own)) {
            my $leaves = sub {
                my (%options) = @_;
                my $answer = SpawnTest::Calls->ask($httpd, <<'END', $gate->path, \%options, $template);
                    my ($gate, $options, $template) = @_;
                    my $job = Apache2::Spawn->spawn_call('SpawnTest::Functions::leaves_children', [ $gate ],
                        template => $template, %{$options});
                    return ($job->wait(30)->pid, $job->result(30));
END
                is scalar @{ $answer->{values} || [] }, 5, "$template: it returns while they live" or diag explain $answer;
                return @{ $answer->{values} };
            };

            my ($job, @pids) = $leaves->();
            is_deeply [ map { alive($_) } @pids ], [ (1) x 4 ], 'they are kept';
            is_deeply [ map { getpgrp $_ } @pids ], [ ($job) x 3, $pids[3] ], 'three in its group, one not';
            my ($own) = templates_of($httpd, 'own');
            my $parent = $template eq 'own' ? $own : $httpd->spawner_pid;
            is_deeply [ map { parent_of($_) } @pids ], [ ($parent) x 4 ], 'none is httpd\'s';
            $gate->let(4);
            ok wait_until(sub { !grep { alive($_) } @pids }, 20), 'they end when they like to';
            ok wait_until(sub { !grep { -e "/proc/$_" } @pids }, 20), 'and are reaped';

            ($job, @pids) = $leaves->(leftovers => 'kill');
            ok wait_until(sub { !grep { alive($_) } @pids }, 20), 'killed, when that is asked for, also what has left the group';
            ok wait_until(sub { !grep { -e "/proc/$_" } @pids }, 20), 'and reaped';
        }
    }
);
done_testing;
