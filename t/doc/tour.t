#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The tour (docs/architecture.md) and what follows it lead to files that are there; it is
# as short as it says; docs/files.md names each file of the sources, and no other; the
# tour names each at the top of the broker and each room; and its table of a job's states
# is that of broker/job/state.c.

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

for my $page (qw(docs/architecture.md docs/trips.md CONTRIBUTING.md)) {
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
my ($pages) = $tour =~ /\A(.*?)^\#\# Words$/ms or die "no list of words\n";
cmp_ok scalar(() = $pages =~ /\n/g), '<=', 130, 'the tour is two pages';

# ---- the top of the broker, and its rooms ----

my ($rooms) = $tour =~ /^\#\# [ ] The [ ] seven [ ] rooms [ ] of [ ] the [ ] broker \n (.*?) ^\#\# [ ]/xms or die "no rooms\n";
my @top = map { basename($_, '.c') } glob "$root/broker/*.c";
is_deeply [ grep { $rooms !~ /\b\Q$_\E\b/ } @top ], [], 'the tour names each file at the top of the broker';
my @rooms = map { basename($_) } grep { -d } glob "$root/broker/*";
is_deeply [ sort $rooms =~ /^ {4}([a-z]+) {3,}/mg ], [ sort @rooms ], 'and the seven rooms';

# ---- every file ----

my (%there, %named);
for my $path (split /\n/, `cd \Q$root\E && find broker spawner common client ctl perl module relay -type f`) {
    next if $path !~ /[.](?:[ch]|xs|pm|pod)\z/;
    my ($folder, $file) = $path =~ m{\A(perl/lib)/(.*)\z} ? ($1, $2) : $path =~ m{\A(.*)/([^/]+)\z};
    $file =~ s/[.][ch]\z//;
    $there{$folder}{$file} = 1;
}
my $page = slurp('docs/files.md');
while ($page =~ /^\#\# (\S+)\/\n(.*?)(?=^\#\# |\z)/msg) {
    my ($folder, $part) = ($1, $2);
    while ($part =~ /^\| `([^`]+)` \| (.*) \|$/mg) {
        my ($file, $text) = ($1, $2);
        ok !$named{$folder}{$file}, "$folder/$file once" if $named{$folder}{$file};
        ok length $text > 8, "$folder/$file: what it is" if length $text <= 8;
        $named{$folder}{$file} = 1;
    }
}
is_deeply [ sort keys %named ], [ sort keys %there ], 'docs/files.md: the folders';
for my $folder (sort keys %there) {
    is_deeply [ sort keys %{ $named{$folder} || {} } ], [ sort keys %{ $there{$folder} } ], "docs/files.md: the files of $folder/";
}

# ---- the states of a job ----

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
