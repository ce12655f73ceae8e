#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A pair without httpd ends when its directory or its socket was removed, or something else stands
# in its place, though a user lives: nobody can reach it. The next one can be started. Where
# the store has gone, too, spawner and broker wait for it, and are ended here.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use File::Path ();
use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Alone ();
use SpawnTest::Process qw(alive);

my $alone = SpawnTest::Alone->new;
unshift @INC, $alone->perl;
require Apache2::Spawn;

# nobody waits so long here: it is not for this that one ends
my %options = (program => $alone->program, idle => '10min', timeout => 30);

# The broker may write there meanwhile.
sub remove {
    my ($dir) = @_;
    return wait_until(sub { File::Path::remove_tree($dir, { error => \my $errors }); return !-e $dir }, 30);
}

for my $case (
    [ 1, 'its directory is removed',                \&remove ],
    [ 1, 'another directory stands in its place',   sub { return rename($_[0], "$_[0]-aside") && mkdir $_[0], 0700 } ],
    [ 0, 'its socket is removed',                   sub { return unlink "$_[0]/socket" } ],
    [ 0, 'a link stands in the place of its socket', sub { return unlink("$_[0]/socket") && symlink '/none', "$_[0]/socket" } ],
    )
{
    my ($no_store, $what, $do) = @{$case};
    my $spawn = Apache2::Spawn->standalone($alone->dir, %options);
    is $spawn->run(['/bin/true'])->ok, 1, 'a pair works' or diag $alone->log_text;
    my @pids = map { my $of = "${_}_pid"; $alone->$of } qw(parent spawner broker);
    ok $do->($alone->dir), $what or diag $!;
    ok wait_until(sub { !alive($pids[0]) }, 60), '... and its parent ends' or diag $alone->log_text;
    if ($no_store) {
        kill KILL => $pids[1] if alive($pids[1]);
    }
    ok wait_until(sub { !grep { alive($_) } @pids }, 60), '... as do the spawner and the broker' or diag $alone->log_text;
    unlink $alone->dir . '/socket' if -l $alone->dir . '/socket';
    Apache2::Spawn::Standalone->release($alone->dir);
}
done_testing;
