#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The environment of a Perl job is its order's, whatever %ENV and the C environment are in
# its template: in %ENV, for its programs, and for C; and it can be changed in each of the
# ways that Perl has.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use FakeSpawner ();

plan skip_all => "no syscall numbers for this machine" if !FakeSpawner::can_run();

my %template = (
    plain => '',
    tied => 'tie %ENV, "My::Tied";',
    'another hash' => '*ENV = { %ENV, ANOTHER => 1 };',
    'variables of its own' => '$ENV{OWN} = 1; $ENV{PATH} = "/nowhere"; delete $ENV{HOME};',
    'wide text' => '$ENV{LANG} = "\x{263A}"; $ENV{USER} = substr "ann\x{263A}", 0, 3;',
);
my $code = <<'END';
package My;
use strict; use warnings;
sub env { return { %ENV } }
sub env_of_a_program { return { map { /\A([^=]+)=(.*)/ } split /\n/, `/usr/bin/env` } }
sub one { my ($name) = @_; return [exists $ENV{$name} ? 'there' : 'not there', $ENV{$name}, scalar `printf %s "\$$name"`] }
sub length_of { my ($name) = @_; return [length $ENV{$name}, length `printf %s "\$$name"`] }
sub changed {
    my ($how) = @_;
    if    ($how eq 'set')    { $ENV{ADDED} = 'added'; $ENV{SPAWN_JOB_ID} .= ' more'; $ENV{SPAWN_QUEUE} = 'x' x 300 }
    elsif ($how eq 'delete') { delete @ENV{qw(SPAWN_JOB_ID SPAWN_QUEUE)}; delete $ENV{PATH}; $ENV{PATH} = '/bin:/usr/bin' }
    elsif ($how eq 'clear')  { %ENV = (PATH => '/bin:/usr/bin', ONLY => 1) }
    elsif ($how eq 'local')  { local $ENV{SPAWN_JOB_ID} = 'local'; local $ENV{LOCAL} = 1; return env_of_a_program() }
    elsif ($how eq 'localised') { local $ENV{SPAWN_JOB_ID} = 'local'; local $ENV{LOCAL} = 1 }
    elsif ($how eq 'whole')  { local %ENV = (PATH => '/bin:/usr/bin', A => 1); return env_of_a_program() }
    elsif ($how eq 'many')   { $ENV{"V$_"} = $_ for 1 .. 200; delete $ENV{"V$_"} for 1 .. 200 }
    my $seen = env_of_a_program();
    $seen->{same} = join(',', map { "$_=$ENV{$_}" } sort keys %ENV) eq join(',', map { "$_=$seen->{$_}" } grep { $_ ne '_' && $_ ne 'PWD' && $_ ne 'SHLVL' } sort keys %{$seen}) ? 1 : 0;
    return $seen;
}
package My::Tied;
require Tie::Hash; our @ISA = 'Tie::StdHash';
1;
END
sub less { my ($env) = @_; delete @{$env}{qw(_ PWD SHLVL)} if $env; return $env }

my %env = (PATH => '/usr/bin:/bin', HOME => '/srv', USER => 'web', LOGNAME => 'web', LANG => 'C.UTF-8', SPAWN_JOB_ID => 'an-id',
    SPAWN_QUEUE => 'reports', SPAWN_SOCKET => '/run/spawn/sock');
sub with { my (%more) = (%env, @_); return (env => [map { "$_=$more{$_}" } grep { defined $more{$_} } sort keys %more]) }

