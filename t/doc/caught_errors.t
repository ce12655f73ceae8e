#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# No document, no module and no example calls a method of what was thrown when it only knows that this
# is a reference: code may die of a plain hash, and such a line would die itself.

use strict;
use warnings;

use File::Find ();
use FindBin ();
use Test::More;

my $root = "$FindBin::Bin/../..";

# ref $error && $error->code; !ref $@ || !$@->isa(...)
my $caught = qr/(?:\$@|\$\w*(?:error|err|thrown|exception|why)\w*)/;
my $ref = qr/\bref\s*(?:\(\s*)?($caught)\s*\)?/;
my $only_ref = qr/$ref\s*(?:&&|and\b|\|\||or\b|\?)\s*!?\s*\g{-1}\s*->/;

for my $bad ('ref $@ && $@->isa("X")', 'if (ref($error) and $error->code eq "x")', 'die $@ if !ref $@ || !$@->isa("X");',
    'ref $err ? $err->message : $err') {
    like $bad, $only_ref, "found: $bad";
}
for my $good ('blessed $@ && $@->isa("X")', 'Scalar::Util::blessed($error) && $error->isa("X")', 'ref $error && UNIVERSAL::isa($error, "X")',
    'ref $row && $row->{x}') {
    unlike $good, $only_ref, "let through: $good";
}

my @files;
File::Find::find({ no_chdir => 1, wanted => sub { push @files, $_ if -f && /[.](?:md|pm|pod|pl|psgi|cgi|t|xs|conf|[1-8])\z/ } },
    map {"$root/$_"} qw(README.md docs perl ctl examples bench));
cmp_ok scalar @files, '>', 60, 'files';
for my $file (sort @files) {
    open my $in, '<', $file or die "$file: $!\n";
    my @lines = <$in>;
    # as it is written in POD
    my @found = grep { ($lines[$_] =~ s/\b[CL]<+ ?//gr) =~ $only_ref } 0 .. $#lines;
    (my $name = $file) =~ s{\A\Q$root\E/}{};
    is_deeply [ map { $_ + 1 } @found ], [], $name or diag map { $lines[$_] } @found;
}

done_testing;
