#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The Catalyst application of examples/frameworks: it calls a function, submits a job whose status is
# asked for, and has work done after its answer.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest::Framework;
use Apache2::Spawn ();

plan skip_all => 'Catalyst::Runtime (package libcatalyst-perl) is not installed' if !SpawnTest::Framework::has('Catalyst::Runtime');
SpawnTest::Framework::try_it('catalyst');
done_testing;
