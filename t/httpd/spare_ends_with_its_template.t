#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Spares end when nobody calls any more, and with their template, whatever ends that: a
# graceful restart, httpd's stop, a signal, the spawner's death. One that was stopped
# does not outlive a template that leaves. There are never more than are allowed.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm one_mpm);
use SpawnTest::Process qw(children_of cmdline);
use SpawnTest::Spares qw(ends);

# Those of both kinds of template.
sub all_spares {
    my ($t) = @_;
    return map { $t->have_spares($_, 2) } qw(exec parent);
}

sub quiet { return unlike $_[0]->httpd->error_log, qr/MS(?:0316|0331)/, 'the log says nothing of spares' }

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Spares->new(mpm => $mpm)->start;
        my $httpd = $t->httpd;

        my @spares = all_spares($t);
        $httpd->graceful;
        ok ends(@spares), 'a graceful restart: those of the old templates end';
        @spares = all_spares($t);
        kill STOP => @spares;
        $httpd->graceful;
        ok ends(@spares), '... also when they are stopped';

        @spares = all_spares($t);
        $httpd->stop;
        ok ends(@spares), 'httpd stops: they end';
        ok $httpd->pair_gone(20), '... and the pair';
        quiet($t);
    }
);

my $t = SpawnTest::Spares->new(mpm => one_mpm())->start;
my $httpd = $t->httpd;
my @spares = all_spares($t);
my @templates = grep { join(q{ }, cmdline($_)) =~ /\Amod_spawn template (?:exec|parent)\s*\z/ }
    map { children_of($_) } $httpd->pid, $httpd->spawner_pid;
is scalar(@templates), 2, 'both templates are there';
kill KILL => @templates;
ok ends(@spares), '... killed: their spares end';
@spares = $t->have_spares('exec', 2);
# httpd looks after its own every ten seconds: meanwhile nobody calls the other
is $t->spawn->call('My::Spare::echo', ['on'], template => 'parent', timeout => 60), 'on', '... and others serve';
ok ends(@spares), 'without calls spares end by themselves';
is_deeply [ $t->spares('exec') ], [], '... and no others come';
@spares = $t->have_spares('exec', 2);
kill KILL => $httpd->spawner_pid;
ok ends(@spares), 'the spawner is killed: they end';
quiet($t);
$httpd->stop;

$t = SpawnTest::Spares->new(mpm => one_mpm(), spares => 'spares=1')->start;
for my $kind (qw(exec parent)) {
    my ($spare) = $t->have_spares($kind, 1);
    my @jobs = map { $t->spawn->spawn_call('My::Spare::pid', [], template => $kind) } 1 .. 8;
    ok((grep { $_->result(20) == $spare } @jobs), "$kind: the one spare served");
    cmp_ok scalar(my @now = $t->spares($kind)), '<=', 1, '... and there is one at most';
}
quiet($t);
done_testing;
