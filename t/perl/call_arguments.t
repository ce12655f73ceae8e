#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A function or an argument that cannot travel is refused before anything is
# sent, and the text says which, where it is and what to do instead.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use Apache2::Spawn ();

my $spawn = Apache2::Spawn->connect('/nonexistent/spawn/socket');

sub refused {
    my ($name, $code, $text, @arguments) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    for my $method (qw(spawn_call call)) {
        local $@ = 'as it was';
        my $done = eval { my $made = $spawn->$method(@arguments); 1 };
        my $error = $@;
        ok !$done && ref $error && $error->isa('Apache2::Spawn::Error'), "$name: $method throws"
            or return diag "got: $error";
        is $error->code, $code, "$name: code";
        is $error->step, 'options', "$name: step";
        like $error->message, $text, "$name: text";
        is $error->job, undef, "$name: no job";
        is $error->file, __FILE__, "$name: file";
    }
    return;
}

sub named { return 1 }

# the function
refused('code', 'not_sendable', qr/function: a code reference cannot travel .* named function .* 'My::Report::build'/,
    sub { 1 });
refused('code with a name', 'not_sendable', qr/function: a code reference .* write its name, 'main::named'/, \&named);
refused('none', 'invalid', qr/function is undefined/);
refused('undef', 'invalid', qr/function is undefined/, undef);
refused('argv', 'invalid', qr/function is a reference \(ARRAY\)/, ['/bin/true']);
refused('no package', 'invalid', qr/function: 'build' is not a name; wanted: the full name/, 'build', []);
refused('a method call', 'invalid', qr/function: 'My::Report->build' is not a name/, 'My::Report->build', []);
refused('code as text', 'invalid', qr/function: .* is not a name/, 'A::b; system q(x)', []);
refused('wide', 'invalid', qr/function has wide characters/, "A::\x{2603}", []);

# the array
refused('a hash', 'invalid', qr/arguments: wanted: one reference to an array/, 'A::b', {});
refused('a value', 'invalid', qr/arguments: wanted: one reference to an array/, 'A::b', 42);
refused('several values', 'invalid', qr/arguments: wanted: one reference to an array/, 'A::b', 1, 2);
refused('options as a hash', 'invalid', qr/options are a list/, 'A::b', [], { timeout => 5 });
refused('code for it', 'invalid', qr/arguments: wanted: one reference to an array/, 'A::b', sub { 1 });

# options
refused('an odd number', 'invalid', qr/come in pairs/, 'A::b', [], 'queue');
refused('unknown', 'unknown_option', qr/no option 'lod'; did you mean 'load'/, 'A::b', [], lod => 'X');
refused('nearly one of calls', 'unknown_option', qr/no option 'object'; did you mean 'objects'/, 'A::b', [], object => 1);
refused('load', 'invalid', qr/load: 'My-Module' is not the name of a module/, 'A::b', [], load => 'My-Module');
refused('template', 'invalid', qr/template: 'a b' is not a name/, 'A::b', [], template => 'a b');
refused('objects', 'invalid', qr/objects: '2' .* 0 or 1/, 'A::b', [], objects => 2);
for my $case ([ want => 'scalar' ], [ objects => 1 ]) {
    eval { $spawn->spawn(['/bin/true'], @{$case}) };
    is $@->code, 'invalid', "$case->[0] of a program";
    like $@->message, qr/$case->[0] belongs to Perl functions, this job is a program/, 'text';
}
eval { $spawn->spawn(['/bin/true'], template => 'x') };
like $@->message, qr/load and template belong to Perl functions/, 'template of a program';
eval { my $job = $spawn->spawn_call('A::b', [], want => 'hash') };
like $@->message, qr/want: 'hash' .* void, scalar or list/, 'want';
eval { $spawn->call('A::b', [], want => 'list') };
like $@->message, qr/want: call takes the context that it is called in/, 'want of call';
eval { $spawn->call('A::b', [], reply => 'posted') };
like $@->message, qr/reply: call always waits for the end; spawn_call takes/, 'reply of call';

