#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The same as broker_killed_beside_a_hanging_closer.t in a pid namespace of its own, as a
# container has it: there the kernel does not tell which dead process has a lock.

use strict;
use warnings;

use FindBin ();
use Test::More;

my @namespace = qw(unshare --pid --fork --mount-proc --kill-child);
plan skip_all => 'not root' if $> != 0;
plan skip_all => 'no pid namespace can be made here'
    if system("@namespace true 2>/dev/null") != 0;
exec @namespace, $^X, "$FindBin::Bin/broker_killed_beside_a_hanging_closer.t" or die "unshare: $!\n";
