#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Each error code of the manual is thrown in t/httpd/error_codes.t, but those of
# which the manual says that they are never thrown. Those that are never thrown
# to Perl the broker answers there to a packet.

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

my @answered = grep { $manual{$_} =~ /never thrown to Perl/i } keys %manual;

my $test = slurp('t/httpd/error_codes.t');
my %thrown = map { $_ => 1 } $test =~ /^\s*cause\('(\w+)'/gm;
my %answered = map { $_ => 1 } $test =~ /^\s*refused\('(\w+)'/gm;
is_deeply [ sort keys %thrown ], [ sort @thrown ], 'each that is thrown is thrown for real';
is_deeply [ grep { !$answered{$_} } sort @answered ], [], 'each that is not thrown to Perl is answered for real';
cmp_ok scalar(@answered), '>', 0, 'there are such';

done_testing;
