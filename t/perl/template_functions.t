#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Which functions a Perl job can call, and what they see of their call: all that Perl
# itself can call by a name, as Perl itself calls it.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use FakeSpawner ();

plan skip_all => "no syscall numbers for this machine" if !FakeSpawner::can_run();

my $dir = FakeSpawner::files('My.pm' => <<'END', 'My/Child.pm' => <<'CHILD', 'hook.pl' => <<'HOOK');
package My;
use strict; use warnings;
use Apache2::Spawn::Template ();
use List::Util qw(sum);
our $AUTOLOAD;
our @left;
sub replaced { return 'old' }
sub itself { no warnings 'redefine'; *My::itself = sub { 'later' }; return 'now, ' . itself() }
sub with_prototype (\@) { return ref $_[0] || "no reference: @_" }
sub no_arguments () { return scalar @_ }
use constant ANSWER => 42;
use constant LIST => (1, 2, 3);
our $lvalue = 'value';
sub lvalue : lvalue { $lvalue }
our @tied; tie @tied, 'My::Tied';
sub tied_values : lvalue { @tied[0, 1] }
sub shares { my $x = 'same'; return ($x, $x, $_[0], $_[0]) }
sub all_contexts { return wantarray ? ('a', 'list') : defined wantarray ? 'scalar' : die "void\n" }
sub topic { local $_ = 'mine'; s/mine/changed/; return $_ }
sub outer_topic { return defined $_ ? "defined: $_" : 'undef' }
sub topics { return map { $_ * 2 } grep { $_ > 1 } @_ }
sub deep { my ($n) = @_; no warnings 'recursion'; return $n ? 1 + deep($n - 1) : 0 }
sub goes { unshift @_, 'gone'; goto &arguments }
sub arguments { return join ' ', map { defined $_ ? $_ : 'undef' } @_ }
sub changes { $_ .= '!' for @_; return @_ }
sub empties { @_ = (); return scalar @_ }
sub error_before { return [$@, $!+0, $^S] }
sub caller_is { my @c = caller; my @sub = caller 0; return [defined $c[0] ? 'somebody' : 'nobody', $sub[3], $sub[5]] }
sub stack { require Carp; return Carp::longmess('here') }
sub long_list { return 1 .. 20_000 }
sub sort_in { return sort { $b <=> $a } @_ }
sub matches { 'abc' =~ /(b)/; return $1 }
sub signals { my $seen = 0; local $SIG{USR1} = sub { $seen++ }; kill 'USR1', $$; return $seen }
sub dies_by_signal { $SIG{USR1} = sub { die "by a signal\n" }; return kill 'USR1', $$ }
sub many { return @_ }
sub exits { exit 3 }
sub deep_exit { my ($n) = @_; $n ? deep_exit($n - 1) : exit 4 }
sub destroys { my $guard = bless [], 'My::Guard'; return 'before' }
sub keeps { our $kept = bless [], 'My::Guard'; return 'before' }
sub returns_guard { return bless [], 'My::Guard' }
sub argument_guard { return ref $_[0] }
sub My::Guard::DESTROY { print "destroyed\n" }
sub encodes { require Sereal::Encoder; return Sereal::Encoder::encode_sereal([@_]) }
package My::Tied; sub TIEARRAY { bless [] } sub FETCHSIZE { 2 } sub FETCH { die "no element\n" if $My::dies; "fetched $_[1]" } sub STORE { }
package My::Auto; our $AUTOLOAD; sub AUTOLOAD { return if $AUTOLOAD =~ /DESTROY/; return "autoloaded $AUTOLOAD: @_" } sub declared;
package My::Base; sub inherited { 'inherited' }
package My::Heir; our @ISA = 'My::Base'; sub own { My::Heir->inherited } My::Heir->inherited;
package My; sub tied_dies : lvalue { our $dies = 1; @tied[0, 1] }
package main; sub in_main { "main: @_" }
1;
END
package My::Child; sub f { 'loaded' } sub g; 1;
CHILD
Apache2::Spawn::Template::after_fork(sub { no warnings; *My::replaced = sub { 'new' } });
1;
HOOK
my $t = FakeSpawner->start(preload => ['My'], inc => [$dir], name => 'app');

sub values_of { my ($function, $args, @with) = @_; my $job = $t->call($function, $args, want => 'list', @with); return $job->{returned} || $job->{died}{text} }
sub is_value { my ($function, $args, $expected, $name) = @_; return is_deeply values_of("My::$function", $args), $expected, $name }

# which functions
like values_of('My::List::Util::sum', [1]),
    qr/\Ano function My::List::Util::sum in template app; preload its module or use load => 'My::List::Util'; the template was loaded at /, 'a name is whole';
