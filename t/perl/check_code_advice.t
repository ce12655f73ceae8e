#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# What Apache2::Spawn::Check advises is in docs/migrating.md, and in the API.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use SpawnTest::CheckCode qw(tree check_code);
use Apache2::Spawn::Check ();

my $root = "$FindBin::Bin/../..";

sub slurp {
    my ($path) = @_;
    open my $in, '<', $path or die "$path: $!";
    local $/ = undef;
    return scalar <$in>;
}

my $page = slurp("$root/docs/migrating.md");
my %heading = map { $_ => 1 } $page =~ /^## (.+)$/mg;
my $pod = join '', map { slurp($_) } "$root/perl/lib/Apache2/Spawn.pm", glob "$root/perl/lib/Apache2/Spawn/*.pm";
my %method = map { $_ => 1 } map { /\b(\w+)\b/g } $pod =~ /^=(?:head2|item) (.+)$/mg;

my %advice = %Apache2::Spawn::Check::ADVICE;
cmp_ok scalar(keys %advice), '>=', 8, 'advice';
for my $kind (sort keys %advice) {
    my ($instead, $section) = @{ $advice{$kind} };
    ok $heading{$section}, "$kind: the section \"$section\"";
    my @called = $instead =~ /->(\w+)/g;
    ok @called, '... names methods';
    ok $method{$_}, "... $_ is one" for @called;
}
ok $page =~ /perl -MApache2::Spawn::Check/, 'the page names it';

SKIP: {
    skip 'PPI (package libppi-perl) is not installed', 1 if !eval { require PPI; 1 };
    my $dir = tree('a.pl' => "system('x');\n");
    my (undef, $out) = check_code([$dir]);
    is $out, "$dir/a.pl:1: system: \$r->spawn_run([...])->ok; see docs/migrating.md, 11. system\n", 'a whole line';
}

done_testing;
