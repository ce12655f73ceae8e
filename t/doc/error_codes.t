#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Each error code of the manual is caused by t/httpd/error_codes.t, but those of
# which the manual says that they are never thrown.

use strict;
use warnings;

use Test::More;

sub slurp {
    my ($file) = @_;
    open my $fh, '<', $file or die "$file: $!";
    local $/ = undef;
    return <$fh>;
}

my ($pod) = slurp('perl/lib/Apache2/Spawn/Error.pm') =~ /^=head1 CODES\n(.*?)^=head1/ms;
my %manual = $pod =~ /^=item C<(\w+)>\n\n(.*?)(?=^=item|^=back)/gms;
cmp_ok scalar(keys %manual), '>', 20, 'the codes of the manual';
my @thrown = grep { $manual{$_} !~ /never thrown/i } keys %manual;

my %caused = map { $_ => 1 } slurp('t/httpd/error_codes.t') =~ /^\s*(?:cause|refused)\('(\w+)'/gm;
is_deeply [ sort keys %caused ], [ sort @thrown ], 'each is caused for real';

done_testing;
