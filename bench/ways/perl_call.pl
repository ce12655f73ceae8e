# SPDX-License-Identifier: Apache-2.0
#
# mod_spawn: a Perl function as a job, in a process of its own, that nobody waits
# for. Runs in httpd's children.

use strict;
use warnings;

+{
    order => 45,
    name => 'spawn_call, accepted',
    ours => 1,
    perl => 1,
    need => ['Apache2::Spawn'],
    start => sub { Apache2::Spawn->spawn_call('Bench::Work::echo', ['x'], reply => 'accepted') },
};
