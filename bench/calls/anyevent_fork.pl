#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Perl calls by AnyEvent::Fork: a template process of this size that is forked
# for each call. A program of the suite, beside httpd.
#
#   anyevent_fork.pl MEGABYTES IN_FLIGHT SECONDS [GAP]

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../t/lib";

use Bench::Calls ();
use Bench::CallsAnyEvent ();

my ($in_flight, $end, $megabytes) = Bench::Calls::begin('template');
my $template = AnyEvent::Fork->new_exec->eval("use lib '$FindBin::Bin/../lib';")
    ->require('Bench::Work')->eval("Bench::Work::grow($megabytes)");
Bench::CallsAnyEvent::run($in_flight, $end, sub { $template->fork });
