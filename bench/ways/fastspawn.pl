# SPDX-License-Identifier: Apache-2.0
#
# Proc::FastSpawn: vfork and exec in the child itself. The program stays a child
# of httpd's child, which has to reap it. Runs in httpd's children.

use strict;
use warnings;

use POSIX qw(WNOHANG);

+{
    order => 70,
    name => 'Proc::FastSpawn',
    need => ['Proc::FastSpawn'],
    start => sub {
        my ($r, $argv) = @_;
        Proc::FastSpawn::spawn($argv->[0], $argv) or die "spawn: $!\n";
    },
    after => sub { 1 while waitpid(-1, WNOHANG) > 0 },
    to_the_end => sub {
        my ($r, $argv) = @_;
        my $pid = Proc::FastSpawn::spawn($argv->[0], $argv) or die "spawn: $!\n";
        waitpid $pid, 0;
    },
};
