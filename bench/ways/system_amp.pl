# SPDX-License-Identifier: Apache-2.0
#
# system("... &"): a shell that leaves the program behind. Runs in httpd's
# children.

use strict;
use warnings;

+{
    order => 100,
    name => 'system("... &")',
    start => sub {
        my ($r, $argv) = @_;
        system(join(q{ }, @{$argv}) . ' </dev/null >/dev/null 2>&1 &') == 0
            or die "system: $?\n";
    },
};
