#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Example: a template with everything loaded, and ten workers forked from it.
# (In the manual the template is the program itself; here it is httpd, whose
# startup file has the worker's function.)

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Processes qw(httpd process lines);

my $httpd = httpd(perl => <<'END');
package My::Preloaded;
our $pid = $$;
sub worker_run {
    my ($fh, @args) = @_;
    print {$fh} "$pid @args\n";
}
END

my $template = process();
my @worker;
for (1 .. 10) {
    $template->fork->send_arg($_)->run('My::Preloaded::worker_run', sub { push @worker, shift });
}
is @worker, 10, 'ten workers';
is_deeply [ map { lines($_) } @worker ], [ map { $httpd->pid . " $_" } 1 .. 10 ], 'each has its argument, and what httpd has loaded';
done_testing;