is_deeply values_of('List::Util::sum', [1, 2, 3]), [6], 'a function in C';
is_value('sum', [4, 5], [9], 'the same, imported');
is_value('ANSWER', [], [42], 'a constant');
is_value('LIST', [], [1, 2, 3], 'a list of them');
is_value('with_prototype', ['a'], ['no reference: a'], 'a prototype does nothing');
is_value('no_arguments', [1, 2], [2], 'nor one of none');
is_deeply values_of('main::in_main', [1]), ['main: 1'], 'in main';
is_deeply values_of('::in_main', [1]), ['main: 1'], 'written short';
is_deeply values_of("My'arguments", [1]), [1], 'with the old separator';
like values_of('in_main', [1]), qr/\Ano function in_main in template app; preload/, 'a name without its package';
like values_of('My::Heir::inherited'), qr/\Ano function My::Heir::inherited in template app; preload/, 'a method that was inherited is no function';
is_deeply values_of('My::Auto::declared', [1]), ['autoloaded My::Auto::declared: 1'], 'declared, and autoloaded';
like values_of('My::Auto::unknown', [1]), qr/\Ano function My::Auto::unknown in template app; preload/, 'not declared: not autoloaded';
is_value('replaced', [], ['old'], 'as it is in the template');
is_value('itself', [], ['now, later'], 'one that replaces itself');
is_deeply values_of('My::Child::f', [], load => 'My::Child'), ['loaded'], 'of a module that is loaded for it';
like values_of('My::Child::g', [], load => 'My::Child'), qr/\AUndefined subroutine/, 'declared there';

# the surroundings that it sees
is_value('all_contexts', [], ['a', 'list'], 'list context');
is_deeply $t->call('My::all_contexts', [])->{returned}, ['scalar'], 'scalar context';
is $t->call('My::all_contexts', [], want => 'void')->{died}{text}, "void\n", 'void context';
is_value('arguments', [undef, '', 0, 'x'], ['undef  0 x'], 'its arguments');
is_value('changes', ['a', 'b'], ['a!', 'b!'], 'they can be changed');
is_value('empties', [1, 2], [0], 'or thrown away');
is_value('goes', ['a'], ['gone a'], 'goto another function');
is_value('topic', [], ['changed'], 'a topic of its own');
is_value('outer_topic', [], ['undef'], 'there is none outside');
is_value('topics', [1, 2, 3], [4, 6], 'nor is one left');
is_value('matches', [], ['b'], 'a match');
is_deeply values_of('My::error_before')->[0][0], '', '$@ is empty';
is_deeply values_of('My::error_before')->[0][2], 1, 'exceptions are caught';
is_deeply values_of('My::caller_is')->[0], ['somebody', 'My::caller_is', 1], 'it was called';
unlike values_of('My::stack')->[0], qr/\bRun::_function|\bCORE::GLOBAL/, 'a stack trace';
is_value('deep', [50_000], [50_000], 'deep recursion');
is_value('signals', [], [1], 'a signal');
is values_of('My::dies_by_signal'), "by a signal\n", 'one that comes at the end is the end of the call';

# the value that comes back
is_value('lvalue', [], ['value'], 'of an lvalue function');
is_value('tied_values', [], ['fetched 0', 'fetched 1'], 'of a tied array');
is values_of('My::tied_dies'), "no element\n", 'which dies';
my $shared = values_of('My::shares', ['arg']);
is_deeply $shared, ['same', 'same', 'arg', 'arg'], 'a value twice';
$shared->[0] = 'other';
is $shared->[1], 'same', 'is two values';
is scalar @{ values_of('My::long_list') }, 20_000, 'many values';
is scalar @{ values_of('My::many', [1 .. 20_000]) }, 20_000, 'many arguments';
is_value('sort_in', [1, 3, 2], [3, 2, 1], 'sorted');
is values_of('My::encodes', [1])->[0], Sereal::Encoder::encode_sereal([1]), 'it encodes by the same library';

# ends
is $t->call('My::exits')->{exit}, 3, 'exit';
is $t->call('My::deep_exit', [100])->{exit}, 4, 'deep in functions';
is $t->call('My::destroys')->{said}, "destroyed\n", 'what is its own is destroyed';
is $t->call('My::keeps')->{said}, '', 'what is global is not';
is $t->call('My::returns_guard', [], objects => 1)->{said}, "destroyed\n", 'what it returned is';
is $t->call('My::argument_guard', undef, document => Sereal::Encoder->new->encode([bless [], 'My::Guard']), objects => 1)->{said},
    "destroyed\n", 'and what it was given';

$t = FakeSpawner->start(preload => ['My'], require => "$dir/hook.pl", inc => [$dir], name => 'app');
is_value('replaced', [], ['new'], 'a hook replaces a function');

is $t->dismiss, 0, 'the template has seen nothing of it';

done_testing;
