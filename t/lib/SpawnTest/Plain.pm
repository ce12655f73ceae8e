package SpawnTest::Plain;
# SPDX-License-Identifier: Apache-2.0
#
# Answers of handlers, as data that JSON takes. In httpd children.

use strict;
use warnings;

use Exporter qw(import);
use Scalar::Util qw(reftype);

our @EXPORT_OK = qw(plain);

# Objects of hashes and arrays as plain data; others as text.
sub plain {
    my ($value) = @_;
    my $type = reftype $value;
    return $value if !defined $type;
    return { map { $_ => plain($value->{$_}) } keys %{$value} } if $type eq 'HASH';
    return [ map { plain($_) } @{$value} ] if $type eq 'ARRAY';
    return "$value";
}

1;
