#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A long list is asked for page by page, and Perl's signal handlers run in between: a
# time-out ends it.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use File::Temp ();
use Test::More;
use Apache2::Spawn ();
use FakeBroker ();

use constant {
    LAST => 400,     # pages
    SIGNAL => 5,     # comes with this one
};

my $asked = File::Temp->new;
my $test = $$;
my $broker = FakeBroker->start(
    forget => 1,
    list => sub {
        my ($attr) = @_;
        my $page = defined $attr->{before} ? $attr->{before} : LAST;
        syswrite $asked, '.';
        kill USR1 => $test if $page == LAST - SIGNAL;
        return (
            [ job => id => pack('NnnnnN', $page, 1, 0x7000, 0x8000, 1, 1), state => 4, queue => 'default' ],
            [ end => rows => 1, $page > 1 ? (before => $page - 1) : () ]
        );
    },
);
my $spawn = $broker->connection;
my @all = eval { local $SIG{USR1} = sub { die "enough\n" }; $spawn->list };
is $@, "enough\n", 'the handler ends the list';
cmp_ok -s $asked->filename, '<', LAST, '... before its end';
local $SIG{USR1} = 'IGNORE';
is scalar(() = $spawn->list), LAST, 'all pages are read where nobody ends it';
done_testing;
