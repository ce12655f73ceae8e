#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# docs/metrics.md names each metric of the page with its type, and no other; the alerts and
# the dashboard of packaging/ ask for no others, and are files of their kinds.

use strict;
use warnings;

use FindBin ();
use JSON::PP ();
use Test::More;

my $root = "$FindBin::Bin/../..";

sub slurp {
    my ($file) = @_;
    open my $in, '<', "$root/$file" or die "$file: $!\n";
    local $/ = undef;
    return scalar <$in>;
}

# ---- the page ----

my $writer = slurp('client/prometheus.c');
my %is;
$is{$1} = $2 while $writer =~ /\b(?:head|of_pair)\(p,\s*"([a-z_]+)",\s*"(counter|gauge|histogram)"/g;
$is{$2} = lc $1 while $writer =~ /^ +(COUNTER|GAUGE)\("([a-z_]+)"/mg;
$is{$1} = 'histogram' while $writer =~ /queue_histograms\(p, "([a-z_]+)"/g;
cmp_ok scalar keys %is, '>', 15, 'metrics';

my %documented;
for my $row (slurp('docs/metrics.md') =~ /^\| (`mod_spawn_.*)/mg) {
    my ($names, $type) = split / \| /, $row;
    $documented{$_} = $type for $names =~ /`mod_spawn_([a-z_]+)`/g;
}
is_deeply \%documented, \%is, 'docs/metrics.md has each, with its type';

# ---- who asks for them ----

my $alerts = slurp('packaging/prometheus/alerts.yml');
my $dashboard = slurp('packaging/prometheus/grafana.json');
my %asks = ('alerts.yml' => $alerts, 'grafana.json' => $dashboard);
for my $file (sort keys %asks) {
    my %wrong;
    for my $name ($asks{$file} =~ /\bmod_spawn_([a-z_]+)/g) {
        (my $of = $name) =~ s/_(?:bucket|sum|count)\z//;
        next if $is{$name} && $is{$name} ne 'histogram' || $of ne $name && ($is{$of} || '') eq 'histogram';
        $wrong{$name} = 1;
    }
    is_deeply [ sort keys %wrong ], [], "$file: asks for what is there";
}

my $read = eval { JSON::PP->new->decode($dashboard) } || {};
my @panels = @{ $read->{panels} || [] };
cmp_ok scalar @panels, '>', 10, 'a dashboard with panels';
my %ids = map { $_->{id} => 1 } @panels;
is scalar keys %ids, scalar @panels, 'each has its id';

SKIP: {
    my ($promtool) = grep { -x } map { "$_/promtool" } split /:/, $ENV{PATH};
    skip q{promtool (Debian's package prometheus) is not installed}, 1 if !$promtool;
    delete local @ENV{qw(LD_PRELOAD ASAN_OPTIONS UBSAN_OPTIONS)};
    my $said = `'$promtool' check rules '$root/packaging/prometheus/alerts.yml' 2>&1`;
    is $?, 0, 'promtool takes the alerts' or diag $said;
}
done_testing;
