#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Perl calls by AnyEvent::Fork without a template of one's own: each call is a
# process of its small template, which loads the module first. A program of the
# suite, beside httpd; the size of what is loaded is not looked at.
#
#   anyevent_require.pl MEGABYTES IN_FLIGHT SECONDS [GAP]

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../t/lib";

use Bench::Calls ();
use Bench::CallsAnyEvent ();

my ($in_flight, $end) = Bench::Calls::begin('template');
Bench::CallsAnyEvent::run($in_flight, $end,
    sub { AnyEvent::Fork->new->eval("use lib '$FindBin::Bin/../lib';")->require('Bench::Work') });
