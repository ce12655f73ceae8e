#!/usr/bin/perl
# Each message number stands once in the sources, and once, explained and with
# the same level, in docs/messages.md; numbers are of the part's range.
use strict;
use warnings;
use FindBin ();
use Test::More;

chdir "$FindBin::Bin/../.." or die "the checkout: $!\n";

my %range = (
    module  => [ 100 .. 299, 900 .. 999 ],
    spawner => [ 300 .. 499 ],
    broker  => [ 500 .. 899 ],    # and of the relay
);

sub slurp {
    my ($file) = @_;
    open my $fh, '<', $file or die "$file: $!";
    local $/ = undef;
    return <$fh>;
}

# The page's names of the levels in the code.
my %level = (
    CRIT => 'crit', ERR => 'error', WARNING => 'warn', WARN => 'warn',
    NOTICE => 'notice', INFO => 'info', DEBUG => 'debug',
);

# The level of a message is in the statement that logs it, as a constant; of these it
# is a variable, or stands in a function that they are given to.
my %by_hand = (
    '0171' => 'crit', '0202' => 'any', '0281' => 'error', '0301' => 'warn', '0375' => 'any',
    '0376' => 'warn', '0392' => 'any', '0601' => 'error', '0683' => 'error', '0684' => 'warn',
);

my (%source, %level_of, @twice, @out_of_range, @no_level);
for my $file ('mod_spawn.c', glob '{module,spawner,broker,relay,common}/{,*/}*.c') {
    my $part =
          $file =~ m{^(?:mod_spawn|module)} ? 'module'
        : $file =~ m{^(?:broker|relay)}               ? 'broker'
        :                                     'spawner';
    my $text = slurp($file);
    while ($text =~ /MSNO\((\d+)\)/g) {
        my ($number, $at) = ($1, $-[0]);
        my ($statement) = substr($text, 0, $at) =~ /([^;{}]*)\z/;
        push @twice,        "$number in $file and $source{$number}" if $source{$number};
        push @out_of_range, "$number in $file" if !grep { $_ == $number } @{ $range{$part} };
        $source{$number} = $file;
        my %is = map { $level{$_} => 1 } $statement =~ /\b(?:APLOG|SPAWN_LOG)_(@{[join '|', keys %level]})\b/g;
        $level_of{$number} = keys %is == 1 ? (keys %is)[0] : $by_hand{$number};
        push @no_level, "$number in $file: @{[sort keys %is]}" if !$level_of{$number};
        push @no_level, "$number in $file: by hand, too" if keys %is && $by_hand{$number};
    }
}
is_deeply(\@twice,        [], 'no number stands twice in the sources');
is_deeply(\@out_of_range, [], 'each number is of its part\'s range');
is_deeply(\@no_level,     [], 'each has a level that is known here');
cmp_ok(scalar keys %source, '>', 10, 'numbers were found at all');

my $page = slurp('docs/messages.md');
my (%doc, @doc_twice, @empty);
while ($page =~ /^\#\#\#[ ]MS(\d+)[ ]\((\w+)\):[ ](.+)\n\n(.*)/mg) {
    push @doc_twice, $1 if $doc{$1};
    $doc{$1} = $2;
    push @empty, $1 if length $4 < 20;
}
is_deeply(\@doc_twice, [], 'no number is explained twice');
is_deeply(\@empty,     [], 'each has a text');
is_deeply([ grep { !$doc{$_} } sort keys %source ], [], 'each number is explained');
is_deeply([ map { "$_ is " . ($level_of{$_} // 'unknown') } grep { $doc{$_} && ($level_of{$_} // '') ne $doc{$_} } sort keys %source ], [],
    'each with its level');
is_deeply([ grep { !$source{$_} } sort keys %doc ], [], 'nothing is explained that is not there');

done_testing();
