#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# With the memory controller of cgroup v2: a job beyond `tree-memory` is told as out_of_memory,
# whatever it is: a program, a Perl function of either kind of template, or a call of a worker.
# The most memory that a job has used is in its record.

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

my $group = SpawnTest::Cgroup->new('memory');
my $httpd = SpawnTest::Calls->httpd(mpm => one_mpm(), conf => <<"END")->start;
PerlModule SpawnTest::Functions
SpawnSubmitTimeout 60
SpawnTemplate own parent
SpawnCgroup @{[ $group->path ]}
<SpawnQueue workers>
    SpawnTemplate app
    SpawnWorkers 1 1
    SpawnLimit tree-memory=100M
</SpawnQueue>
END
my $spawn = $httpd->connection;
my @limit = (limits => { 'tree-memory' => '100M' });
my $eats = q{my $x = 'x' x (400 << 20); print length $x};

my $program = $spawn->spawn([ $^X, '-e', $eats ], @limit)->wait(120);
is $program->outcome, 'out_of_memory', 'a program' or diag explain $program, $httpd->tail;
is $program->signal, 9, '... killed by the kernel';
cmp_ok $program->rusage->{tree_memory}, '<=', 100 << 10, '... had no more than its limit' or diag explain $program->rusage;
is $spawn->spawn([ $^X, '-e', 'exit 3' ], @limit)->wait(120)->exit_code, 3, 'one that has enough ends as ever';

for my $template (qw(app own)) {
    my $job = $spawn->spawn_call('SpawnTest::Functions::eats_memory', [400], template => $template, @limit)->wait(120);
    is $job->outcome, 'out_of_memory', "a function of template $template" or diag explain $job, $httpd->tail;
}
my $call = $spawn->spawn_call('SpawnTest::Functions::eats_memory', [400], queue => 'workers')->wait(120);
is $call->outcome, 'out_of_memory', 'the first call of a worker' or diag explain $call, $httpd->tail;
is $spawn->call('SpawnTest::Functions::sum', [ 1, 2 ], queue => 'workers', timeout => 120), 3, '... and another worker serves';
done_testing;
