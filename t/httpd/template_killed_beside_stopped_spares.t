#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A template is killed while its spares are stopped, each with an order that it has
# not read and a copy of the template's link: that the template has gone is noticed all
# the same, of both kinds. Its jobs can be ended, others are served, httpd stops.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Process qw(children_of cmdline);
use SpawnTest::Spares qw(ends);

sub template_of {
    my ($t, $kind) = @_;
    my ($pid) = grep { join(q{ }, cmdline($_)) =~ /\Amod_spawn template $kind\s*\z/ }
        map { children_of($_) } $t->httpd->pid, $t->httpd->spawner_pid;
    return $pid;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Spares->new(mpm => $mpm, conf => SpawnTest::Httpd->rounds_are_short)->start;
        my $spawn = $t->spawn;
        for my $kind (qw(parent exec)) {
            my $file = $t->httpd->work . "/ran-$kind";
            my $template = template_of($t, $kind);
            my ($jobs, $stopped) = $t->in_stopped_spares($kind, 2,
                sub { return $spawn->spawn_call('My::Spare::note', [$file], template => $kind, timeout => 120) });
            my @jobs   = @{$jobs};
            my @spares = @{$stopped};
            unlink $file; # of others
            pass "$kind: orders go to stopped spares";
            kill KILL => $template;
            ok ends($template), '... whose template is killed';
            $_->kill('KILL') for @jobs;
            # of a job whose parent has gone the status may not be known
            is_deeply [ grep { ($_ || q{}) !~ /\A(?:cancelled|code_unknown)\z/ } map { my $end = $_->wait(20); $end && $end->outcome } @jobs ],
                [], '... their jobs end when they are killed';
            ok ends(@spares), '... with their processes';
            is $spawn->call('My::Spare::echo', ['on'], template => $kind, timeout => 60), 'on', '... others are served';
            ok !-e $file, '... and none has run';
        }
        ok $t->httpd->stop, 'httpd stops';
        ok $t->httpd->pair_gone(20), '... and the pair';
    }
);
done_testing;
