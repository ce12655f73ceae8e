#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The schemas of docs/ have each name that the status page and spawn-job write as JSON, and no
# other; and the checker that tests hold answers against finds what is wrong.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use Test::More;

use SpawnTest::Schema ();

my $root = "$FindBin::Bin/../..";

sub slurp {
    my ($file) = @_;
    open my $in, '<', "$root/$file" or die "$file: $!\n";
    local $/ = undef;
    return scalar <$in>;
}

# ---- names ----

my %name = slurp('common/spawn_proto.h') =~ /X\(\d+, (\w+), \w+,.*?"(\w+)"\)/g;

# The names that files write: as text, and as an attribute.
sub written {
    my (@files) = @_;
    my %written;
    for my $text (map { slurp("module/status/$_") } @files) {
        $written{$_} = 1 for $text =~ /\b(?:spawn_json_\w+|spawn_told_job|\w+_or_null|told_\w+)\(\s*(?:page|of->page),\s*"(\w+)"/g;
        $written{ $name{$_} } = 1 for $text =~ /\b(?:add_(?:number|text|time|texts|output)\(page, \w+,|KEY\()\s*SPAWN_A_(\w+)/g;
        $written{"${_}_not_shown"} = 1 for $text =~ /\btoo_much\(page, "(\w+)"/g;
    }
    return %written;
}

# Of an output there are parts, of a time there is a number, and so on.
sub is_of {
    my ($name, $written) = @_;
    return $written->{$name} || ($name =~ /\A(.+)_(?:ms|base64|not_shown|cut|over)\z/ && is_of($1, $written)) || ($name =~ /\A(out|err)_end\z/ && $written->{$1});
}

my %schema = map { $_ => SpawnTest::Schema->new("$root/docs/$_.schema.json") } qw(status job-status);
my %of = (
    status       => { written(qw(status.c told.c numbers.c jobs.c overview.c job.c)), map { $_ => 1 } qw(p50 p95 done of text) },
    'job-status' => { written('visit_told.c'), map { $_ => 1 } qw(progress done of) },
);
for my $kind (sort keys %schema) {
    my %has = map { $_ => 1 } $schema{$kind}->names;
    cmp_ok scalar keys %{ $of{$kind} }, '>', 10, "$kind: names";
    is_deeply [ grep { !$has{$_} } sort keys %{ $of{$kind} } ], [], '... are in the schema';
    is_deeply [ grep { !is_of($_, $of{$kind}) } sort keys %has ], [], '... and no others';
}

# ---- the checker ----

my $good = '{"version":1,"now":"2030-01-31T17:30:00.123Z","now_ms":1,"jobs":[{"id":"01890000-0000-7000-8000-000000000000","state":"done","queue":"q","argv":["a"],"elapsed":0.5,"dead":true}],"before":null}';
my $json = JSON::PP->new;
is_deeply [ $schema{status}->faults($json->decode($good)) ], [], 'a list keeps to it';
for my $case (
    [ '"version":1', '"version":2', 'another version' ],
    [ '"now_ms":1', '"now_ms":"1"', 'a text for a number' ],
    [ '"now_ms":1', '"now_ms":1.5', 'a fraction' ],
    [ '"now_ms":1', '"now_ms":-1', 'less than there is' ],
    [ '"before":null', '"other":null', 'another name' ],
    [ '"before":null', '"before":null,"error":{"code":"c","text":"t"}', 'a fault beside it' ],
    [ '"id":"01890000', '"id":"0189000', 'no id' ],
    [ '"state":"done",', '', 'no state' ],
    [ '"state":"done"', '"state":"gone"', 'a state that there is not' ],
    [ '["a"]', '["a",1]', 'a number for a text' ],
    [ '"dead":true', '"dead":false', 'another constant' ],
    [ '"queue":"q"', '"queue":null', 'null for a text' ],
    )
{
    my ($from, $to, $what) = @{$case};
    (my $bad = $good) =~ s/\Q$from\E/$to/ or die "no $from\n";
    isnt scalar(my @faults = $schema{status}->faults($json->decode($bad))), 0, "... not with $what";
}
done_testing;
