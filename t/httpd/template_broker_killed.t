#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# kill -9 of the broker, again and again, while Perl jobs run, wait and are
# called: no result, progress or exit code is lost, none runs twice, and the
# templates stay.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Patience qw(patient_spawn_call patiently);
use SpawnTest::Process qw(alive);
use SpawnTest::Templates ();

my $t = SpawnTest::Templates->new(conf => "SpawnMaxJobs 30\nSpawnMaxQueued 2000\nSpawnSubmitTimeout 20",
    files => { 'My/Count.pm' => <<'END' }, templates => 'SpawnTemplate app exec inc=@INC@ preload=My::Work,My::Count')->start;
package My::Count;
use Apache2::Spawn ();
sub ran {
    my ($file, $n) = @_;
    open my $out, '>>', $file or die "$file: $!\n";
    syswrite $out, "$n\n";
    return ($n, 'x' x 5000);
}
1;
END
my $httpd = $t->httpd;
my $spawn = $t->spawn;
my $gate = SpawnTest::Gate->new($httpd, 'a');
my $ran = $httpd->work . '/ran';

my @jobs = map { $t->at_gate($gate, $_, 'y' x 100_000) } 1 .. 20;
ok $t->all_at_gate(@jobs), '20 calls run';
my @pids = map { $_->pid } @jobs;
my $template = ($t->pids('app'))[0];

my $old = $httpd->kill_pair('broker');
ok $httpd->new_pid('broker', $old), 'the broker is killed and another one is there';
is_deeply scalar patiently(sub { $jobs[3]->progress }), { done => 1, of => 2, text => 'at the gate' }, 'progress is kept';

# results that were put while there was no broker
$old = $httpd->broker_pid;
kill STOP => $old or die "stop $old: $!\n";
$gate->let(20);
ok wait_until(sub { !grep { alive($_) } @pids }, 30), 'they end while the broker is stopped';
# its spawner may have killed it by then, as one that hangs
$httpd->kill_pair('broker') if ($httpd->broker_pid || 0) == $old;
ok $httpd->new_pid('broker', $old), 'which is then killed';
is_deeply [ map { my $job = $_; my @r = patiently(sub { $job->result(60) }); $r[0] . length $r[1] } @jobs ], [ map {"${_}100000"} 1 .. 20 ],
    'no result is lost';

# a stream of calls in another process, while brokers die
my $pid = open my $out, '-|';
defined $pid or die "fork: $!\n";
if ($pid == 0) {
    my $caller = $httpd->connection;
    my @made;
    for my $n (1 .. 300) {
        push @made, [ $n, eval { patient_spawn_call($caller, 'My::Count::ran', [ $ran, $n ]) } ];
        print "called\n" if $n % 100 == 0;
        STDOUT->flush;
    }
    my @wrong = grep { my $job = $_->[1]; my @r = $job ? eval { patiently(sub { $job->result(60) }) } : (); !@r || $r[0] != $_->[0] || length $r[1] != 5000 } @made;
    print scalar(@wrong), " wrong\n";
    STDOUT->flush;
    POSIX::_exit(0);
}
my $answer = '';
while (my $line = <$out>) {
    $answer = $line;
    next if $line ne "called\n";
    $old = $httpd->kill_pair('broker');
    $httpd->new_process('broker', $old) or last;
}
close $out;
is $answer, "0 wrong\n", '300 calls during three deaths: all return what they should';
open my $in, '<', $ran or die "$ran: $!\n";
my %count;
$count{ $_ + 0 }++ for <$in>;
is_deeply [ grep { ($count{$_} || 0) != 1 } 1 .. 300 ], [], 'each ran once';
is_deeply [ $t->pids('app') ], [$template], 'and the template is the same one all the time';

done_testing();
