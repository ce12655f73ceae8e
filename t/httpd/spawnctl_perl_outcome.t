#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# How a Perl function ended is said with the same word by spawnctl ps and show:
# returned or died, not with the exit code of its process; who has called exit is
# exited.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm);
use SpawnTest::ParentTemplate qw(httpd_with_functions connection);

my $httpd = httpd_with_functions(mpm => one_mpm())->start;
my $ctl = SpawnTest::Ctl->new($httpd);
my $connection = connection($httpd);

for ([ 'returned', 'My::Loaded::add', [ 1, 2 ] ], [ 'died', 'My::Loaded::none_such', [] ], [ 'exited 5', 'My::Loaded::leave', [5] ]) {
    my ($word, $function, $arguments) = @{$_};
    my $job = $connection->spawn_call($function, $arguments);
    ok $job->wait(20), "$function is done";
    my $id = $job->id;
    like $ctl->run(qw(ps --all))->{out}, qr/^\Q$id\E  \Q$word\E  /m, "... ps: $word";
    like $ctl->run('show', $id)->{out}, qr/^  state      done: \Q$word\E$/m, "... show: $word";
}
done_testing;
