# SPDX-License-Identifier: Apache-2.0
#
# Apache2::SubProcess. The program that it starts is ended with the request,
# which takes another 40 ms that are not in the time of the call. Runs in
# httpd's children.

use strict;
use warnings;

+{
    order => 110,
    name => '$r->spawn_proc_prog',
    need => ['Apache2::SubProcess'],
    most => 20,     # in a request: all are ended with it
    start => sub {
        my ($r, $argv) = @_;
        my ($program, @arguments) = @{$argv};
        my $out = $r->spawn_proc_prog($program, \@arguments);
        1;
    },
};
