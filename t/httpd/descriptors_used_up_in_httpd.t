#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# httpd's children have no free descriptor, or their parent has none: a child that has its
# connection goes on, another one gets an error that says so; a spawner that dies meanwhile
# has a successor when the parent has descriptors again; jobs that run go on.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Calls ();
use SpawnTest::Limits qw(limit no_descriptors);

# One child serves all, so that it is known which.
my $httpd = SpawnTest::Calls->httpd(mpm => 'prefork', children => 1,
    templates => '', conf => "StartServers 1\nSpawnSubmitTimeout 2\n")->start;
my $gate = SpawnTest::Gate->new($httpd, 'a');
my $running = $httpd->spawn($gate->job('exit 7'), reply => 'started');

# A job, when all numbers are taken that the child can have.
sub in_child {
    my $child = $httpd->do('pid')->{pid};
    my $had = limit($child, nofile => 200);
    my ($pid, $came) = @{ SpawnTest::Calls->ask($httpd, <<'END')->{values} };
require POSIX;
my @taken;
while (defined(my $fd = POSIX::dup(1))) { push @taken, $fd }
my $end = eval { Apache2::Spawn->spawn([ '/bin/sh', '-c', 'exit 3' ])->wait(10)->exit_code };
my $error = $@;
POSIX::close($_) for @taken;
return $$, defined $end ? "exited $end" : ref $error ? join ' ', $error->code, $error->step, 0 + $error->errno : "$error";
END
    limit($child, nofile => $had);
    is $pid, $child, 'in the same child';
    return $came;
}
is in_child(), 'exited 3', 'a child that is connected goes on without free descriptors';
my $first = $httpd->do('pid')->{pid};
$httpd->graceful;    # the next child has no connection yet
ok wait_until(sub { $httpd->do('pid')->{pid} != $first }, 30), 'another child serves';
is in_child(), 'system connect 24', 'one that is not is told why not';
is $httpd->run(['/bin/true'])->{outcome}, 'exited', 'with descriptors it is served';

my ($spawner, $from) = ($httpd->spawner_pid, length $httpd->error_log);
my $had = no_descriptors($httpd->pid);
$httpd->kill_pair('spawner');
ok $httpd->wait_for_log(qr/Too many open files: MS0120: /, 30, $from), 'without descriptors the parent cannot start another spawner, and says so';
limit($httpd->pid, nofile => $had);
ok $httpd->new_pid('spawner', $spawner), 'with descriptors there is one';
ok wait_until(sub { ($httpd->status($running->{id})->{state} || '') eq 'running' }, 30), 'the job that ran all along runs on';
$gate->let(1);
like $httpd->wait($running->{id})->{outcome}, qr/\A(?:exited|code_unknown)\z/, 'and its end is told';
is $httpd->run(['/bin/true'])->{outcome}, 'exited', 'others run';
done_testing;
