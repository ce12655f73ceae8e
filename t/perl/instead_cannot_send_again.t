#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A job that is bound to its request cannot be sent again when nobody has confirmed it. What is told
# of it is that, and not that the second submit was refused.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;
use Apache2::Spawn ();
use Apache2::Spawn::Background ();

local $ENV{SPAWN_SOCKET} = '/nowhere/socket';

my %sent = (again => 0);
my $of = sub {
    my ($code) = @_;
    return bless { code => $code, message => "it is $code", step => 'none', errno => 0, file => '-', line => 0, job => bless {}, 'My::Sent' },
        'Apache2::Spawn::Error';
};
my $then;
no warnings qw(redefine once);
*Apache2::Spawn::spawn = sub { die $of->('unconfirmed') };
*My::Sent::resubmit = sub { $sent{again}++; die $of->($then) };

for ([ invalid => POSIX::ETIMEDOUT(), 1 ], [ unconfirmed => POSIX::ETIMEDOUT(), 3 ], [ queue_full => POSIX::EAGAIN(), 1 ]) {
    ($then, my ($errno, $times)) = @{$_};
    $sent{again} = 0;
    my $process = Apache2::Spawn::Background->new('/bin/true', 'x');
    is $! + 0, $errno, "unconfirmed, then $then";
    is $process, undef, '... it has not begun';
    is $sent{again}, $times, '... and is not sent more often than that helps';
}

done_testing;
