# SPDX-License-Identifier: Apache-2.0
#
# mod_spawn, waiting for the job's end. Runs in httpd's children.

use strict;
use warnings;

+{
    order => 60,
    name => 'spawn, finished',
    ours => 1,
    need => ['Apache2::Spawn'],
    to_the_end => sub {
        my ($r, $argv) = @_;
        Apache2::Spawn->spawn($argv, reply => 'finished');
    },
};
