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

SpawnTest::Framework::try_it('dancer2', 'Dancer2', 'libdancer2-perl');
done_testing;
