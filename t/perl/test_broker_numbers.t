#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The numbers in Apache2::Spawn::Test are those of the wire.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl';

use Test::More;
use Apache2::Spawn::Test::Broker ();
use Apache2::Spawn::Test::Runner ();

sub slurp {
    my ($name) = @_;
    open my $in, '<', "$FindBin::Bin/../../common/$name" or die "$name: $!";
    local $/ = undef;
    return scalar <$in>;
}

{
    no warnings 'once';
    my $text = slurp('spawn_proto.h');
    my %message = (%Apache2::Spawn::Test::Broker::MESSAGE, %Apache2::Spawn::Test::Broker::ANSWER);
    like $text, qr/X\($message{$_}, \U$_\E, SPAWN_FROM/, "message $_" for sort keys %message;
    my %attribute = %Apache2::Spawn::Test::Broker::ATTRIBUTE;
    like $text, qr/X\($attribute{$_}[0], \U$_\E, $attribute{$_}[1],/, "attribute $_" for sort keys %attribute;

    $text = slurp('spawn_error.h');
    my ($codes) = $text =~ /define SPAWN_ERROR_LIST\(X\)(.*?)\n\n/s;
    is_deeply \@Apache2::Spawn::Test::Broker::CODES, [ $codes =~ /X\(\d+, \w+, "(\w+)"/g ], 'error codes';
    my %of = (STATE => \%Apache2::Spawn::Test::Broker::STATE, OUTCOME => \%Apache2::Spawn::Test::Broker::OUTCOME,
        STEP => \%Apache2::Spawn::Test::Runner::STEP);
    for my $list (sort keys %of) {
        my ($words) = $text =~ /define SPAWN_${list}_LIST\(X\)(.*?)\n\n/s;
        my %number = reverse $words =~ /X\((\d+), \w+, "(\w+)"/g;
        is $of{$list}{$_}, $number{$_}, "\L$list\E $_" for sort keys %{ $of{$list} };
    }
}

done_testing;
