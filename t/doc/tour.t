#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The tour (docs/architecture.md) and CONTRIBUTING.md lead to files that are there; the
# tour names each file of spawner and module, and each at the top of the broker; and its
# table of a job's states is that of broker/job/state.c.

use strict;
use warnings;

use FindBin ();
use File::Basename qw(basename);
use Test::More;

my $root = "$FindBin::Bin/../..";

sub slurp {
    my ($file) = @_;
    open my $in, '<', "$root/$file" or die "$file: $!\n";
    local $/ = undef;
    return scalar <$in>;
}

# Where a name may be short: `turn.c` of the broker, `caller/accept.c` of its rooms.
my @below = ('', map {"$_/"} qw(common client spawner broker module module/status ctl perl/xs),
    map {"broker/$_"} qw(base/ job/ process/ store/ run/ caller/));

for my $page (qw(docs/architecture.md CONTRIBUTING.md)) {
    my $text  = slurp($page);
    my @names = $text =~ m{`((?:[\w.]+/)*[\w]+[.](?:[chlt]|xs|md|pm|1))`}g;
    my @gone  = grep {
        my $name = $_;
        !grep { -e "$root/$_$name" } @below, 't/', 'docs/', 't/simulation/', 't/lib/SpawnTest/Soak/'
    } @names;
    ok @names, "$page names files";
    is_deeply \@gone, [], "$page: they are there";
}

my $tour = slurp('docs/architecture.md');
for (['spawner', 'files of the spawner'], ['module', 'files of the module'], ['module/status', 'files of the module'], ['broker', 'six rooms of the broker']) {
    my ($folder, $heading) = @$_;
    my ($part) = $tour =~ /^\#\# [ ] The [ ] \Q$heading\E \n (.*?) ^\#\# [ ]/xms or die "no '$heading'\n";
    my @missing = grep { $part !~ /\b\Q$_\E\b/ } map { basename($_, '.c') } glob "$root/$folder/*.c";
    is_deeply \@missing, [], "the tour names each file of $folder/";
}

# Rows of the table: what happens, then the state that follows in each state.
my %in_the_code;
my $code = slurp('broker/job/state.c');
while ($code =~ /^ \s* \[SPAWN_JOB_\w+\] \s* = \s* \{ " ([^"]+) ", \s* \{ ([^}]+) \}/xmg) {
    $in_the_code{$1} = join ' ', map { /NEVER/ ? '-' : s/\s//gr } split /,/, $2;
}
my ($table) = $tour =~ /^ \s+ what[ ]happens [^\n]+ \n (.*?) \n \n/xms;
my %in_the_tour = map { /^ \s* (\S+(?:[ ]\S+)*?) \s{2,} (.*) $/x; ($1 => join ' ', split ' ', $2) }
    split /\n/, $table // '';
is_deeply \%in_the_tour, \%in_the_code, 'the table of states is that of broker/job/state.c';
ok %in_the_code >= 8, 'all of it';

done_testing;
