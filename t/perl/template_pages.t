#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A Perl job copies few pages of its template, also when the template's memory is full of
# holes: its surroundings are prepared, what it allocates lies side by side, and nothing is
# made that its function does not ask for.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use FakeSpawner ();

plan skip_all => "no syscall numbers for this machine" if !FakeSpawner::can_run();
my $build = $ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build";
plan skip_all => 'a sanitizer has pages of its own' if -x "$build/perl-sanitized";

# Faults of a job, those that read a file's page too: some 80. With a hash of the order, an
# object of the job and the call in Perl they were 170; in the holes some 40 more.
use constant MOST => 110;

my $dir = FakeSpawner::files('My.pm' => <<'END', 'holes.pl' => <<'HOLES');
package My;
use Scalar::Util ();
sub echo { return $_[0] }
# on how many pages new values are, and their texts
sub new_values {
    my @new = map { "text $_" } 1 .. 50;
    my (%values, %texts);
    for (@new) {
        $values{ Scalar::Util::refaddr(\$_) >> 12 } = 1;
        $texts{ unpack('J', pack 'p', $_) >> 12 } = 1;
    }
    return (scalar keys %values, scalar keys %texts);
}
1;
END
# pieces of all sizes, every other one free again, from everywhere; so with hashes and
# their keys
my @kept = map { [ 'x' x ($_ % 700) ] } 1 .. 20_000;
my %kept = map { ("key $_" => { n => $_ }) } 1 .. 20_000;
for (map { 2 * ($_ * 7919 % 10_000) } 0 .. 9_999) {
    undef $kept[$_];
    delete $kept{"key $_"};
}
$My::kept = [ \@kept, \%kept ];
1;
HOLES

my $n = 0;
sub env {
    return (env => [ 'PATH=/usr/local/bin:/usr/bin:/bin', 'HOME=/srv', 'USER=web', 'LOGNAME=web', 'LANG=C.UTF-8',
        sprintf('SPAWN_JOB_ID=01900000-7000-0001-8000-%012d', ++$n), 'SPAWN_QUEUE=default', 'SPAWN_SOCKET=/run/spawn/socket' ]);
}

# Faults of processes that were reaped.
sub faults {
    my $usage = "\0" x 256;
    syscall(FakeSpawner->syscall_number('getrusage'), -1, $usage) == 0 or die "getrusage: $!";
    return (unpack 'q9', $usage)[8];
}

sub faults_of_a_job {
    my (@with) = @_;
    my $t = FakeSpawner->start(preload => ['My'], inc => [$dir], env => [ HOME => '/srv', USER => 'web', LOGNAME => 'web' ], @with);
    my @found;
    for (1 .. 5) {
        my $before = faults();
        my $job = $t->call('My::echo', ['x'], env());
        is_deeply $job->{returned}, ['x'], 'a job' if !@found;
        push @found, faults() - $before;
    }
    return (sort { $a <=> $b } @found)[0];
}

my $plain = faults_of_a_job();
cmp_ok $plain, '<', MOST, 'it copies few pages';
my $holes = faults_of_a_job(require => "$dir/holes.pl");
cmp_ok $holes, '<', MOST, 'also from memory full of holes';
my $t = FakeSpawner->start(preload => ['My'], inc => [$dir], require => "$dir/holes.pl");
my ($values, $texts) = @{ $t->call('My::new_values', [], want => 'list')->{returned} };
cmp_ok $values, '<=', 4, 'new values lie side by side';
cmp_ok $texts,  '<=', 6, 'so do their texts';
note "$plain and $holes faults";

done_testing;
