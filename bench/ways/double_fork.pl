# SPDX-License-Identifier: Apache-2.0
#
# The way of the mod_perl guide: fork, in the child setsid, fork again and exec,
# so that the program is nobody's child. Runs in httpd's children.

use strict;
use warnings;

use POSIX ();

+{
    order => 80,
    name => 'fork, setsid, fork, exec',
    start => sub {
        my ($r, $argv) = @_;
        my $pid = fork;
        defined $pid or die "fork: $!\n";
        if ($pid == 0) {
            POSIX::setsid();
            my $second = fork;
            POSIX::_exit(defined $second ? 0 : 1) if !defined $second || $second;
            open STDIN, '<', '/dev/null';
            open STDOUT, '>', '/dev/null';
            open STDERR, '>', '/dev/null';
            { no warnings 'exec'; exec { $argv->[0] } @{$argv} }
            POSIX::_exit(127);
        }
        waitpid $pid, 0;
    },
};
