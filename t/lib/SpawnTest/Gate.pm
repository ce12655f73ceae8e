# SPDX-License-Identifier: Apache-2.0
#
# A gate that jobs wait at until the test lets them through: a named pipe, held
# open by the test, from which each job reads one line. So a job lasts exactly
# as long as a test needs it, without a sleep anywhere. Runs in test scripts.

package SpawnTest::Gate;

use strict;
use warnings;

use IO::Handle ();
use POSIX ();

# new($httpd, 'name'): a gate in the directory of that httpd.
sub new {
    my ($class, $httpd, $name) = @_;
    my $path = $httpd->dir . "/gate-$name";
    POSIX::mkfifo($path, 0666) or die "$path: $!\n";
    chmod 0666, $path or die "$path: $!\n";
    # Both ways, so that neither side waits for the other to open it.
    open my $pipe, '+<', $path or die "$path: $!\n";
    $pipe->autoflush(1);
    return bless { path => $path, pipe => $pipe }, $class;
}

sub path { return $_[0]{path} }

# Lets that many jobs through, now or when they come.
sub let {
    my ($self, $count) = @_;
    my $pipe = $self->{pipe};
    print {$pipe} "\n" x (defined $count ? $count : 1) or die "$self->{path}: $!\n";
    return;
}

# argv of a job that waits here and then does what the shell text says.
sub job {
    my ($self, $then) = @_;
    return ['/bin/sh', '-c', "read line <'$self->{path}'; $then"];
}

1;
