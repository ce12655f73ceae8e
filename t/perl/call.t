#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The requests of spawn_call and call: function, arguments, context, options,
# and their defaults.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Sereal::Decoder ();
use Sereal::Encoder ();
use Test::More;
use Apache2::Spawn ();
use FakeBroker ();

my $encoder = Sereal::Encoder->new;
my $decoder = Sereal::Decoder->new;
my $broker = FakeBroker->start(
    submit => sub {
        my ($attr) = @_;
        return [accepted => id => $attr->{id}, state => 1] if ($attr->{reply} || 1) < 2;
        return [job => id => $attr->{id}, state => 4, queue => 'default', function => $attr->{function},
            outcome => 1, exit_code => 0, result_kind => 1, result => $encoder->encode([7])];
    },
);
my $spawn = $broker->connection;

# The attributes of the request, its arguments decoded.
sub sent {
    my $request = $broker->next_request;
    is $request->{type}, 'submit', 'a submit';
    my $attr = $request->{attr};
    delete $attr->{id};
    $attr->{args} = $decoder->decode($attr->{args}) if exists $attr->{args};
    return $attr;
}

my $job = $spawn->spawn_call('My::Report::build', [ 42, { pdf => 1 } ]);
isa_ok $job, 'Apache2::Spawn::Job';
is_deeply sent(), { function => 'My::Report::build', args => [ 42, { pdf => 1 } ], want => 2 }, 'the defaults';

my $value = $spawn->call('My::Price::quote', ['x']);
is $value, 7, 'call gives the value';
is_deeply sent(), { function => 'My::Price::quote', args => ['x'], want => 1 + 8, reply => 3, timeout => 60_000 },
    'the defaults of call, in scalar context';

my @values = $spawn->call('My::Price::quote');
is_deeply \@values, [7], 'in list context';
is_deeply sent(), { function => 'My::Price::quote', want => 2 + 8, reply => 3, timeout => 60_000 },
    'list context travels';
$spawn->call('My::Price::quote');
is sent()->{want}, 0 + 8, 'no context travels';
$spawn->spawn_call('My::Price::quote');
is sent()->{want}, 0, 'no result is wanted where the job is thrown away';

# the context of spawn_call
for my $case ([ void => 0 ], [ scalar => 1 ], [ list => 2 ]) {
    $job = $spawn->spawn_call('A::b', [], want => $case->[0]);
    is sent()->{want}, $case->[1], "want $case->[0]";
}
$job = $spawn->spawn_call('A::b', [], objects => 1);
is sent()->{want}, 6, 'objects';
$value = $spawn->call('A::b', [], objects => 1);
is sent()->{want}, 5 + 8, 'objects of call';
$job = $spawn->spawn_call('A::b', [], objects => 0, want => 'void');
is sent()->{want}, 0, 'no objects';

# arguments that are left out
for my $case ([], [undef], [ [] ]) {
    $job = $spawn->spawn_call('A::b', @{$case});
    my $args = sent()->{args};
    ok !defined $args || !@{$args}, 'no arguments';
}
$job = $spawn->spawn_call('A::b', queue => 'q', label => 'l');
is_deeply sent(), { function => 'A::b', queue => 'q', label => 'l', want => 2 }, 'options follow the name';
$job = $spawn->spawn_call('A::b', undef, queue => 'q');
is_deeply sent(), { function => 'A::b', queue => 'q', args => [], want => 2 }, 'options follow undef';

# all other options
open my $handle, '<', $0 or die $!;
$job = $spawn->spawn_call('A::b', [1],
    load => 'My::Module', template => 'report', queue => 'q', cwd => '/tmp', nice => 3, timeout => 2,
    stdout => 'capture', stderr => 'null', umask => 022, context => { a => 1 }, reply => 'accepted',
    env => { A => 'b' }, limits => { memory => '1M' }, stdin => \'data', leftovers => 'kill');
is_deeply sent(),
    { function => 'A::b', args => [1], want => 2, load => 'My::Module', template => 'report', queue => 'q',
      cwd => '/tmp', nice => 3, timeout => 2000, stdout => [5, 0, 0, ''], stderr => [0, 0, 0, ''], umask => 18,
      context => ['a=1'], reply => 1, env => ['A=b'], limits => [2, 1 << 20], stdin => [3, 0, 0, ''],
      stdin_data => 'data', leftovers => 1 }, 'all options';

# values that can travel
my $circle = { name => 'circle' };
$circle->{self} = $circle;
my $number = 3;
my @can = (1, -5, 1.5, 'text', "caf\x{e9}", "\x{2603}", "\0\xff", undef, '', [ 1, [ 2, [] ] ], { a => { b => undef } },
    \'scalar', \\'deeper');
$job = $spawn->spawn_call('A::b', [@can]);
is_deeply sent()->{args}, \@can, 'plain data of all kinds';
$job = $spawn->spawn_call('A::b', [$circle]);
my $arrived = sent()->{args}[0];
is $arrived->{self}{self}{name}, 'circle', 'circular data';
my $shared = [1];
$job = $spawn->spawn_call('A::b', [ $shared, $shared ]);
$arrived = sent()->{args};
is $arrived->[0], $arrived->[1], 'what is shared stays shared';
$job = $spawn->spawn_call('A::b', [ bless({ n => 1 }, 'My::Object'), qr/x+/i ], objects => 1);
$arrived = sent()->{args};
isa_ok $arrived->[0], 'My::Object';
ok 'aXXb' =~ $arrived->[1], 'a pattern, with objects';
{
    package Overloaded;
    use overload '@{}' => sub { return $_[0]->() };
}
$job = $spawn->spawn_call('A::b', bless sub { return [ 3, 4 ] }, 'Overloaded');
is_deeply sent()->{args}, [ 3, 4 ], 'an object that is an array';
$job = $spawn->spawn_call('A::b', bless [ 5, 6 ], 'List');
$arrived = sent()->{args};
is_deeply $arrived, [ 5, 6 ], 'an array with a class';
is ref $arrived, 'ARRAY', 'without it';
{
    package Tied;
    sub TIESCALAR { my ($class, $value) = @_; return bless \$value, $class }
    sub FETCH { return ${ $_[0] } }
}
tie my $function, 'Tied', 'My::Tied::function';
tie my $argument, 'Tied', 'tied';
$job = $spawn->spawn_call($function, [$argument]);
is_deeply sent(), { function => 'My::Tied::function', args => ['tied'], want => 2 }, 'tied values';

done_testing;
