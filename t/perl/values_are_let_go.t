#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Code that runs while a job's values are read (overloaded, tied, the handler of a
# signal) may let go of the values, of the array or hash that they are in, and of the
# handle: the job is submitted with what is left, or refused, and the process lives.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Sereal::Encoder ();
use Test::More;
use Apache2::Spawn ();
use FakeBroker ();

{
    package Overloaded;
    use overload '""' => sub { $_[0]{code}->(); return $_[0]{text} }, fallback => 1;
}
{
    package Tied;
    sub TIEARRAY { my ($class, $code) = @_; return bless { code => $code }, $class }
    sub FETCHSIZE { return 3 }
    sub FETCH { $_[0]{code}->(); return 'a' }
}

{
    package TiedScalar;
    sub TIESCALAR { my ($class, $code) = @_; return bless { code => $code }, $class }
    sub FETCH { $_[0]{code}->(); return '42424242-4242-7242-8242-424242424242' }
}

# Memory that was freed is used again.
my $memory;
sub others { return $memory = [ map { [ 'other values', "other $_" ] } 1 .. 2000 ] }

sub lets_go {
    my ($text, $code) = @_;
    return bless { text => $text, code => sub { $code->(); others() } }, 'Overloaded';
}

my $spawn;

my %case = (
    'argv, its array' => sub {
        my $argv;
        $argv = [ lets_go('a', sub { undef $argv }), ('b') x 50 ];
        return $spawn->spawn($argv);
    },
    'argv, its words' => sub {
        my $argv;
        $argv = [ map { lets_go("a$_", sub { @{$argv} = () }) } 1 .. 50 ];
        return $spawn->spawn($argv);
    },
    'env, its hash' => sub {
        my $env;
        $env = { (map { ("A$_" => 'b') } 1 .. 50), B => lets_go('c', sub { undef $env }) };
        return $spawn->spawn(['a'], env => $env);
    },
    'env, its values' => sub {
        my $env;
        $env = { map { ("A$_" => lets_go('b', sub { %{$env} = () })) } 1 .. 50 };
        return $spawn->spawn(['a'], env => $env);
    },
    'context, its values' => sub {
        my $context;
        $context = { map { ("a$_" => lets_go('b', sub { %{$context} = () })) } 1 .. 50 };
        return $spawn->spawn(['a'], context => $context);
    },
    'retry_on, its array' => sub {
        my $list;
        $list = [ lets_go('lost', sub { undef $list }), ('failed') x 50 ];
        return $spawn->spawn(['a'], retry => 1, retry_on => $list);
    },
    'retry_on, its words' => sub {
        my $list;
        $list = [ map { lets_go('lost', sub { @{$list} = () }) } 1 .. 50 ];
        return $spawn->spawn(['a'], retry => 1, retry_on => $list);
    },
    'after, its array' => sub {
        my $list;
        my $id = '42424242-4242-7242-8242-424242424242';
        $list = [ lets_go($id, sub { undef $list }), ($id) x 9 ];
        return $spawn->spawn(['a'], after => $list);
    },
    'after, its tied jobs' => sub {
        my $list = [ (undef) x 9 ];
        tie $list->[0], 'TiedScalar', sub { @{$list} = (); others() };
        eval { $spawn->spawn(['a'], after => $list); 1 } and return 1;
        return $@->code eq 'invalid';
    },
    'limits, their hash' => sub {
        my $limits;
        $limits = { map { ($_ => lets_go(5, sub { undef $limits })) } qw(cpu files core) };
        return $spawn->spawn(['a'], limits => $limits);
    },
    'options' => sub {
        my @options;
        @options = (queue => 'a', label => lets_go('b', sub { @options = () }));
        return $spawn->spawn(['a'], @options);
    },
    'options of list' => sub {
        my @options;
        @options = (state => lets_go('done', sub { @options = () }), queue => lets_go('a', sub { @options = () }));
        return $spawn->list(@options) == 0;
    },
    'arguments of a function, by an option' => sub {
        my $args;
        $args = [ 1 .. 50 ];
        return $spawn->spawn_call('A::b', $args, label => lets_go('c', sub { undef $args }));
    },
    'arguments of a function that cannot travel' => sub {
        my ($args, $looks) = ([], 0);
        tie my @tied, 'Tied', sub { return if ++$looks <= 3; @{$args} = (); others() };    # not while Sereal looks
        push @{$args}, [ [ \@tied ], (1) x 50, sub { } ];
        eval { $spawn->spawn_call('A::b', $args) };
        return $looks > 3 && $@->code eq 'not_sendable' && $@->message =~ /argument 1: ->\[51\] is a code/;
    },
    'the handle, in a wait' => sub {
        my @jobs = $spawn->spawn(['a'], label => $$);
        local $SIG{USR1} = sub { @jobs = (); others() };
        return $jobs[0]->wait(5);
    },
);

# in a perl of its own, where freed memory is overwritten
if (@ARGV) {
    alarm 20;
    my ($path, $name) = @ARGV;
    $spawn = Apache2::Spawn->connect($path, timeout => 15);
    exit($case{$name}->() ? 0 : 3);
}
my (%process, %asked);
my $arguments = Sereal::Encoder->new->encode([ 1 .. 50 ]);
my $broker = FakeBroker->start(
    submit => sub {
        my ($attr) = @_;
        $process{ $attr->{id} } = $attr->{label};
        my $all = join ' ', map { ref ? @{$_} : $_ } values %{$attr};
        return [refused => code => 6, text => 'other values came']
            if $all =~ /other/ || defined $attr->{args} && $attr->{args} ne $arguments;
        return [accepted => id => $attr->{id}, state => 1];
    },
    list => sub { return [end => rows => 0] },
    wait => sub {
        my ($attr) = @_;
        my $id = $attr->{id};
        return [refused => code => 13, text => 'not yet'] if !$asked{$id}++ && kill USR1 => $process{$id};
        return [job => id => $id, state => 4, queue => 'default', outcome => 1, exit_code => 0];
    },
);
local $ENV{MALLOC_PERTURB_} = 165;
for my $name (sort keys %case) {
    system $^X, $0, $broker->path, $name;
    is $?, 0, $name;
}
done_testing;
