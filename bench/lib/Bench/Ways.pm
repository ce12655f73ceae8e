# SPDX-License-Identifier: Apache-2.0
#
# The ways of starting a program: each is one file of bench/ways/, which gives
# a hash (bench/README.md says what is in it). Loaded in the suite to know what
# can be measured, and in httpd's children, where they run.

package Bench::Ways;

use strict;
use warnings;

use File::Basename qw(basename);

my %way;

# All names, in the order that they are shown in.
sub names {
    my ($dir) = @_;
    my @names = map { basename($_, '.pl') } glob "$dir/*.pl";
    @names = sort { load($dir, $a)->{order} <=> load($dir, $b)->{order} } @names;
    return @names;
}

sub load {
    my ($dir, $name) = @_;
    return $way{$name} ||= do {
        die "no such way: $name\n" if $name !~ /\A\w+\z/;
        my $got = do "$dir/$name.pl";
        die "$dir/$name.pl: " . ($@ || $! || 'gives no hash') . "\n" if ref $got ne 'HASH';
        $got;
    };
}

# Loads the modules that a way needs; what is missing, or nothing.
sub missing {
    my ($way) = @_;
    for my $module (@{ $way->{need} || [] }) {
        (my $file = "$module.pm") =~ s{::}{/}g;
        next if eval { require $file; 1 };
        return "$module is not installed" if $@ =~ /\ACan't locate \Q$file\E /;
        my ($why) = $@ =~ /\A(.*?)(?: \(|$)/;
        return "$module cannot be loaded: $why";
    }
    return;
}

1;
