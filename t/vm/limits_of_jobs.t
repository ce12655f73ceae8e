#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# With the controllers of cgroup v2: the kernel has the limits of a program's whole tree, and
# holds to them: no more processes than tree-processes, and no more CPU time
# than tree-cpu. A function has them before it begins, of either kind of template; a call of
# a worker has those of its queue.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use Apache2::Spawn ();
use SpawnTest qw(one_mpm);
use SpawnTest::Calls ();
use SpawnTest::Cgroup ();

my $missing = SpawnTest::Cgroup::controllers_missing();
plan skip_all => $missing if $missing;

my $group = SpawnTest::Cgroup->new('limits');
my $httpd = SpawnTest::Calls->httpd(mpm => one_mpm(), conf => <<"END")->start;
PerlModule SpawnTest::Functions
SpawnSubmitTimeout 60
SpawnTemplate own parent
SpawnCgroup @{[ $group->path ]}
<SpawnQueue workers>
    SpawnTemplate app
    SpawnWorkers 1 1
    SpawnLimit tree-memory=300M tree-cpu=50 tree-processes=7
</SpawnQueue>
END
my $spawn = $httpd->connection;
my @limits = (limits => { 'tree-memory' => '300M', 'tree-cpu' => 50, 'tree-processes' => 7 });
my $look = 'here=/sys/fs/cgroup$(sed -n "s/^0:://p" /proc/self/cgroup); cat $here/memory.max $here/cpu.max $here/pids.max';
my $wanted = join "\n", 300 << 20, '50000 100000', 7, '';

# A call of a worker cannot say what its shell prints: that is asked by a file.
my $file = $httpd->work . '/limits';
my $of_function = sub {
    my (@options) = @_;
    unlink $file;
    $spawn->call('SpawnTest::Functions::starts', ["($look) >$file.new; mv $file.new $file"], timeout => 120, @options);
    open my $in, '<', $file or return "$file: $!";
    local $/ = undef;
    return scalar readline $in;
};
is $spawn->run([ '/bin/sh', '-c', $look ], stdout => 'capture', timeout => 120, @limits)->stdout, $wanted, 'a program has them';
is $of_function->(template => $_, @limits), $wanted, "a function of template $_" for qw(app own);
is $of_function->(queue => 'workers'), $wanted, 'and a worker those of its queue';

my $forks = q{my $n = 0; while (defined(my $pid = fork)) { $pid or do { sleep 600; exit }; last if ++$n > 50 } print $n};
is $spawn->run([ $^X, '-e', $forks ], stdout => 'capture', timeout => 120, leftovers => 'kill', limits => { 'tree-processes' => 7 })->stdout,
    6, 'no more processes than tree-processes';

# Half of a processor: so much CPU time takes twice as long, however busy the machine is.
my $busy = q{use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC CLOCK_PROCESS_CPUTIME_ID);
    my $from = clock_gettime(CLOCK_MONOTONIC); my $used = clock_gettime(CLOCK_PROCESS_CPUTIME_ID);
    1 while clock_gettime(CLOCK_PROCESS_CPUTIME_ID) < $used + 2;
    print clock_gettime(CLOCK_MONOTONIC) - $from};
my $took = $spawn->run([ $^X, '-e', $busy ], stdout => 'capture', timeout => 240, limits => { 'tree-cpu' => 50 })->stdout;
cmp_ok $took, '>', 3, '2 s of CPU time with tree-cpu=50 take more than 3 s';
done_testing;
