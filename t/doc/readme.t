#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# What README and CONTRIBUTING tell people to type or to read is there: targets
# of make, verbs of spawnctl, files.

use strict;
use warnings;

use FindBin ();
use Test::More;

my $root = "$FindBin::Bin/../..";

sub slurp {
    my ($file) = @_;
    open my $in, '<', "$root/$file" or die "$file: $!\n";
    local $/ = undef;
    return scalar <$in>;
}

my $makefile = slurp('Makefile');
my ($phony) = $makefile =~ /^\.PHONY: (.*)$/m;
my %target = map { $_ => 1 } grep { $makefile =~ /^\Q$_\E:/m } split ' ', $phony;
is_deeply [ grep { !$target{$_} } split ' ', $phony ], [], 'each target of .PHONY has a rule';

my ($verbs) = slurp('ctl/main.c') =~ /\bverbs\[\] = \{(.*?)\};/s;
my %verb = map { $_ => 1 } $verbs =~ /\{"(\w+)",/g;

for my $page (qw(README.md CONTRIBUTING.md)) {
    my $text = slurp($page);

    # A line of code, or code within a line; "# ..." explains.
    my @code = map { s/\s#.*//r } $text =~ /^ {4}(.*)$/mg, $text =~ /`([^`]+)`/g;
    my @targets = map { grep { /\A[a-z]+\z/ } split ' ' }
        map { /\A(?:\w+=\S+ )*make\b(.*)\z/ ? $1 : () } @code;
    ok @targets, "$page: commands were found";
    ok $target{$_}, "$page: make $_" for do { my %seen; grep { !$seen{$_}++ } @targets };
    ok $verb{$_}, "$page: spawnctl $_" for map { /\Aspawnctl ([a-z]+)/ ? $1 : () } @code;

    my %files = map { $_ => 1 } $text =~ /\]\(([^):#]+)\)/g,
        grep { m{\A(?:t|docs|common|ctl|module|spawner|broker)/[\w/]+\.\w+\z} } @code;
    ok -e "$root/$_", "$page: $_ is there" for sort keys %files;
}

done_testing;
