#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# docs/directives.md explains each directive of the module, and none that is
# not there, in httpd's form and with the default that the code has.

use strict;
use warnings;

use FindBin ();
use Test::More;

my $root = "$FindBin::Bin/../..";

sub slurp {
    my ($file) = @_;
    open my $in, '<', "$root/$file" or die "$file: $!\n";
    local $/ = undef;
    return scalar <$in>;
}

my ($table) = slurp('module/directives.c') =~ /spawn_directives\[\] = \{(.*?)^\s*\{NULL/ms;
my @directives = map { /^</ ? "$_>" : $_ } $table =~ /AP_INIT_\w+\("(<?\w+)"/g;
cmp_ok scalar @directives, '>=', 9, 'directives';

my $page = slurp('docs/directives.md');
my (%section, @order);
while ($page =~ /^## `?(<?\w+>?)`?\n(.*?)(?=^## |\z)/msg) {
    push @order, $1;
    $section{$1} = $2;
}
is_deeply [ sort @order ], [ sort @directives ], 'a section for each, and no other';
is_deeply \@order, [ sort { lc $a cmp lc $b } @order ], 'in order';

my %row;
for my $name (@directives) {
    my $text = defined $section{$name} ? $section{$name} : '';
    my %is = $text =~ /^\| (\w+) \| (.+) \|$/mg;
    $row{$name} = \%is;
    for my $what (qw(Description Syntax Default Context)) {
        ok length($is{$what} || ''), "$name: $what";
    }
    (my $word = $name) =~ tr/<>//d;
    like $is{Syntax} || '', qr/\A`<?$word[ >].*`\z/, "$name: the syntax begins with its name";
    my @contexts = split /, /, $is{Context} || '';
    is_deeply [ grep { !/\A(?:server config|virtual host|directory|\.htaccess|queue)\z/ } @contexts ], [],
        "$name: contexts that the page explains";
}

# Which may stand in <SpawnQueue> is decided by one table.
my ($allowed) = slurp('module/queue_section.c') =~ /allowed\[\] = \{(.*?)\};/s;
is_deeply [ sort grep { $row{$_}{Context} =~ /\bqueue\b/ } @directives ],
    [ sort $allowed =~ /"(\w+)"/g ], 'the context queue';

# Defaults that are a number or a name in the code.
my %default = slurp('module/config.h') =~ /^#define SPAWN_DEFAULT_(\w+)\s+"?([^"\s]+)"?$/mg;
my %where = (
    SpawnMaxJobs => 'MAX_JOBS',
    SpawnMaxQueued => 'MAX_QUEUED',
    SpawnSocket => 'SOCKET',
    SpawnSocketMode => 'SOCKET_MODE',
);
for my $name (sort keys %where) {
    is $row{$name}{Default}, "`$name $default{ $where{$name} }`", "$name: the default";
}
my ($mega) = slurp('module/config.h') =~ /^#define SPAWN_DEFAULT_HISTORY_SIZE\s+\((\d+) << 20\)$/m;
is $row{SpawnHistory}{Default}, "`SpawnHistory $default{HISTORY_JOBS} none ${mega}M`", 'SpawnHistory: the default';
is $row{SpawnSubmitTimeout}{Default},
    '`SpawnSubmitTimeout ' . $default{SUBMIT_TIMEOUT_MS} / 1000 . 's`', 'SpawnSubmitTimeout: the default';
like $row{SpawnStore}{Default}, qr/\A`\Q$default{STORE}\E`/, 'SpawnStore: the default';
done_testing;
