#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A broker is killed while workers serve calls: the workers live on, callers get
# their results, and no call runs twice: those that run, those that return while
# there is no broker, and those that are on their way.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Patience qw(patient_call patiently);
use SpawnTest::Process qw(alive);
use SpawnTest::Templates ();

my $t = SpawnTest::Templates->new(
    conf => "SpawnSubmitTimeout 20\n<SpawnQueue rpc>\nSpawnWorkers 2 4\n</SpawnQueue>\n",
    files => { 'My/Count.pm' => <<'END' }, templates => 'SpawnTemplate app exec inc=@INC@ preload=My::Work,My::Count')->start;
package My::Count;
sub ran {
    my ($file, $n) = @_;
    open my $out, '>>', $file or die "$file: $!\n";
    syswrite $out, "$n\n";
    return ($n, 'x' x 5000);
}
sub ran_at {
    my ($file, $gate, $n) = @_;
    ran($file, $n);
    open my $in, '<', $gate or die "$gate: $!\n";
    sysread $in, my $byte, 1;
    return "$n over";
}
1;
END
my $httpd = $t->httpd;
my $spawn = $t->spawn;
my $gate = SpawnTest::Gate->new($httpd, 'a');
my $ran = $httpd->work . '/ran';

sub lines_of { my $file = shift; open my $in, '<', $file or return 0; return map { $_ + 0 } <$in> }

# Runs code in a process of its own; returns a handle to read what it prints.
sub in_child {
    my ($code) = @_;
    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!\n";
    return $out if $pid;
    $code->($httpd->connection);
    STDOUT->flush;
    POSIX::_exit(0);
}

# two callers that wait for the end (the store does not know such a call at
# first), and two jobs that were accepted
my @callers = map {
    my $n = $_;
    in_child(sub { print eval { (patient_call($_[0], 'My::Count::ran_at', [ $ran, $gate->path, $n ], queue => 'rpc'))[0] } // $@ });
} 1, 2;
my @jobs = map { $spawn->spawn_call('My::Count::ran_at', [ $ran, $gate->path, $_ ], queue => 'rpc') } 3, 4;
ok wait_until(sub { lines_of($ran) == 4 }, 60), 'four calls run';
ok wait_until(sub { 2 == grep { $_->pid } @jobs }, 60), '... and those of the jobs are known';
my @pids = map { $_->pid } @jobs;
my $old = $httpd->kill_pair('broker');
ok $httpd->new_pid('broker', $old), 'the broker is killed and another one is there';
is patiently(sub { $jobs[0]->status->state }), 'running', 'a job runs on';
is scalar patiently(sub { $spawn->call('My::Work::echo', ['x']) }), 'x', 'other calls are served';

$old = $httpd->broker_pid;
kill STOP => $old or die "stop $old: $!\n";
$gate->let(4);
kill KILL => $old or die "kill $old: $!\n";
ok $httpd->new_pid('broker', $old), 'they end while there is none';
is_deeply [ map { my $job = $_; patiently(sub { $job->result(60) }) } @jobs ], [ '3 over', '4 over' ], 'their results are there';
is_deeply [ map { my $out = $_; scalar <$out> } @callers ], [ '1 over', '2 over' ], 'for those who wait, too';
is_deeply [ sort { $a <=> $b } lines_of($ran) ], [ 1 .. 4 ], 'each ran once';
ok alive($_), 'a worker stays' for @pids;
like scalar patiently(sub { $spawn->call('My::Work::pid', [], queue => 'rpc') }), qr/\A\d+\z/, 'and they serve';

# a stream of calls by four callers, while brokers die
my $many = $httpd->work . '/many';
@callers = map {
    my $first = $_;
    in_child(sub {
        my ($caller) = @_;
        my $wrong = 0;
        for my $n (map { $first * 1000 + $_ } 1 .. 400) {
            my @r = eval { patient_call($caller, 'My::Count::ran', [ $many, $n ], queue => 'rpc') };
            next if @r == 2 && $r[0] == $n && length $r[1] == 5000;
            $wrong++;
            print STDERR "call $n: ", $@ || "$r[0] // q{}", "\n";
        }
        print $wrong;
    });
} 1 .. 4;
for (1 .. 4) {
    my $before = lines_of($many);
    wait_until(sub { lines_of($many) >= $before + 100 }, 60);
    $old = $httpd->kill_pair('broker');
    $httpd->new_process('broker', $old) or last;
}
is_deeply [ map { my $out = $_; scalar <$out> } @callers ], [ 0, 0, 0, 0 ],
    '1600 calls of four callers during four deaths: all return what they should';
my %count;
$count{$_}++ for lines_of($many);
is_deeply [ grep { ($count{$_} || 0) != 1 } map { my $f = $_; map { $f * 1000 + $_ } 1 .. 400 } 1 .. 4 ], [],
    'each ran once';
ok $t->workers('rpc') <= 4, 'with the workers that may be';
done_testing;