for my $kind (sort keys %template) {
    my $dir = FakeSpawner::files('My.pm' => $code . "\n" , 'set.pl' => "$template{$kind}\n1;\n");
    my $t = FakeSpawner->start(preload => ['My'], require => "$dir/set.pl", inc => [$dir],
        env => [HOME => '/srv', USER => 'web', LOGNAME => 'web']);
    my %case = (
        'as in most jobs' => {},
        'less' => { USER => undef, SPAWN_SOCKET => undef },
        'one less' => { SPAWN_QUEUE => undef },
        'more' => { A => 1, EMPTY => '', B => 'x=y' },
        'other values' => { PATH => '/bin:/usr/bin', HOME => '/', LANG => 'C' },
        'a long value' => { SPAWN_QUEUE => 'q' x 500, SPAWN_SOCKET => '/' . 's' x 127 },
        'empty' => { SPAWN_JOB_ID => '', LANG => '' },
        'many' => { map { ("V$_" => $_) } 1 .. 100 },
    );
    for my $case (sort keys %case) {
        my %want = (%env, %{ $case{$case} });
        delete @want{ grep { !defined $want{$_} } keys %want };
        is_deeply $t->call('My::env', [], with(%{ $case{$case} }))->{returned}[0], \%want, "$kind: $case";
        next if $kind eq 'tied' || $kind eq 'another hash';
        is_deeply less($t->call('My::env_of_a_program', [], with(%{ $case{$case} }))->{returned}[0]), \%want, "$kind: $case, for programs";
    }
    if ($kind eq 'plain' || $kind eq 'variables of its own') {
        my $seen = sub { return less($t->call('My::changed', [$_[0]], with())->{returned}[0]) };
        is_deeply $seen->('set'), { %env, ADDED => 'added', SPAWN_JOB_ID => 'an-id more', SPAWN_QUEUE => 'x' x 300, same => 1 }, "$kind: set by the function";
        is_deeply [ @{ $seen->('delete') }{qw(SPAWN_JOB_ID SPAWN_QUEUE PATH HOME)} ], [ undef, undef, '/bin:/usr/bin', '/srv' ], "$kind: deleted";
        is_deeply $seen->('clear'), { PATH => '/bin:/usr/bin', ONLY => 1, same => 1 }, "$kind: cleared";
        is_deeply [ @{ $seen->('local') }{qw(SPAWN_JOB_ID LOCAL HOME)} ], [ 'local', 1, '/srv' ], "$kind: local";
        is_deeply $seen->('localised'), { %env, same => 1 }, "$kind: which ends";
        is_deeply $seen->('whole'), { PATH => '/bin:/usr/bin', A => 1 }, "$kind: local as a whole";
        is_deeply $seen->('many'), { %env, same => 1 }, "$kind: many, and all gone again";
    }
    is $t->dismiss, 0, "$kind: the template ends as ever";
}

# tainted in the template, and the job's own
my $dir = FakeSpawner::files('My.pm' => <<'END');
package My;
use strict; use warnings;
use Scalar::Util qw(tainted);
sub args { return [map { tainted($_) ? 1 : 0 } @_, @{ $_[1] }, $_[2]{a}] }
sub env { return [map { tainted($ENV{$_}) ? 1 : 0 } @_], { %ENV } }
sub job { my $j = Apache2::Spawn::Current->job; return [map { tainted($_) ? 1 : 0 } $j->id, $j->function, %{ $j->context }] }
sub runs { return scalar eval { system '/bin/true'; 1 } ? 'ran' : $@ }
1;
END
my $t = FakeSpawner->start(preload => ['My'], inc => [$dir], switches => ['-T'], env => [HOME => '/srv', USER => 'web', LOGNAME => 'web']);
is_deeply $t->call('My::args', ['x', ['y'], { a => 'z' }])->{returned}[0], [1, 0, 0, 1, 1], 'under -T arguments are tainted';
my $job = $t->call('My::env', [qw(SPAWN_JOB_ID SPAWN_QUEUE)], with(), want => 'list');
is_deeply $job->{returned}, [[0, 0], \%env], 'the environment is there';
is_deeply $t->call('My::job', [], context => ['a=b'])->{returned}[0], [0, 0, 0, 0], 'what the job is is not tainted';
is $t->call('My::runs', [], with())->{returned}[0], 'ran', "the job's path is not tainted";

done_testing;
