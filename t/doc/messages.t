#!/usr/bin/perl
# Each message number stands once in the sources, and once, explained and with
# the same level, in docs/messages.md; numbers are of the part's range.
use strict;
use warnings;
use Test::More;

my %range = (
    module  => [ 100 .. 299, 900 .. 999 ],
    spawner => [ 300 .. 499 ],
    broker  => [ 500 .. 899 ],
);

sub slurp {
    my ($file) = @_;
    open my $fh, '<', $file or die "$file: $!";
    local $/ = undef;
    return <$fh>;
}

my (%source, @twice, @out_of_range);
for my $file ('mod_spawn.c', glob '{module,spawner,broker,common}/{,*/}*.c') {
    my $part =
          $file =~ m{^(?:mod_spawn|module)} ? 'module'
        : $file =~ m{^broker}               ? 'broker'
        :                                     'spawner';
    my $text = slurp($file);
    while ($text =~ /MSNO\((\d+)\)/g) {
        push @twice,        "$1 in $file and $source{$1}" if $source{$1};
        my $number = $1;
        push @out_of_range, "$number in $file" if !grep { $_ == $number } @{ $range{$part} };
        $source{$number} = $file;
    }
}
is_deeply(\@twice,        [], 'no number stands twice in the sources');
is_deeply(\@out_of_range, [], 'each number is of its part\'s range');
cmp_ok(scalar keys %source, '>', 10, 'numbers were found at all');

my $page = slurp('docs/messages.md');
my (%doc, @doc_twice, @empty);
while ($page =~ /^\#\#\#[ ]MS(\d+)[ ]\((\w+)\):[ ](.+)\n\n(.*)/mg) {
    push @doc_twice, $1 if $doc{$1}++;
    push @empty, $1 if length $4 < 20;
}
is_deeply(\@doc_twice, [], 'no number is explained twice');
is_deeply(\@empty,     [], 'each has a text');
is_deeply([ grep { !$doc{$_} } sort keys %source ], [], 'each number is explained');
is_deeply([ grep { !$source{$_} } sort keys %doc ], [], 'nothing is explained that is not there');

done_testing();
