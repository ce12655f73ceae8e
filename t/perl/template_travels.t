#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A return value that cannot travel is named with its place.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use FakeSpawner ();

plan skip_all => "no syscall numbers for this machine" if !FakeSpawner::can_run();

my $dir = FakeSpawner::files('My.pm' => <<'END');
package My;
use strict; use warnings;
my %value = (
    code     => sub { ({ cb => sub { 1 } }) },
    deep     => sub { (1, [2, { 'a key' => [\sub { 1 }] }]) },
    handle   => sub { ({ out => \*STDOUT }) },
    glob     => sub { (*STDERR) },
    empty    => sub { no strict 'refs'; (\*{'My::nothing'}) },
    file     => sub { open my $in, '<', '/dev/null'; [$in] },
    io       => sub { *STDOUT{IO} },
    object   => sub { [1, bless {}, 'My::Class'] },
    pattern  => sub { [qr/x/] },
    in_object => sub { bless { cb => sub { 1 } }, 'My::Class' },
    code_pattern => sub { [qr/(?{ 1 })/] },
    circular => sub { my $self = { name => 'me' }; $self->{self} = $self; $self },
    bottomless => sub { my $top = my $at = []; $at = $at->[0] = [] for 1 .. 20_000; $top },
    huge     => sub { 'x' x 4_194_305 },
    fits     => sub { 'x' x 4_194_200 },
    tied     => sub { tie my %h, 'My::Tied'; \%h },
);
sub f { my $values = $value{$_[0]}; return $values->() }
package My::Tied; require Tie::Hash; our @ISA = 'Tie::StdHash'; sub TIEHASH { bless { a => 1 } }
1;
END
my $t = FakeSpawner->start(preload => ['My'], inc => [$dir]);

sub refused {
    my ($what, @with) = @_;
    my $job = $t->call('My::f', [$what], want => 'list', @with);
    is $job->{exit}, 255, "$what: failed";
    is $job->{said}, "$job->{died}{text}\n", "$what: and printed";
    return $job->{died};
}

is_deeply refused('code'), { text => 'return value [0]{cb} is a code reference', code => 'not_sendable', class => undef, data => undef },
    'a code reference';
is refused('deep')->{text}, q(return value [1][1]{'a key'}[0]$* is a code reference), 'deep inside';
is refused('handle')->{text}, 'return value [0]{out} is a handle', 'a handle';
is refused('glob')->{text}, 'return value [0] is a handle', 'a glob with a handle';
is refused('empty')->{text}, 'return value [0] is a glob', 'a glob without';
is refused('file')->{text}, 'return value [0][0] is a handle', 'an open file';
is refused('io')->{text}, 'return value [0] is a handle', 'the handle itself';
like refused('object')->{text}, qr/\Areturn value \[0\]\[1\] is an object of class My::Class; objects => 1 /, 'an object';
like refused('pattern')->{text}, qr/\Areturn value \[0\]\[0\] is a compiled pattern; objects => 1 /, 'a pattern';
is ref $t->call('My::f', ['pattern'], objects => 1)->{returned}[0][0], 'Regexp', 'which travels when it may';
is refused('in_object', objects => 1)->{text}, 'return value [0]{cb} is a code reference', 'code in an object';
is refused('code_pattern', objects => 1)->{text}, 'return value [0][0] is a pattern with code inside', 'code in a pattern';
like refused('bottomless')->{text}, qr/\Athe return value cannot be encoded: .*recursion/, 'too deep';

my $died = refused('huge');
like $died->{text}, qr/\Athe return value has \d+ bytes when encoded; at most 4194304 \(4 MB\) travel/, 'too big';
is $died->{code}, 'too_big', 'by its code';
is length $t->call('My::f', ['fits'])->{returned}[0], 4_194_200, 'just not too big';

my $self = $t->call('My::f', ['circular'])->{returned}[0];
is $self->{self}{self}{name}, 'me', 'a value that holds itself travels';
delete $self->{self};
is_deeply $t->call('My::f', ['tied'])->{returned}[0], { a => 1 }, 'a tied hash travels as its data';

done_testing;
