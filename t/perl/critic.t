#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# perlcritic has nothing to say at its gentle level.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use File::Find ();

plan skip_all => 'Perl::Critic (package libperl-critic-perl) is not installed'
    if !eval { require Perl::Critic; 1 };

my @files;
File::Find::find({ no_chdir => 1, wanted => sub { push @files, $_ if /\.pm\z/ } }, "$FindBin::Bin/../../perl/lib");
my $critic = Perl::Critic->new(-severity => 'gentle', -profile => '');
for my $path (sort @files) {
    my @said = $critic->critique($path);
    is scalar @said, 0, $path or diag @said;
}

done_testing;
