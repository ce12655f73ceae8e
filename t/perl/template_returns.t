#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A Perl job gives back what its function returns, in the context that was asked for.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use FakeSpawner ();

plan skip_all => "no syscall numbers for this machine" if !FakeSpawner::can_run();

my $dir = FakeSpawner::files('My/Report.pm' => <<'END', 'My/Late.pm' => 'package My::Late; sub f { "late @_" } 1;');
package My::Report;
use strict; use warnings;
sub args    { return @_ }
sub context { return wantarray ? 'list' : defined wantarray ? 'scalar' : 'void' }
sub count   { my @list = (7, 8, 9); return @list }
sub none    { return }
sub nested  { return { list => [1, { two => 2 }], text => "\x{263A}", undef => undef } }
sub seen    { print defined wantarray ? "no\n" : "void\n" }
sub object  { return bless { a => 1 }, 'My::Thing' }
sub class   { return ref $_[0] }
sub change  { $_[0] = 'changed'; return $_[0] }
sub error   { eval { die "inner\n" }; return 'fine' }
1;
END
my $t = FakeSpawner->start(preload => ['My::Report'], inc => [$dir]);
like $t->text, qr/\A\d+ modules, \d+ kB\z/, 'ready';

my $job = $t->call('My::Report::args', [1, 'two', [3], { 4 => undef }], want => 'list');
is_deeply $job->{told}, ['forked', 'set_up'], 'told its process, then that it is set up';
is $job->{exit}, 0, 'ends with 0';
is_deeply $job->{returned}, [1, 'two', [3], { 4 => undef }], 'arguments and values';
is $job->{said}, '', 'and prints nothing';

is_deeply $t->call('My::Report::context', [], want => $_)->{returned}, $_ eq 'void' ? [] : [$_], "$_ context"
    for qw(void scalar list);
is $t->call('My::Report::seen', [], want => 'void')->{said}, "void\n", 'which the function sees';
is_deeply $t->call('My::Report::count', [], want => 'list')->{returned}, [7, 8, 9], 'a list';
is_deeply $t->call('My::Report::count')->{returned}, [3], 'as a scalar its count';
is_deeply $t->call('My::Report::none', [], want => 'list')->{returned}, [], 'nothing';
is_deeply $t->call('My::Report::none')->{returned}, [undef], 'as a scalar: undef';
is_deeply $t->call('My::Report::nested')->{returned}[0],
    { list => [1, { two => 2 }], text => "\x{263A}", undef => undef }, 'nested';
is_deeply $t->call('My::Report::args', undef, want => 'list', no_args => 1)->{returned}, [], 'no arguments at all';
is_deeply $t->call('My::Report::change', ['x'])->{returned}, ['changed'], 'arguments can be changed';
is_deeply $t->call('My::Report::error')->{returned}, ['fine'], 'what it caught itself does not matter';

my $big = 'x' x 3_000_000;
$job = $t->call('My::Report::args', [$big], want => 'list');
is length($job->{returned}[0]), 3_000_000, 'three megabytes, both ways';

# load
is_deeply $t->call('My::Late::f', [1], load => 'My::Late')->{returned}, ['late 1'], 'a module is loaded for it';
is $t->call('My::Late::f', [1])->{kind}, 2, 'in that job only';

# objects
my $thing = bless { b => 2 }, 'My::Thing';
my $encoded = Sereal::Encoder->new->encode([$thing]);
is $t->call('My::Report::class', undef, document => $encoded, objects => 1)->{returned}[0], 'My::Thing',
    'an object as argument, when allowed';
is_deeply $t->call('My::Report::object', [], objects => 1)->{returned}[0], bless({ a => 1 }, 'My::Thing'),
    'an object comes back, when allowed';
like $t->call('My::Report::class', undef, document => $encoded)->{died}{text}, qr/\Athe arguments cannot be read: /,
    'an object that is not allowed is refused';
like $t->call('My::Report::class', undef, document => 'rubbish')->{died}{text}, qr/\Athe arguments cannot be read: /,
    'rubbish, too';
is $t->call('My::Report::class', undef, document => Sereal::Encoder->new->encode({}))->{died}{text},
    'the arguments are not an array', 'and what is no array';

is $t->dismiss, 0, 'the template leaves when its link ends';
is $t->said_now, '', 'and has printed nothing';

done_testing;