# values that cannot travel, and where
open my $file, '<', $0 or die $!;
my $object = bless { n => 1 }, 'My::Object';
my $with_code = do { use re 'eval'; qr/a(?{ 1 })/ };
my $code_later = do { use re 'eval'; qr/a(??{ 1 })/ };
my $circle = {};
$circle->{self} = $circle;
my $handle = 'a handle; handles travel by fds: fds => { 3 => $handle }';
our @global = (1);
for my $case (
    [ 'code', 'argument 1 is a code reference; pass its name, or the data that it needs', sub { 1 } ],
    [ 'the second', 'argument 2 is a code reference', 1, sub { 1 } ],
    [ 'in a hash', 'argument 2: ->{handler} is a code reference', 1, { a => 1, handler => sub { 1 } } ],
    [ 'deeper', 'argument 1: ->[2]{x}[0] is a code reference', [ 1, 2, { x => [ \&named ] } ] ],
    [ 'behind a reference', 'argument 1: ->$* is a code reference', \sub { 1 } ],
    [ 'behind two', 'argument 1: ->{a}->$*->[0] is a code reference', { a => \[ sub { 1 } ] } ],
    [ 'after a circle', 'argument 2 is a code reference', $circle, sub { 1 } ],
    [ 'a strange key', 'argument 1: ->{"a b\n"} is a code reference', { "a b\n" => sub { 1 } } ],
    [ 'a wide key', 'argument 1: ->{"\x{2603}"} is a code reference', { "\x{2603}" => sub { 1 } } ],
    [ 'a handle', "argument 1 is $handle", $file ],
    [ 'a glob with a handle', "argument 1 is $handle", *STDERR ],
    [ 'a handle inside', "argument 1: ->[0] is $handle", [ \*STDIN ] ],
    [ 'an IO', "argument 1 is $handle", *STDIN{IO} ],
    [ 'a glob', 'argument 1 is a glob; pass the data', *global ],
    [ 'an object', 'argument 1: ->{o} is an object of class My::Object; pass objects => 1, or its data', { o => $object } ],
    [ 'a pattern', 'argument 1 is a compiled pattern; pass its text, or objects => 1', qr/x/ ],
    [ 'a pattern with code', 'argument 1 is a pattern with code inside', $with_code ],
) {
    my ($name, $text, @values) = @{$case};
    refused($name, 'not_sendable', qr/\A\Q$text\E/, 'A::b', [@values]);
}
for my $case (
    [ 'code in an object', qr/\Aargument 1: ->\{cb\} is a code reference/, bless { cb => sub { 1 } }, 'My::Object' ],
    [ 'a blessed code', qr/\Aargument 1 is a code reference/, bless sub { 1 }, 'My::Code' ],
    [ 'a blessed handle', qr/\Aargument 1 is \Q$handle\E/, bless \do { local *FH; *FH = *STDIN; *FH }, 'My::Handle' ],
    [ 'a pattern with code', qr/\Aargument 1: ->\{re\} is a pattern with code inside/, { re => $with_code } ],
    [ 'a pattern with late code', qr/\Aargument 1 is a pattern with code inside/, $code_later ],
) {
    my ($name, $text, @values) = @{$case};
    refused("$name, though objects may", 'not_sendable', $text, 'A::b', [@values], objects => 1);
}
my $deep = [];
$deep = [$deep] for 1 .. 20_000;
refused('too deep', 'not_sendable', qr/the arguments cannot be encoded: .*depth/, 'A::b', [$deep]);
while (@{$deep}) { $deep = $deep->[0] }    # freed level by level

refused('too large', 'too_big',
    qr/the arguments have 41943\d\d bytes when encoded; at most 4194304 bytes \(4 MB\) go with a call: pass big data as a file/,
    'A::b', [ 'x' x (4 << 20) ]);
{
    my $done = eval { my $made = $spawn->spawn_call('A::b', [ 'x' x ((4 << 20) - 100) ]); 1 };
    is $@->code, 'unreachable', 'just small enough';
}

# nothing of the caller's is touched
{
    my $called = 0;
    local $SIG{__DIE__} = sub { $called++ if !ref $_[0] };
    local $@ = 'before';
    local $! = 5;
    eval { my $made = $spawn->spawn_call('A::b', [ 1, 2 ]) };
    is $called, 0, 'the die handler is not called for what Sereal throws';
    is $! + 0, 5, 'errno';
    eval { my $made = $spawn->spawn_call('A::b', [ sub { 1 } ]) };
    is $called, 0, 'nor when it refuses';
}

# after_fork
ok eval { Apache2::Spawn->after_fork(sub { die 'run' }); 1 }, 'after_fork does nothing outside a template' or diag $@;
ok !eval { Apache2::Spawn->after_fork('name'); 1 }, 'but wants code';
like $@->message, qr/after_fork: wanted: a code reference/, 'text';
ok eval { Apache2::Spawn->after_fork(sub { }, timeout => 0.5); 1 }, 'it has a time' or diag $@;
for (['soon', 'no number'], [0, 'none'], [-1, 'less'], [86_401, 'more than a day'], ['nan', 'no number at all']) {
    my ($timeout, $what) = @$_;
    ok !eval { Apache2::Spawn->after_fork(sub { }, timeout => $timeout); 1 }, "not $what";
    like $@->message, qr/after_fork: timeout: wanted: seconds, from 0\.001 to 86400/, 'text';
}
ok !eval { Apache2::Spawn->after_fork(sub { }, 'timeout'); 1 }, 'nor half an option';
like $@->message, qr/after_fork: an option has no value/, 'text';
ok !eval { Apache2::Spawn->after_fork(sub { }, time => 5); 1 }, 'nor another';
is $@->code, 'unknown_option', 'code';

done_testing;
