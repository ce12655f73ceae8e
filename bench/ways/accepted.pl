# SPDX-License-Identifier: Apache-2.0
#
# mod_spawn, with the reply "accepted". Runs in httpd's children.

use strict;
use warnings;

+{
    order => 40,
    name => 'spawn, accepted',
    ours => 1,
    need => ['Apache2::Spawn'],
    start => sub {
        my ($r, $argv) = @_;
        Apache2::Spawn->spawn($argv, reply => 'accepted');
    },
};
