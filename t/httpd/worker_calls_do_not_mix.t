#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A worker's call learns of itself only what is of this call, whether the one before it
# has asked, has kept the object, has forked, has died or had big arguments; in its hooks
# it is no job. The values of a call that was refused are gone, too.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Templates ();

my $t = SpawnTest::Templates->new(
    conf  => "<SpawnQueue rpc>\nSpawnWorkers 1 1\n</SpawnQueue>\n<SpawnQueue other>\nSpawnWorkers 1 1\n</SpawnQueue>\n",
    files => { 'My/Self.pm' => <<'END' },
package My::Self;
use strict;
use warnings;
use Apache2::Spawn::Template ();
our ($in_hook, @kept);
Apache2::Spawn::Template::after_fork(sub { $in_hook = Apache2::Spawn::Current->job ? 'a job' : 'none' });
sub hook { return $in_hook }
sub job { return Apache2::Spawn->job }
sub about { my ($j) = @_; return { id => $j->id, label => $j->label, queue => $j->queue, function => $j->function, context => $j->context } }
sub tells { return about(job()) }
sub keeps { push @kept, job(); return 1 }
sub kept { return [ map { about($_) } @kept ] }
sub asks_not { return defined $Apache2::Spawn::Current::current ? 'made' : 'not made' }
sub dies { job()->context->{user} = 'changed'; die job()->id, "\n" }
sub forks { my $pid = fork; die if !defined $pid; if (!$pid) { job()->progress(1, 1, 'below'); require POSIX; POSIX::_exit(0) } waitpid $pid, 0; return job()->id }
sub big { my ($text) = @_; my $before = about(job()); return [ length $text, $before ] }
sub cannot_travel { job(); return sub { 1 } }
sub values_twice { return ($_[0], $_[0]) }
sub remembers { our $n; return ++$n }
sub changes_its_arguments { $_ .= '!' for @_; return @_ }
1;
END
    templates => 'SpawnTemplate app exec inc=@INC@ preload=My::Work,My::Self')->start;
my $spawn = $t->spawn;
my @rpc = (queue => 'rpc');

sub call { my ($f, $args, @with) = @_; return $spawn->spawn_call("My::Self::$f", $args, @rpc, @with) }
sub expect { my ($job, $f, %more) = @_; return { id => $job->id, queue => 'rpc', function => "My::Self::$f", label => undef, context => {}, %more } }

is call('hook', [])->result(20), 'none', 'in the hooks of a worker there is no job';
my $first = call('tells', [], label => 'first', context => { user => 'ann', a => 'b=c' });
is_deeply $first->result(20), expect($first, 'tells', label => 'first', context => { user => 'ann', a => 'b=c' }), 'the first call';
my $second = call('tells', []);
is_deeply $second->result(20), expect($second, 'tells'), 'the second one has none of it';
is call('asks_not', [])->result(20), 'not made', 'nor is anything made when it does not ask';

my @keep = map { call('keeps', [], label => "keep $_") } 1 .. 2;
$_->result(20) for @keep;
is_deeply call('kept', [])->result(20), [ map { expect($keep[ $_ - 1 ], 'keeps', label => "keep $_") } 1 .. 2 ], 'objects that were kept stay what they were';

my $dies = call('dies', [], context => { user => 'ben' });
eval { $dies->result(20); 1 };
is $@, $dies->id . "\n", 'one that dies';
my $next = call('tells', [], context => { user => 'ann' });
is_deeply $next->result(20)->{context}, { user => 'ann' }, 'and the next one';
my $forks = call('forks', []);
is $forks->result(20), $forks->id, 'one that forks';
is_deeply [ @{ $forks->progress }{qw(done text)} ], [ 1, 'below' ], 'its progress is of this call';

my $big = call('big', [ 'x' x 1_000_000 ], label => 'big');
is_deeply $big->result(20), [ 1_000_000, expect($big, 'big', label => 'big') ], 'more than a packet';
$next = call('tells', [ 'y' x 500_000 ]);
is_deeply $next->result(20), expect($next, 'tells'), 'twice';

eval { call('cannot_travel', [])->result(20); 1 };
like $@, qr/is a code reference/, 'what cannot travel back';
eval { call('not_there', [])->result(20); 1 };
like $@, qr/no function My::Self::not_there in template app; preload/, 'a function that is not there';
is_deeply [ call('changes_its_arguments', [ 'a', 'b' ], want => 'list')->result(20) ], [ 'a!', 'b!' ], 'arguments are of one call';
is_deeply [ call('values_twice', ['a'], want => 'list')->result(20) ], [ 'a', 'a' ], 'a value twice';
is call('remembers', [])->result(20), 1, 'the same process';
is call('remembers', [])->result(20), 2, 'has served them all';
is_deeply $spawn->call('My::Self::tells', [], queue => 'other')->{queue}, 'other', 'the worker of another queue knows its own';
done_testing;
