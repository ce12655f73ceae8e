#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# docs/frameworks.md shows the files of examples/frameworks as they are, and no other.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(root_dir);
use SpawnTest::Page;

my $root = root_dir() . '/examples/frameworks';

sub slurp {
    my ($file) = @_;
    open my $in, '<', $file or die "$file: $!\n";
    local $/ = undef;
    return scalar <$in>;
}

my $shown = SpawnTest::Page::files('docs/frameworks.md', 'file');
is_deeply [ sort keys %{$shown} ],
    [ 'catalyst.psgi', 'dancer2.psgi', 'lib/Example/Catalyst/Controller/Root.pm', 'lib/Example/Work.pm', 'mojolicious.psgi' ], 'files';
is $shown->{$_} =~ s/\n+\z/\n/r, slurp("$root/$_"), $_ for sort keys %{$shown};
my $conf = slurp("$root/httpd.conf") =~ s/^#.*\n//mgr;
for my $line (grep { /\S/ } split /\n/, slurp(root_dir() . '/docs/frameworks.md') =~ s/.*?(^    PerlSwitches.*?)^The functions.*/$1/msr) {
    (my $plain = $line) =~ s/^ {4}//;
    like $conf, qr/^\Q$plain\E$/m, $plain;
}

done_testing;
