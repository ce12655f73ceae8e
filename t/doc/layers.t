#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A file uses files of its own folder, and of the folders below it; no two use each
# other, and none comes back to itself by way of others. A program uses no file of
# another. Read from the sources: includes, and names of functions and variables.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest::Arrows qw(arrows circles unit);

chdir "$FindBin::Bin/../.." or die "the checkout: $!\n";

# The folders of each program, the lowest first.
my %layers = (
    spawner => [qw(common spawner)],
    broker  => [
        qw(common broker/base broker/job broker/process broker/store broker/run broker/caller broker/relay broker)],
    relay    => [qw(common relay)],
    module   => [qw(common client mod_spawn.h module module/status mod_spawn.c)],
    spawnctl => [qw(common client ctl)],
    Perl     => [qw(common client mod_spawn.h module/perl_runner.h perl/xs/template perl/xs/process perl/xs/serve perl/xs)],
    waiter   => [qw(perl/waiter)],
);

for my $program (sort keys %layers) {
    my (%height, @files);
    my $layer = 0;
    for my $folder (@{ $layers{$program} }) {
        my @found = -d $folder ? grep { -f } glob "$folder/*.c $folder/*.h $folder/*.xs" : -e $folder ? $folder : ();
        cmp_ok scalar @found, '>', 0, "$program: $folder has files";
        $height{ unit($_) } = $layer for @found;
        push @files, @found;
        $layer++;
    }
    my $arrows = arrows(@files);
    my @wrong;
    for my $from (sort keys %$arrows) {
        for my $to (sort keys %{ $arrows->{$from} }) {
            next if exists $height{$to} && $height{$to} <= $height{$from};
            my $names = join ' ', @{ delete $arrows->{$from}{$to} };
            push @wrong, "$from -> $to: $names" . (exists $height{$to} ? '' : ", of another program");
        }
    }
    push @wrong, map {"circle: @$_"} circles($arrows);
    ok !@wrong, "$program: calls go down only" or diag map {"$_\n"} @wrong;
}
done_testing;
