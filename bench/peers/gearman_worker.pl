#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A worker of Gearman with the function that the suite's calls have. A program of the
# suite, beside httpd, until it is ended by a signal.
#
#   gearman_worker.pl HOST:PORT

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Gearman::Worker ();

use Bench::Work ();

my $worker = Gearman::Worker->new(job_servers => [@ARGV]);
$worker->register_function(echo => sub { return Bench::Work::echo($_[0]->arg) });
$worker->work while 1;
