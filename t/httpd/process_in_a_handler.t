#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# In a handler, with nothing configured and with an exec template: no child of
# httpd's, and nothing of the handler's is touched.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm sanitized);
use SpawnTest::Calls ();

each_mpm(
    sub {
        my ($mpm) = @_;
        for my $templates ([ templates => '' ], []) {
            my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, @{$templates})->start;
            my $answer = SpawnTest::Calls->ask($httpd, <<'END', sanitized());
require Apache2::Spawn::Process;
$Apache2::Spawn::Process::PERL = shift;
my $before = join ',', map { defined $SIG{$_} ? "$_=$SIG{$_}" : () } sort keys %SIG;
$@ = 'mine';
$! = 7;
my $pool = Apache2::Spawn::Process->new(via => $r, label => 'pool')->eval('sub hello { my $fh = shift; print {$fh} "hello @_\n" }')->send_arg(1);
my @all = ($pool->fork->send_arg(2), $pool->fork->send_arg(3), $pool);
my @said;
for my $process (@all) {
    my $fh = $process->run('hello');
    $fh->blocking(1);
    local $! = 0;
    push @said, scalar <$fh>;
}
my @status = map { $_->wait(20) ? $_->exit_status : 'late' } @all;
my @error = ($@, $! + 0);
my $after = join ',', map { defined $SIG{$_} ? "$_=$SIG{$_}" : () } sort keys %SIG;
my $context = $pool->job->status->context;
(\@said, \@status, @error, $before eq $after, $context->{uri}, waitpid(-1, 1))
END
            my ($said, $status, @rest) = @{ $answer->{values} || [] } or diag explain $answer;
            is_deeply $said, [ "hello 1 2\n", "hello 1 3\n", "hello 1\n" ], 'a process and its forks';
            is_deeply $status, [ 0, 0, 0 ], 'how they ended';
            is_deeply \@rest, [ 'mine', 7, 1, '/perl', -1 ], 'errors, signals and children of the handler'
                or diag explain \@rest;
        }
    }
);
done_testing;
