# SPDX-License-Identifier: Apache-2.0
#
# prove's harness, and at the end, before its summary, what each file that failed
# said: its `not ok` lines and what it wrote to standard error. While tests run that
# stands between what all others say, and whoever shows the log of a run may keep
# only its head and its tail. Above that: what was left out and why, which prove
# counts as good. Runs in prove, which t/run starts; its verdict is prove's own.

package SpawnTest::Harness;

use strict;
use warnings;

use parent 'TAP::Harness';

use constant LINES => 240;       # of all files together, as long as each has its
use constant LEAST => 12;        # share, half from its beginning and half from its end
use constant MOST => 80;
use constant WIDTH => 300;       # of a line

sub new {
    my ($class, $options) = @_;
    return $class->SUPER::new({ %{ $options || {} }, parser_class => 'SpawnTest::Harness::Parser' });
}

sub summary {
    my ($self, $aggregate, @more) = @_;
    my %left_out;
    for my $parser ($aggregate->parsers($aggregate->descriptions)) {
        $left_out{$_}++ for @{ $parser->{spawn_left_out} || [] };
    }
    print "\nLeft out:\n" if %left_out;
    printf "%5d x %s\n", $left_out{$_}, $_ for sort keys %left_out;
    my @failed = grep { ($aggregate->parsers($_))[0]->has_problems } $aggregate->descriptions;
    my $share = @failed ? int LINES / @failed : 0;
    $share = $share < LEAST ? LEAST : $share > MOST ? MOST : $share;
    for my $name (@failed) {
        my ($parser) = $aggregate->parsers($name);
        print "\n---- $name said\n";
        print substr($_, 0, WIDTH) . "\n" for _shortened($share, $parser->said);
    }
    return $self->SUPER::summary($aggregate, @more);
}

sub _shortened {
    my ($share, @lines) = @_;
    my $over = @lines - $share;
    my $half = int $share / 2;
    splice @lines, $half, $over, "[... $over lines, which stand above ...]" if $over > 0;
    return @lines;
}

# ---- one test file ----

package SpawnTest::Harness::Parser;    ## no critic (ProhibitMultiplePackages)

use parent 'TAP::Parser';

open my $stderr, '>&', \*STDERR or die "standard error: $!\n";
$stderr->autoflush(1);

# What prove passes on to its standard error meanwhile comes from this file.
sub next {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self) = @_;
    local *STDERR;
    tie *STDERR, 'SpawnTest::Harness::Stderr', $stderr, \$self->{spawn_said};
    my $result = $self->SUPER::next;
    untie *STDERR;
    $self->_keep($result->raw) if $result;
    return $result;
}

# cmocka tells what was wrong on standard output, as comments after its `not ok`.
sub _keep {
    my ($self, $line) = @_;
    push @{ $self->{spawn_left_out} }, substr $1, 0, SpawnTest::Harness::WIDTH
        if $line =~ /^(?:\s*ok\b.*?#\s*skip|1\.\.0\s*#\s*skip|#\s*left out:)\S*\s+(.*)/i;
    my $is_comment = $line =~ /^\s*#/;
    $self->{spawn_not_ok} = $line =~ /^\s*not ok\b/ if !$is_comment;
    $self->{spawn_said} .= "$line\n" if $self->{spawn_not_ok};
    return;
}

sub said {
    my ($self) = @_;
    return split /\n/, defined $self->{spawn_said} ? $self->{spawn_said} : '';
}

package SpawnTest::Harness::Stderr;    ## no critic (ProhibitMultiplePackages)

sub TIEHANDLE {
    my ($class, $to, $keep) = @_;
    return bless { to => $to, keep => $keep }, $class;
}

sub PRINT {
    my ($self, @parts) = @_;
    ${ $self->{keep} } .= join '', @parts;
    return print { $self->{to} } @parts;
}

sub PRINTF {
    my ($self, $format, @values) = @_;
    return $self->PRINT(sprintf $format, @values);
}

1;
