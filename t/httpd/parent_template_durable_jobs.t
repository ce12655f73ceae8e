#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# kill -9 of everything under durable Perl jobs of a template that httpd has forked, and
# then its store is gone: those that had started are lost, or tried again when they asked
# for that; those that waited run with the next httpd, once.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::ParentTemplate qw(connection templates_of);
use SpawnTest::Process qw(alive all_pids cmdline);

my $functions = <<'END';
package My::Loaded;
use strict;
use warnings;
sub noted {
    my ($ran, $gate, $word) = @_;
    open my $out, '>>', $ran or die "$ran: $!\n";
    syswrite $out, "$word " . Apache2::Spawn->job->attempt . " $$\n";
    return 'noted' if !$gate;
    open my $in, '<', $gate or die "$gate: $!\n";
    sysread $in, my $byte, 1;
    return 'through';
}
END

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), disk => 1, perl => $functions, conf => "SpawnMaxJobs 2\n")->start;
my $store = ($httpd->socket =~ m{(.*)/})[0] . '/store';
my $ran = $httpd->work . '/ran';
my $gate = SpawnTest::Gate->new($httpd, 'a');

# Lines of what ran: [ word, attempt, pid ].
sub noted {
    open my $in, '<', $ran or return;
    return map { [split] } <$in>;
}

sub scribes {
    return grep { my @argv = cmdline($_); @argv == 3 && $argv[0] eq 'mod_spawn scribe' && $argv[2] eq $store } all_pids();
}

sub submit {
    my ($word, $at, %options) = @_;
    return connection($httpd)->spawn_call('My::Loaded::noted', [ $ran, $at ? $gate->path : undef, $word ], durable => 1, %options);
}

my $lost = submit('lost', 1);
my $again = submit('again', 1, retry => 1);
ok wait_until(sub { 2 == (() = noted()) }, 30), 'two run';
my @waiting = map { submit("waits$_", 0) } 1 .. 3;
my @first = noted();

# ---- the end of everything, but for what runs, which has nobody then ----
my @all = ($httpd->spawner_pids, $httpd->broker_pid, scribes());
kill STOP => $httpd->spawner_pids;
kill KILL => @all, templates_of($httpd);
$httpd->kill9;
ok wait_until(sub { $httpd->pair_gone(0) && !scribes() }, 20), 'everything is killed';
unlink glob "$store/jobs.db*";
kill KILL => map { $_->[2] } @first;
ok wait_until(sub { !grep { alive($_->[2]) } @first }, 20), 'as when the machine had stopped';

# ---- the next httpd ----
$httpd->start;
is connection($httpd)->job($_->id)->wait(30)->outcome, 'exited', 'one that waited runs' for @waiting;
is connection($httpd)->job($lost->id)->wait(30)->outcome, 'lost', 'one that had started is lost';
ok wait_until(sub { grep { $_->[0] eq 'again' && $_->[1] == 2 } noted() }, 30), 'one that asked for it has another attempt'
    or diag explain [noted()];
$gate->let;
is connection($httpd)->job($again->id)->result(30), 'through', '... which returns';
is_deeply [ sort map {"$_->[0] $_->[1]"} noted() ], [ 'again 1', 'again 2', 'lost 1', map {"waits$_ 1"} 1 .. 3 ],
    'and nothing ran more often';
done_testing;
