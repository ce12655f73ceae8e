#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# How a Perl job fails: its function dies, or cannot be called.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use FakeSpawner ();

plan skip_all => "no syscall numbers for this machine" if !FakeSpawner::can_run();

my $dir = FakeSpawner::files('My/Report.pm' => <<'END', 'My/Bad.pm' => "package My::Bad;\nsub f {\n1;\n", 'My/False.pm' => 'package My::False; 0;');
package My::Report;
use strict; use warnings;
sub text   { die "no such month: $_[0]\n" }
sub line   { die 'no newline' }
sub data   { die { code => 5, list => [1, 2] } }
sub object { die bless { code => 7, inner => bless [1], 'My::Inner' }, 'My::Error' }
sub text_object { die bless { code => 7 }, 'My::Texted' }
sub code   { die bless { cb => sub { 1 } }, 'My::Error' }
sub broken { die bless {}, 'My::Broken' }
sub huge   { die { data => 'x' x 5_000_000 } }
sub long   { die 'x' x 5_000_000 }
sub wide   { die "\x{263A}\n" }
sub empty  { die bless {}, 'My::Empty' }
sub jump   { no warnings; last }
sub missing_method { My::Report->nothing }
sub warning { warn "be careful\n"; return 1 }
sub declared;
package My::Texted; use overload '""' => sub { "error $_[0]{code}" }, fallback => 1;
package My::Broken; use overload '""' => sub { die 'no text' }, fallback => 1;
package My::Empty;  use overload '""' => sub { '' }, bool => sub { 0 }, fallback => 1;
1;
END
my $t = FakeSpawner->start(preload => ['My::Report'], inc => [$dir], name => 'report');

sub dies {
    my ($function, @more) = @_;
    my $job = $t->call($function, @more ? @more : []);
    is $job->{exit}, 255, "$function: ends with 255";
    is $job->{kind}, 2, "$function: died";
    return $job;
}

my $job = dies('My::Report::text', ['May']);
is_deeply $job->{died}, { text => "no such month: May\n", class => undef, data => undef }, 'a text';
is $job->{said}, "no such month: May\n", 'which is printed, too';
like dies('My::Report::line')->{died}{text}, qr{\Ano newline at \S+/My/Report.pm line \d+\.\n\z}, 'with its place';

$job = dies('My::Report::data');
is_deeply $job->{died}{data}, { code => 5, list => [1, 2] }, 'a hash';
is $job->{died}{class}, undef, 'of no class';
$job = dies('My::Report::object');
is $job->{died}{class}, 'My::Error', 'an object: its class';
is_deeply $job->{died}{data}, { code => 7, inner => [1] }, 'its data, without any class';
like $job->{died}{text}, qr/\AMy::Error=HASH\(/, 'its text';
is dies('My::Report::text_object')->{died}{text}, 'error 7', 'the text that it gives itself';
$job = dies('My::Report::code');
is $job->{died}{data}, undef, 'data that cannot travel is left out';
is $job->{died}{class}, 'My::Error', 'the rest is there';
is dies('My::Report::broken')->{died}{text}, 'an object of class My::Broken, which cannot be made a text', 'no text';
is dies('My::Report::huge')->{died}{data}, undef, 'data that is too big is left out';
is length(dies('My::Report::long')->{died}{text}), 65_536, 'a text that is too long is cut';
is dies('My::Report::wide')->{died}{text}, "\x{263A}\n", 'wide characters';
$job = dies('My::Report::empty');
is $job->{died}{class}, 'My::Empty', 'an object that is false';
like dies('My::Report::jump')->{died}{text}, qr/\ACan't "last" outside a loop block/, 'no loop of the template is left';
like dies('My::Report::missing_method')->{died}{text}, qr/\ACan't locate object method "nothing"/, 'no such method';
like dies('My::Report::declared')->{died}{text}, qr/Undefined subroutine/, 'declared and not defined';
is $t->call('My::Report::warning')->{said}, "be careful\n", 'a warning goes to stderr';

my $age = qr/; the template was loaded at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d: when httpd was restarted since, the new one has failed \(MS0601 in the error log\)\z/;
$job = dies('My::Price::quote');
like delete $job->{died}{text},
    qr/\Ano function My::Price::quote in template report; preload its module or use load => 'My::Price'$age/, 'no such function: it is told since when';
is_deeply $job->{died},
    { code => 'invalid', class => undef, data => undef }, 'no such function';
like dies('My::Report::nope', [], load => 'My::Report')->{died}{text},
    qr/\Ano function My::Report::nope in template report, and none in the module My::Report that was loaded for it$age/,
    'nor in what was loaded';
like dies('My::Gone::f', [], load => 'My::Gone')->{died}{text},
    qr{\Aload: module My::Gone cannot be loaded in template report: Can't locate My/Gone.pm in \@INC}, 'no such module';
like dies('My::Bad::f', [], load => 'My::Bad')->{died}{text},
    qr{\Aload: module My::Bad cannot be loaded in template report: Missing right curly}, 'a syntax error';
like dies('My::False::f', [], load => 'My::False')->{died}{text},
    qr{\Aload: module My::False cannot be loaded in template report: My/False.pm did not return a true value},
    'a false module';
is dies('Apache2::Spawn::Current::id', [], load => $_)->{died}{text}, "load: '$_' is not the name of a module",
    "$_ is no name of a module that is loaded" for 'Apache2/Spawn/Current', 'Apache2:Spawn::Current', 'Apache2::Spawn::Current::', '::Apache2::Spawn::Current';
is dies('My::False::f', [], load => '../etc/passwd')->{died}{text}, q{load: '../etc/passwd' is not the name of a module},
    'not a module name';

is $t->dismiss, 0, 'the template has seen nothing of it';

done_testing;
