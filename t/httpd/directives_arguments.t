#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Each directive of the module, with no argument, an empty one, too many, a wrong one, a
# huge one: what is refused is refused with file and line, its name, what is wanted, and
# no more than some lines of what was typed. The directives are those that httpd lists,
# so that a new one is among them. Starts nothing.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Directives ();

use constant MOST => 1500;    # bytes of a message

my $httpd = SpawnTest::Directives->new;
my @names = $httpd->names;
cmp_ok scalar @names, '>=', 30, 'httpd lists them';

# The words that say what to do about it.
my $wanted = qr/
    wanted | takes?\b | need | allowed | is\ not | choose | must | cannot | there\ is\ no | too\ much | neither | belongs | give
/ix;

my %bad = (
    'no argument'    => '',
    'an empty one'   => '""',
    'empty ones'     => '"" ""',
    'a sign'         => '%',
    'a dash'         => '-',
    'a number below' => '-1',
    'a control character' => "\x01\x02",
    'no UTF-8'       => "\xff\xfe",
    'a huge number'  => '9' x 40,
    'a huge word'    => 'x' x 7_000,
    'an open quote'  => '"x',
    'forty'          => join(' ', ('1') x 40),
    'forty names'    => join(' ', map {"n$_=v"} 1 .. 40),
);
# Arguments that are no fault: a name of a file or of a variable is any text. All else
# is refused.
my @texts = ('a sign', 'a dash', 'a number below', 'a control character', 'no UTF-8', 'a huge number', 'an open quote');
my %may = (
    '<SpawnQueue' => [ 'a huge number', 'an open quote' ],
    SpawnPassEnv  => [ @texts, 'a huge word', 'forty' ],
    SpawnSocket   => \@texts,
    SpawnStore    => \@texts,
);

for my $name (@names) {
    (my $word = $name) =~ tr/<//d;
    for my $what (sort keys %bad) {
        my @lines = $httpd->lines($name, $bad{$what});
        # where it may stand
        my $queue_only = ($httpd->page($name)->{Context} || '') eq 'queue';
        @lines = ('<SpawnQueue q>', @lines, '</SpawnQueue>') if $queue_only;
        my $is = $httpd->check(@lines);
        my $line = $queue_only ? 2 : 1;
        if ($is->{taken}) {
            ok +(grep { $_ eq $what } @{ $may{$name} || [] }), "$name, $what: may be taken" or diag $is->{said};
            next;
        }
        my @faults = grep {defined} (
            $is->{line} == $line          ? undef : "line $is->{line}",
            $is->{said} =~ /\b$word\b/    ? undef : 'no name',
            $is->{said} =~ $wanted        ? undef : 'does not say what to do',
            length $is->{said} <= MOST    ? undef : 'is ' . length($is->{said}) . ' bytes long',
            $is->{said} =~ /[^\n\t -~]/ ? 'is no plain text' : undef,
        );
        is "@faults", '', "$name, $what: is refused" or diag substr $is->{said}, 0, 2_000;
    }
}
done_testing;
