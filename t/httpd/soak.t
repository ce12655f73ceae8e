#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Some seconds of soak (t/soak) with each MPM: everybody submits everything while processes
# are killed and stopped and httpd is restarted. No promise is broken, and nothing is left.
# With SOAK_SECONDS it takes so long for each, and spawner and httpd are killed, too, the
# disk is full and the clock is set. SOAK_SEED is the seed (1).

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);

my $seconds = $ENV{SOAK_SECONDS} || 8;
my @only    = $ENV{SOAK_SECONDS} ? ()
    : ('--only', 'kill_(?:broker|scribe|exec_template|worker|spare|job|httpd_child)|stop_(?:broker|spawner|template|worker)|graceful|restart');
my $seed    = $ENV{SOAK_SEED} || 1;
my $run     = "$FindBin::Bin/../soak/run";

# With what is left over in $! it would be another number, which could stand for "not here".
{
    local $ENV{SPAWN_BUILD} = '/nonexistent';
    my $said = `$^X $run --seconds 1 2>&1`;
    my $code = $? >> 8;
    ok $code == 1 || $code == 77 && $said =~ /^left out: /m, 'one that dies has failed' or diag "$code: $said";
}

each_mpm(
    sub {
        my ($mpm) = @_;
        open my $out, '-|', $^X, $run, '--seed', $seed, '--seconds', $seconds, '--mpm', $mpm, @only or die "$run: $!\n";
        my @said = <$out>;
        close $out;
        my $code = $? >> 8;
        plan skip_all => $1 if $code == 77 && ($said[-1] // '') =~ /^left out: (.*)/;
        is $code, 0, 'no promise is broken' or diag @said;
        my ($jobs) = "@said" =~ /: ([0-9]+) jobs submitted/;
        cmp_ok $jobs || 0, '>', 0, 'there were jobs' or diag @said;
        note @said;
        for my $why (map { /^\s*left out: (?!the option)(.*)/ ? $1 : () } @said) {
            SKIP: { skip $why, 1 }
        }
    }
);

done_testing;
