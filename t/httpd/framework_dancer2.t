#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The Dancer2 application of examples/frameworks: it calls a function, submits a job whose status is
# asked for, and has work done after its answer.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest::Framework;
use Apache2::Spawn ();

plan skip_all => 'Dancer2 (package libdancer2-perl) is not installed' if !SpawnTest::Framework::has('Dancer2');
SpawnTest::Framework::try_it('dancer2');
done_testing;
