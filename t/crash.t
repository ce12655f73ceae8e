#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The power is cut while durable jobs come, start and end: what callers were told is
# true afterwards (t/crash/cuts.c). CUTS times (10), from the seed SEED (1) on; `make
# test-crash` does 300. On a disk that lies about its syncs that is not so, and is
# noticed.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use Test::More;

use SpawnTest qw(build_dir not_sanitized);

my $cuts = build_dir() . '/t/crash/cuts';

sub run {
    my (%env) = @_;
    local @ENV{ keys %env } = values %env;    ## no critic (RequireLocalizedPunctuationVars)
    open my $out, '-|', "$cuts 2>&1" or die "$cuts: $!\n";
    my @said = <$out>;
    close $out;
    return ($? >> 8, @said);
}

not_sanitized('syncs are counted by a preloaded library');
my ($code, @said) = run(CUTS => $ENV{CUTS} || 10);
if ($code == 77) {
    my ($why) = map { /left out: (.*)/ ? $1 : () } @said;
    plan skip_all => $why // 'it cannot be done here';
}
is $code, 0, 'no promise is broken' or diag @said;
my ($sum) = grep { /promises broken/ } @said;
note $sum;
my ($accepted, $waited) = $sum =~ /(\d+) durable jobs accepted.* (\d+) waited over a cut/;
cmp_ok $accepted, '>', 0, 'durable jobs were accepted';
cmp_ok $waited, '>', 0, 'and some ran after a cut';

($code, @said) = run(CUTS => 6, LIES => 1);
is $code, 1, 'a disk that lies breaks them' or diag @said;
like "@said", qr/; [1-9][0-9]* promises broken/, 'and that is noticed';
done_testing;
