#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The surroundings of a Perl job, and those of the template that it does not
# have.

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
use Config;
$ENV{FROM_TEMPLATE} = 1;
$SIG{TERM} = sub { 1 };
$SIG{CHLD} = 'IGNORE';
$SIG{PIPE} = 'IGNORE';
$SIG{__WARN__} = sub { print "template's handler: @_" };
$SIG{__DIE__} = sub { print "template's handler: @_" };
my $first = rand;    # seeds the generator
umask 077;
sub env      { return { %ENV } }
sub real_env { return scalar `env` }
sub signals  { return { map { $_ => "$SIG{$_}" } grep { defined $SIG{$_} } keys %SIG } }
sub status   { open my $in, '<', '/proc/self/status' or die $!; return { map { /\A(\w+):\s*(.*)/ } <$in> } }
sub numbers  { return [map { rand } 1 .. 3] }
sub state    { require Cwd; return { name => $0, cwd => Cwd::getcwd(), umask => umask, session => getpgrp, pid => $$,
                                     parent => getppid, began => time - $^T, stdin => scalar readline(STDIN),
                                     args => "@ARGV", tty => (open my $tty, '<', '/dev/tty') } }
sub dies     { warn "a warning\n"; die "dies\n" }
sub command  { open my $in, '<', "/proc/$$/cmdline" or die $!; local $/; my $l = <$in>; $l =~ s/\0+\z//; return $l }
1;
END
my $t = FakeSpawner->start(preload => ['My'], inc => [$dir], env => [TEMPLATE_ENV => 1]);

my $job = $t->call('My::env', [], env => ['A=1', 'B=x=y', 'C=', 'PATH=/bin:/usr/bin', '=bad', 'bad']);
is_deeply $job->{returned}[0], { A => 1, B => 'x=y', C => '', PATH => '/bin:/usr/bin' }, '%ENV is that of the order';
like $t->call('My::real_env', [], env => ['A=1', 'PATH=/bin:/usr/bin'])->{returned}[0],
    qr/\A(?=.*^A=1$)(?!.*TEMPLATE)/ms, 'and that of programs, too';
is_deeply $t->call('My::signals')->{returned}[0], {}, '%SIG is empty';
is $t->call('My::dies')->{said}, "a warning\ndies\n", 'handlers of warn and die, too';
my $status = $t->call('My::status')->{returned}[0];
is hex $status->{SigIgn}, 0, 'no signal is ignored';
is hex $status->{SigBlk}, 0, 'none is blocked';
is hex $status->{SigCgt}, 0, 'none is caught';
my $sh = $status->{SigPnd};
is hex $sh, 0, 'none is pending';

my @numbers = map { join ' ', @{ $t->call('My::numbers')->{returned}[0] } } 1 .. 3;
isnt $numbers[0], $numbers[1], 'each job has random numbers of its own';
isnt $numbers[1], $numbers[2], 'and the next';

$job = $t->call('My::state');
my $state = $job->{returned}[0];
is $state->{name}, "spawn My::state $job->{text_id}", '$0';
is $state->{cwd}, '/', 'in /';
is $state->{umask}, 022, 'umask';
is $state->{session}, $job->{pid}, 'leads its group';
is $state->{pid}, $job->{pid}, '$$';
is $state->{parent}, $$, 'its parent is that of the template';
cmp_ok $state->{began}, '<', 5, '$^T is its start';
is $state->{stdin}, undef, 'nothing to read';
is $state->{args}, '', 'no arguments of the template';
ok !$state->{tty}, 'no terminal';
like $t->call('My::command')->{returned}[0], qr/\Aspawn My::command /, 'the name that ps shows';

is $t->call('My::state', [], cwd => "$dir")->{returned}[0]{cwd}, "$dir", 'another directory';
is $t->call('My::state', [], raw => [umask => 027])->{returned}[0]{umask}, 027, 'another umask';
like $t->call('My::status', [], raw => [no_new_privs => 1])->{returned}[0]{NoNewPrivs}, qr/\A1/, 'no new privileges';
is $t->call('My::state', [], raw => [nice => pack('q<', 5)])->{exit}, 0, 'nice';

open my $cmdline, '<', '/proc/' . $t->pid . '/cmdline' or die $!;
like readline($cmdline), qr/\Amod_spawn template test\0*\z/, 'the name of the template';

is $t->dismiss, 0, 'the template leaves';

done_testing;
