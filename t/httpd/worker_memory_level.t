#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Over 10,000 calls one worker, its template, broker and spawner keep their
# memory and their descriptors, also when calls die, have big values and are
# told of from elsewhere.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(not_sanitized wait_until);
use SpawnTest::Process qw(open_files rss_kb);
use SpawnTest::Templates ();

not_sanitized('freed memory is held back, so that none stays level');
my $t = SpawnTest::Templates->new(
    conf  => "SpawnHistory 500\n<SpawnQueue rpc>\nSpawnWorkers 1\nSpawnWorkerMaxJobs none\n</SpawnQueue>\n",
    files => { 'My/Dies.pm' => "package My::Dies;\nsub dies { die { of => \$_[0] } }\n1;\n" },
    templates => 'SpawnTemplate app exec inc=@INC@ preload=My::Work,My::Dies')->start;
my $spawn = $t->spawn;
my @rpc = (queue => 'rpc');

sub calls {
    my ($count) = @_;
    my $good = 0;
    for my $n (1 .. $count) {
        my @echo = $spawn->call('My::Work::echo', [ $n, $n % 100 ? 'x' : 'x' x 100_000 ], @rpc);
        $good++ if @echo == 2 && $echo[0] == $n;
        next if $n % 50;
        $good-- if eval { $spawn->call('My::Dies::dies', [$n], @rpc); 1 } || $@->{of} != $n;
        $good-- if $spawn->spawn_call('My::Work::echo', [$n], @rpc)->result(20) != $n;
    }
    return $good;
}

my %pids = (
    spawner  => $t->httpd->spawner_pid, broker => $t->httpd->broker_pid,
    template => scalar $spawn->call('My::Work::parent', [], @rpc),
    worker   => scalar $spawn->call('My::Work::pid', [], @rpc));
my %most = (spawner => 64, broker => 1024, template => 64, worker => 256);    # kB more

is calls(2000), 2000, '2,000 calls to warm up';
my %before = map { $_ => rss_kb($pids{$_}) } keys %pids;
my %files  = map { $_ => scalar(open_files($pids{$_})) } keys %pids;
is calls(10_000), 10_000, '10,000 calls';
is $spawn->call('My::Work::pid', [], @rpc), $pids{worker}, 'by one worker';
for (sort keys %pids) {
    my $now = rss_kb($pids{$_});
    note "$_ $before{$_} kB, then $now kB";
    cmp_ok $now - $before{$_}, '<=', $most{$_}, "the $_ has not grown";
    my $process = $_;
    SKIP: {
        skip 'spawner and broker show their descriptors to root only', 1 if !defined $files{$process};
        ok wait_until(sub { open_files($pids{$process}) <= $files{$process} }, 30), '... nor have its descriptors';
    }
}
done_testing;
