#!/usr/bin/perl
# Each cell of the first two tables of docs/reliability.md and each row of the third
# names a test, or says that there is none; the tests and the messages are there.
use strict;
use warnings;
use Test::More;

sub slurp {
    my ($file) = @_;
    open my $fh, '<', $file or die "$file: $!";
    local $/ = undef;
    return <$fh>;
}

my $page = slurp('docs/reliability.md');
my $messages = slurp('docs/messages.md');

sub rows {
    my ($heading) = @_;
    my ($part) = $page =~ /^\#\# [ ] \Q$heading\E \n (.*?) (?=^\#\# [ ]|\z)/xms or die "no '$heading'\n";
    my @rows = map { [ split /\s*\|\s*/, s/^\|\s*//r ] } grep { /^\|/ } split /\n/, $part;
    return @rows[ 2 .. $#rows ];
}

my %place = (t => 't/httpd', c => 't/unit');
my @named = $page =~ m{`((?:t/(?:\w+/)*)?\w+[.][tc])`}g;
my @gone = grep { !-e (m{/} ? $_ : /[.](\w)\z/ && "$place{$1}/$_") } @named;
cmp_ok scalar @named, '>', 80, 'tests are named';
is_deeply \@gone, [], 'they are there';

my @numbers = $page =~ /\bMS(\d{4})\b/g;
cmp_ok scalar @numbers, '>', 30, 'messages are named';
is_deeply [ grep { $messages !~ /^\#\#\#[ ]MS$_\b/m } @numbers ], [], 'they are explained';

for my $row (rows('What lives through what')) {
    my ($event, @cells) = @$row;
    is scalar @cells, 4, "$event: four cells";
    my @bare = grep { !/[.][tc]`|not tested|the same|as after/ } @cells;
    is_deeply \@bare, [], "$event: each with its test";
}
for my $row (rows('What holds for the order of jobs')) {
    my ($rule, @cells) = @$row;
    is scalar @cells, 4, "$rule: four cells";
    my @bare = grep { !/[.][tc]`|\A(?:as above|does not depend on it)\z/ } @cells;
    is_deeply \@bare, [], "$rule: each with its test";
}
for my $row (rows('Failures')) {
    is scalar @$row, 5, "$row->[0]: all columns";
    like $row->[-1], qr/[.][tc]`|not tested/, "$row->[0]: its test";
}
done_testing;
