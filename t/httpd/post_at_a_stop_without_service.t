#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SpawnSpawner external: httpd is stopped while its spawner is dead and nobody starts another
# one, as systemd does not while it stops httpd's unit. A spawner of httpd's own stores what was
# posted, before httpd has ended. It runs with the next start, once, by the external spawner.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm);
use SpawnTest::Calls ();
use SpawnTest::Process qw(parent_of);
use SpawnTest::Supervisor ();

use constant POSTS => 20;

my $httpd = SpawnTest::Calls->httpd(mpm => one_mpm(), templates => '');
my $supervisor = SpawnTest::Supervisor->new($httpd);
my $path = $supervisor->path;
$httpd->{conf} .= "\nSpawnSpawner external $path\n";
my $ran = $httpd->work . '/ran';
$httpd->start;
is $httpd->run([qw(/bin/echo a)])->{stdout}, "a\n", 'jobs run';

$supervisor->end;
my $from = length $httpd->error_log;
$httpd->kill_pair('spawner');
ok $httpd->pair_gone, 'the spawner is killed, and nobody starts another one';
my $ids = SpawnTest::Calls->ask($httpd, <<'END', $ran, POSTS)->{values};
my ($ran, $posts) = @_;
return map { Apache2::Spawn->spawn([ '/bin/sh', '-c', "echo $_ >> $ran" ], reply => 'posted')->id } 1 .. $posts;
END
is scalar @{$ids}, POSTS, 'jobs are posted';
$httpd->stop;
my $said = substr $httpd->error_log, $from;
like $said, qr/MS0293: .*MS0226: /s, 'the stop tells of the spawner that stores them';
my $own = $said =~ /MS0226: [^\n]*\(pid (\d+)\)/ ? $1 : 0;
ok !-e "/proc/$own", '... which has ended before httpd' or diag $said;
ok !-e $ran, 'they do not run yet';

unlink $path, "$path-notify";
$supervisor = SpawnTest::Supervisor->new($httpd);
$httpd->start;
is parent_of($httpd->spawner_pid), $supervisor->{pid}, 'the next start has an external spawner';
is_deeply [ map { $httpd->wait($_)->{outcome} } @{$ids} ], [ ('exited') x POSTS ], '... and all of them run';
open my $in, '<', $ran or die "$ran: $!\n";
chomp(my @lines = <$in>);
is_deeply [ sort { $a <=> $b } @lines ], [ 1 .. POSTS ], '... each of them once';
$httpd->stop;
ok $httpd->pair_gone, 'and nothing is left';
done_testing;
