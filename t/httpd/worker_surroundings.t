#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The surroundings of a worker: its own session and clean ones as any job, the
# hooks of after_fork once, not for each call. A call's changes of its
# environment are gone for the next one; its warnings have its own id in the
# log. A call that wants surroundings of its own gets a process of its own.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Templates ();

my $t = SpawnTest::Templates->new(
    conf  => "<SpawnQueue rpc>\nSpawnWorkers 1\n</SpawnQueue>\n<SpawnQueue plain>\n</SpawnQueue>\n",
    files => { 'My/Look.pm' => <<'END' },
package My::Look;
use strict;
use warnings;
use Apache2::Spawn::Template ();
our $forks = 0;
Apache2::Spawn::Template::after_fork(sub { $forks++ });
sub look {
    return {
        pid => $$, session => scalar(getpgrp), forks => $forks, env => {%ENV}, name => $0,
        stdin => readlink '/proc/self/fd/0', stdout => readlink '/proc/self/fd/1',
        fds => [ grep { -e "/proc/self/fd/$_" } 3 .. 60 ],
        cwd => readlink '/proc/self/cwd', id => Apache2::Spawn->job->id,
    };
}
sub soils { $ENV{SOILED} = 1; delete $ENV{PATH}; warn "soiled\n"; return $$ }
sub splits { my $pid = fork; die if !defined $pid; return 'child' if !$pid; waitpid $pid, 0; return 'parent' }
1;
END
    templates => 'SpawnTemplate app exec inc=@INC@ preload=My::Work,My::Look')->start;
my $spawn = $t->spawn;
my @rpc = (queue => 'rpc');

my $look = $spawn->call('My::Look::look', [], @rpc);
is $look->{session}, $look->{pid}, 'a process group of its own';
is $look->{forks}, 1, 'hooks have run';
is_deeply [ @{$look}{qw(stdin stdout cwd)} ], [ '/dev/null', '/dev/null', '/' ], 'surroundings';
is_deeply $look->{fds}, [], 'no descriptor that others could have by number';
is $look->{env}{SPAWN_QUEUE}, 'rpc', 'the queue';
is $look->{name}, 'mod_spawn worker rpc', 'and its name';
ok !exists $look->{env}{SPAWN_JOB_ID}, 'no id of a call in the environment';

my $job = $spawn->spawn_call('My::Look::soils', [], @rpc);
is $job->result(20), $look->{pid}, 'the same worker';
ok $t->httpd->wait_for_log(qr/job \Q${\$job->id}\E stderr: soiled/), 'a warning has the id of its call';
my $next = $spawn->call('My::Look::look', [], @rpc);
is $next->{forks}, 1, 'hooks have run once';
ok !exists $next->{env}{SOILED}, 'the environment is what it was';
is $next->{env}{PATH}, $look->{env}{PATH}, 'with what was taken from it';
isnt $next->{id}, $look->{id}, 'but the id';

is $spawn->call('My::Look::splits', [], @rpc), 'parent', 'a call that forks and whose child runs into its end';
is $spawn->call('My::Look::look', [], @rpc)->{pid}, $look->{pid}, 'disturbs nothing';

# surroundings of its own
for ([ cwd => '/tmp' ], [ env => { A => 1 } ], [ nice => 5 ], [ limits => { files => 50 } ], [ stdout => 'log' ],
    [ umask => '077' ]) {
    my $other = $spawn->call('My::Look::look', [], @rpc, @{$_});
    isnt $other->{pid}, $look->{pid}, "$_->[0]: a process of its own";
    is $other->{cwd}, '/tmp', 'in the directory' if $_->[0] eq 'cwd';
}
is $spawn->call('My::Work::pid', [], @rpc), $look->{pid}, 'the worker is still there';
like $spawn->run([ '/bin/echo', 'hello' ], @rpc)->stdout, qr/hello/, 'programs run in such a queue, too';
done_testing;
