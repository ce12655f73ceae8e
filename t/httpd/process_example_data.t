#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Example: the worker's code stands in the DATA section.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Processes qw(process lines);

my $code = do { local $/ = undef; <DATA> };
for my $exec (0, 1) {
    my ($fh);
    process(exec => $exec)->eval($code)->run('doit', sub { ($fh) = @_ });
    is_deeply [ lines($fh) ], [ 'main', 'done' ], 'it does something';
}
done_testing;

__DATA__

sub doit {
    my ($fh) = @_;
    print $fh __PACKAGE__, "\n";
    $undeclared = 'done';    # neither strict nor warnings of whoever evaluates
    print $fh "$undeclared\n";
}
