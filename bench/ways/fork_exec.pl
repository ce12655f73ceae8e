# SPDX-License-Identifier: Apache-2.0
#
# fork and exec, and waitpid for the end: the plain way to run a program to its
# end. Runs in httpd's children.

use strict;
use warnings;

use POSIX qw(WNOHANG);

my $begin = sub {
    my ($argv) = @_;
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        { no warnings 'exec'; exec { $argv->[0] } @{$argv} }
        POSIX::_exit(127);
    }
    return $pid;
};

+{
    order => 90,
    name => 'fork, exec',
    start => sub { $begin->($_[1]) },
    after => sub { 1 while waitpid(-1, WNOHANG) > 0 },
    to_the_end => sub { waitpid $begin->($_[1]), 0 },
};
