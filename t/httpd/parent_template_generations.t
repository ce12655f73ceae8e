#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# httpd is restarted so often that a great number of old templates are there for a
# job that runs on: new code is used, by templates of both kinds, and each old one
# goes with its job.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::ParentTemplate qw(templates_of);
use SpawnTest::Process qw(alive);
use SpawnTest::Templates ();

use constant GENERATIONS => 70;

my $functions = <<'END';
package My::Loaded;
use Apache2::Spawn ();
sub template { return getppid }
sub at_gate {
    my ($gate) = @_;
    Apache2::Spawn->job->progress(1);
    open my $in, '<', $gate or die "$gate: $!\n";
    sysread $in, my $byte, 1;
    return getppid;
}
END

my $t = SpawnTest::Templates->new(
    mpm => 'prefork',
    perl => $functions,
    conf => "SpawnMaxJobs 200\n",
    templates => 'SpawnTemplate other exec inc=@INC@ preload=My::Work',
)->start;
my ($httpd, $spawn) = ($t->httpd, $t->spawn);
my $gate = SpawnTest::Gate->new($httpd, 'a');

my (@jobs, %template);
for my $n (1 .. GENERATIONS) {
    my $job = $spawn->spawn_call('My::Loaded::at_gate', [ $gate->path ]);
    wait_until(sub { $job->progress }, 60) or die("no job runs in generation $n\n" . $httpd->tail);
    push @jobs, $job;
    my $now = $spawn->call('My::Loaded::template');
    $template{$now} = 1;
    $t->new_version($n + 1);
    $httpd->graceful;
    wait_until(sub { $spawn->call('My::Loaded::template') != $now }, 60)
        or die("no new template after generation $n\n" . $httpd->tail);
}
is scalar(keys %template), GENERATIONS, 'each generation has its own template';
is scalar(templates_of($httpd, 'app')), GENERATIONS + 1, 'and all of them are there';
my $now = $spawn->call('My::Loaded::template');
ok !$template{$now}, 'a call is served by the last one';
ok wait_until(sub { $spawn->call('My::Work::version', [], template => 'other') == GENERATIONS + 1 }, 30),
    'new code is used by templates of the other kind';

my $killed = pop @jobs;
ok $killed->kill, 'a job of an old one is killed';
is $killed->wait(20)->outcome, 'cancelled', '... and ends';
$gate->let(scalar @jobs);
my %of = map { $_->result(20) => 1 } @jobs;
is_deeply [ sort keys %of ], [ sort grep { $of{$_} } keys %template ], 'the others return, each from its template';
is scalar(keys %of), GENERATIONS - 1, '... all of them';
ok wait_until(sub { my @left = templates_of($httpd, 'app'); return @left == 1 && $left[0] == $now }, 30),
    'then all old templates go';
is_deeply [ grep { /MS0603|AH00546|AH00167|long lost/ } split /\n/, $httpd->error_log ], [], 'and httpd knew each of them';
done_testing;
