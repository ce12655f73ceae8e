#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A run over a connection that is open, and then nobody answers, not even to a new
# connection: the job was sent and may run, and the error says so.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use Apache2::Spawn ();
use FakeBroker ();

my $broker = FakeBroker->start(
    forget => 1,
    submit => sub { return [ job => id => $_[0]{id}, state => 4, queue => 'default', outcome => 1, exit_code => 5 ] },
);
my $spawn = Apache2::Spawn->connect($broker->path, timeout => 5);
is $spawn->run(['done'])->exit_code, 5, 'it answers';
kill STOP => $broker->pid;
ok !eval { $spawn->run(['done']); 1 }, 'it stands still';
is ref $@ && $@->code, 'unconfirmed', '... and may have the job' or diag $@;
kill CONT => $broker->pid;

done_testing;
