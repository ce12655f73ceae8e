#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SpawnSpawner external, and while httpd runs no spawner can be reached: its socket has no
# listener, or one that starts nothing. httpd serves on and tells it, and callers get the
# error of their deadline. A job that runs goes on; when there is a spawner again, it
# serves, and the job is known.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Socket qw(AF_UNIX SOCK_SEQPACKET pack_sockaddr_un);
use Test::More;

use SpawnTest qw(one_mpm is_error wait_until);
use SpawnTest::Process qw(alive);
use SpawnTest::Supervisor ();

sub lines_of {
    my ($httpd, $from, $pattern) = @_;
    return grep {/$pattern/} split /\n/, substr $httpd->error_log, $from;
}

sub told {
    my ($httpd, $from, $pattern, $name) = @_;
    return ok wait_until(sub { scalar lines_of($httpd, $from, $pattern) }, 120), $name || diag $httpd->tail;
}

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm());
my $supervisor = SpawnTest::Supervisor->new($httpd);
my $path = $supervisor->path;
$httpd->{conf} = "SpawnSpawner external $path\nSpawnSubmitTimeout 5\n" . SpawnTest::Httpd->rounds_are_short;
$httpd->start;
my $gate = SpawnTest::Gate->new($httpd, 'a');
my $job = $httpd->spawn($gate->job('exit 3'), reply => 'started');
ok alive($job->{pid}), 'a job runs';

# ---- nobody listens ----
$supervisor->end;
my $from = length $httpd->error_log;
$httpd->kill_pair('spawner');
told($httpd, $from, qr/MS0191: /, 'the spawner is killed, and nobody starts another: httpd notices');
told($httpd, $from, qr/MS0293: no external spawner can be reached at \Q$path\E/, '... tries, and tells that nobody listens');
is_error($httpd->spawn(['/bin/true']), 'unreachable', undef, undef, 'callers get the error of their deadline');
is $httpd->get('/nothing-here')->{status}, 404, 'httpd serves';

# ---- somebody listens, and starts nothing ----
unlink $path or die "$path: $!\n";
socket my $listen, AF_UNIX, SOCK_SEQPACKET, 0 or die "socket: $!\n";
bind $listen, pack_sockaddr_un($path) or die "$path: $!\n";
listen $listen, 10 or die "listen: $!\n";
my $silent = length $httpd->error_log;
told($httpd, $silent, qr/MS0296: the external spawner at \Q$path\E does not answer/, 'one that does not answer is told');
is $httpd->get('/nothing-here')->{status}, 404, 'httpd serves';
ok alive($job->{pid}), 'the job runs on';

# ---- there is one again ----
close $listen;
$supervisor = SpawnTest::Supervisor->new($httpd);
my $again = length $httpd->error_log;
told($httpd, $again, qr/MS0192: the new spawner/, 'with the next try there is a spawner');
is_deeply [ lines_of($httpd, $again, qr/MS0296|MS0293/) ], [], '... which it reaches at once';
is wait_until(sub { $httpd->run([qw(/bin/echo yes)])->{stdout} }, 30), "yes\n", 'jobs run';
ok alive($job->{pid}), 'the job of before runs on';
is $httpd->status($job->{id})->{state}, 'running', '... and is known';
$gate->let;
like $httpd->wait($job->{id})->{outcome}, qr/\A(?:exited|code_unknown)\z/, '... to its end, which is told';
done_testing;
