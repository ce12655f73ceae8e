#!/usr/bin/perl
# docs/protocol.md says what the tables of common/ say: same numbers, names and
# limits, none missing, none too many.
use strict;
use warnings;
use Test::More;

sub slurp {
    my ($file) = @_;
    open my $fh, '<', $file or die "$file: $!";
    local $/ = undef;
    return <$fh>;
}

# The rows of an X-macro list: arrays of its arguments as they stand.
sub rows {
    my ($text, $list) = @_;
    $text =~ /^\#define \s \Q$list\E\(X\) (.*?[^\\]) $/xms
        or die "no $list";
    my $body = $1;
    $body =~ s/\\\n//g;
    my @rows;
    while ($body =~ /\bX\(((?:[^()"]|"[^"]*")*)\)/g) {
        my $args = $1;
        my @args;
        push @args, $1 =~ s/^\s+|\s+$//gr while $args =~ /\G((?:[^,"]|"[^"]*")+),?/g;
        s/^"(.*)"$/$1/s for @args;
        push @rows, \@args;
    }
    return @rows;
}

# The rows of the table under a heading of the page.
sub table {
    my ($page, $heading) = @_;
    $page =~ /^\#\#[ ]\Q$heading\E\n(.*?)(?=^\#\#[ ]|\z)/ms or die "no '$heading'";
    my @lines = grep { /^\|[ ]\d/ } split /\n/, $1;
    return map {
        [ map { s/^\s+|\s+$//gr =~ s/`//gr } grep { length } split /\|/ ]
    } @lines;
}

my $proto = slurp('common/spawn_proto.h');
my $error = slurp('common/spawn_error.h');
my $page  = slurp('docs/protocol.md');

is_deeply(
    [ map { "$_->[0] $_->[1]" } table($page, 'Messages') ],
    [ map { "$_->[0] $_->[-1]" } rows($proto, 'SPAWN_MESSAGE_LIST') ],
    'messages: numbers and names'
);
is_deeply(
    [ map { $_->[4] + 0 } table($page, 'Messages') ],
    [
        map { { SPAWN_JOB_FDS_MAX => 19, SPAWN_FDS_MAX => 32 }->{ $_->[4] } // $_->[4] }
            rows($proto, 'SPAWN_MESSAGE_LIST')
    ],
    'messages: descriptors'
);
is_deeply(
    [ map { "$_->[0] $_->[1] $_->[2]" } table($page, 'Attributes') ],
    [ map { "$_->[0] $_->[4] $_->[2]" } rows($proto, 'SPAWN_ATTR_LIST') ],
    'attributes: numbers, names and kinds'
);
is_deeply(
    [ map { join ' ', @{$_}[ 0, 1, 2 ] } table($page, 'Error codes') ],
    [ map { join ' ', @{$_}[ 0, 2, 3 ] } rows($error, 'SPAWN_ERROR_LIST') ],
    'error codes: numbers, names and meanings'
);
is_deeply(
    [ map { join ' ', @{$_}[ 0, 1 ] } table($page, 'Steps') ],
    [ map { join ' ', @{$_}[ 0, 2 ] } rows($error, 'SPAWN_STEP_LIST') ],
    'steps: numbers and names'
);
is_deeply(
    [ map { join ' ', @{$_}[ 0, 1 ] } table($page, 'Process states') ],
    [ map { join ' ', @{$_}[ 0, 2 ] } rows($error, 'SPAWN_PROCESS_LIST') ],
    'process states: numbers and names'
);

done_testing();
