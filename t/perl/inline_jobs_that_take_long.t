#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Apache2::Spawn::Test 'inline': the library asks again when a job takes longer than it
# waits for one answer, and gets the end of the job.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl';

use Test::More;
use Apache2::Spawn::Test 'inline';

my @slow = ('/bin/sh', '-c', 'sleep 3; exit 4');    # longer than a few answers

is(Apache2::Spawn->run([@slow])->exit_code, 4, 'run');
is(Apache2::Spawn->spawn([@slow])->wait->exit_code, 4, 'spawn');

done_testing;
