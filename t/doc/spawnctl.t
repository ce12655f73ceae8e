#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The manual page of spawnctl names what there is: each verb, each option, each
# field of a job, each exit code; and formats without a complaint.

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

my $page = slurp('ctl/spawnctl.1');

# Text of a section or subsection.
sub part {
    my ($kind, $name) = @_;
    my $end = $kind eq 'Ss' ? qr/^\.S[sh] /m : qr/^\.Sh /m;
    return $page =~ /^\.$kind \Q$name\E\n(.*?)(?:$end|\z)/ms ? $1 : undef;
}

# The long options that a text has as items.
sub items {
    my ($text) = @_;
    return { map { $_ => 1 } map { /Fl -([a-z-]+)/g } grep { /^\.It / } split /\n/, $text };
}

# ---- verbs ----

my ($table) = slurp('ctl/main.c') =~ /\bverbs\[\] = \{(.*?)\};/s;
my @verbs = $table =~ /\{"([\w-]+)",/g;
cmp_ok scalar @verbs, '>=', 5, 'verbs';
for my $verb (@verbs) {
    ok defined part('Ss', $verb), "verb $verb: a section";
    like part('Sh', 'SYNOPSIS'), qr/^\.Cm $verb$/m, "verb $verb: in the synopsis";
}

# ---- options ----

my $common = items(part('Ss', 'Options for all verbs'));
my ($all) = slurp('ctl/ctl.h') =~ /define CTL_LONG_OPTIONS(.*?)\n\n/s;
my @all = $all =~ /\{"([a-z-]+)",/g;
ok $common->{$_}, "option --$_ of all verbs" for @all, 'timeout';

for my $verb (@verbs) {
    my $file = $verb eq 'run' ? 'ctl/options.c' : $verb =~ /^(?:pause|resume|drain|scale)$/ ? 'ctl/queue_change.c' : 'ctl/' . $verb =~ tr/-/_/r . '.c';
    my ($options) = slurp($file) =~ /struct option \w+\[\] = \{(.*?)\};/s;
    my @names = $options =~ /(?:OPTION\(|\{)"([a-z-]+)",/g;
    @names = grep { $_ ne 'undo' } @names if $verb eq 'resume';
    ok @names, "$verb: options were found";
    my $documented = items(part('Ss', $verb));
    for my $name (@names) {
        next if $name eq 'limit';    # the second name of limits, in its text
        ok $documented->{$name} || $common->{$name}, "$verb: option --$name";
    }
    my %is = map { $_ => 1 } @names, @all;
    is_deeply [ grep { !$is{$_} } sort keys %{$documented} ], [], "$verb: no option that is not there";
}

# ---- fields of a job ----

my ($list) = slurp('common/spawn_field.h') =~ /define SPAWN_FIELD_LIST\(X\)(.*?)\n\n/s;
# load and template belong to Perl functions, which Perl calls.
my @fields = grep { !/^(?:load|template)$/ } $list =~ /X\(\w+, "(\w+)"/g;
cmp_ok scalar @fields, '>', 20, 'fields';
my $run = items(part('Ss', 'run'));
my ($help) = slurp('ctl/run.c') =~ /ctl_run_help\[\] =(.*?);\n/s;
for my $field (@fields) {
    (my $option = $field) =~ tr/_/-/;
    ok $run->{$option}, "field $field: --$option in the page";
    like $help, qr/--$option\b/, "field $field: --$option in the help";
}

# ---- exit codes ----

my $status = part('Sh', 'EXIT STATUS');
my %codes = slurp('ctl/ctl.h') =~ /^#define (CTL_[A-Z_]+) +([0-9]+)\b/mg;
my @codes = grep { $_ > 1 } values %codes;
cmp_ok scalar @codes, '>=', 4, 'exit codes';
like $status, qr/^\.It $_$/m, "exit code $_" for sort @codes;
like $status, qr/^\.It Ar n$/m, 'the exit code of the job';
like $status, qr/^\.It 128\+ Ns Ar n$/m, 'a signal';
like $status, qr/exit with 0; 1 when/, '0 and 1 of the other verbs';

# ---- form ----

SKIP: {
    my ($man) = grep { -x } map { "$_/man" } split /:/, $ENV{PATH};
    my ($groff) = grep { -x } map { "$_/groff" } split /:/, $ENV{PATH};
    skip 'man or groff is not here', 2 if !$man || !$groff;
    delete local @ENV{qw(LD_PRELOAD ASAN_OPTIONS UBSAN_OPTIONS)};    # no sanitizer of ours is in them
    local $ENV{MANWIDTH} = 80;
    local $ENV{MAN_KEEP_STDERR} = 1;
    my $said = `'$man' --warnings -l '$root/ctl/spawnctl.1' 2>&1 >/dev/null`;
    is $?, 0, 'man formats it';
    is $said, '', 'without a warning';
}
done_testing;
