#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The spawner has one state, the struct of spawner/state.h: no file of it keeps anything
# in a variable of its own. Static is only what one call uses alone and the stack has no
# room for: the packet that is read, and, in a function, an array or a parsed message.

use strict;
use warnings;

use FindBin ();
use Test::More;

chdir "$FindBin::Bin/../.." or die "the checkout: $!\n";

# Written by each call before it is read.
my %scratch = map { $_ => 1 } qw(spawn_message spawn_identity saved);

my @files = glob 'spawner/*.c';
cmp_ok scalar @files, '>', 20, 'the spawner has files';
my @kept;
for my $file (@files) {
    open my $in, '<', $file or die "$file: $!\n";
    my $source = do { local $/ = undef; <$in> };
    $source =~ s{/\*.*?\*/}{}gs;
    $source =~ s/^(static struct) \{.*?^\}/$1 unnamed/gms;
    while ($source =~ /^([ ]*)static\s+([^();=]+)[;=]/gm) {
        my ($in_function, $declared) = ($1, $2);
        next if $declared =~ /\A const \b | \b input \[/x;
        next if $in_function && ($declared =~ /\[/ || $declared =~ /\A(\w+)\s+\w+\s*\z/ && $scratch{$1});
        $declared =~ s/\s+/ /g;
        push @kept, "$file: $declared";
    }
}
is_deeply \@kept, [], 'and keeps nothing beside its state' or diag map {"$_\n"} @kept;
done_testing;
