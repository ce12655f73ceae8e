#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# docs/c-api.md: each function of mod_spawn.h is in its table and is registered,
# each error code has the apr_status_t that module/api_info.c gives it.

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

my $page   = slurp('docs/c-api.md');
my $header = slurp('mod_spawn.h');

my ($struct) = $header =~ /typedef struct \{([^}]*)\} spawn_api;/ or die "mod_spawn.h: no spawn_api\n";
my %member = map { /\(spawn_job_(\w+)\) \*\s*(\w+);/ ? ($2 => $1) : () } split /\n/, $struct;
cmp_ok scalar(keys %member), '>=', 13, 'functions of spawn_api';
is_deeply [ grep { $member{$_} ne $_ } keys %member ], [], 'each has the name of its function';

my ($functions) = $page =~ /^## Functions\n(.*?)^\*\*/ms or die "c-api.md: no functions\n";
is_deeply [ sort $functions =~ /^\| `(\w+)\(/mg ], [ sort keys %member ], 'the page has each of them, and no other';
my ($find) = $header =~ /int spawn_api_find\(.*?\n\{(.*?)\n\}/s or die "mod_spawn.h: no spawn_api_find\n";
my $hooks = slurp('mod_spawn.c');

# A module that was built with a newer header has the others from an older mod_spawn.
my %later = map { $_ => 1 } qw(revive list start_now);
for my $name (sort keys %member) {
    like $find, qr/api->$name = APR_RETRIEVE_OPTIONAL_FN\(spawn_job_$name\);/, "spawn_api_find gets $name";
    if ($later{$name}) {
        unlike $find, qr/[ ]api->$name\b(?! =)/, 'and does without it, as it came later';
        like $page, qr/came later than\s+the first ones \([^)]*`$name`[^)]*\) are NULL/, 'which the page says';
    }
    else {
        like $find, qr/[ ]api->$name\b(?! =)/, 'and looks whether it is there';
    }
    like $hooks, qr/APR_REGISTER_OPTIONAL_FN\(spawn_job_$name\);/, 'it is registered';
}

# Codes of the page with their status; START_FAILED and SYSTEM have the errno.
my ($failures) = $page =~ /^## Failures\n(.*?)^## /ms or die "c-api.md: no failures\n";
my (%told, %given);
for my $row ($failures =~ /^\| (`.*)$/mg) {
    my ($codes, $status) = split /\s*\|\s*/, $row;
    $told{$_} = $status =~ /\A(APR_\w+)\z/ ? $1 : 'the errno' for $codes =~ /`(\w+)`/g;
}
my %name = map { /X\(\d+, (\w+), "(\w+)"/ ? ($1 => $2) : () }
    split /\n/, slurp('common/spawn_error.h') =~ s/.*?(#define SPAWN_ERROR_LIST.*?)#define SPAWN_STEP_LIST.*/$1/sr
    =~ s/,\s*\\\n\s+"/, "/gr;
my ($switch) = slurp('module/api_info.c') =~ /^apr_status_t spawn_api_status\(.*?\n\{(.*?)^\}/ms;
my ($default) = $switch =~ /default:\s+return (\w+);/;
while ($switch =~ /((?:\s+case SPAWN_E_\w+:)+)\s+return (.*?);/sg) {
    my ($cases, $status) = ($1, $2);
    $given{ $name{$_} } = $status =~ /\A(APR_\w+)\z/ ? $1 : 'the errno' for $cases =~ /SPAWN_E_(\w+)/g;
}
delete $given{ok};
$given{$_} ||= $default for grep { $_ ne 'ok' } values %name;
cmp_ok scalar(keys %given), '>=', 25, 'codes';
is_deeply \%told, \%given, 'each code has the status that the page tells';

done_testing;
