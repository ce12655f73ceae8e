# SPDX-License-Identifier: Apache-2.0
#
# mod_spawn, with the reply "started". Runs in httpd's children.

use strict;
use warnings;

+{
    order => 50,
    name => 'spawn, started',
    ours => 1,
    need => ['Apache2::Spawn'],
    start => sub {
        my ($r, $argv) = @_;
        Apache2::Spawn->spawn($argv, reply => 'started');
    },
};
