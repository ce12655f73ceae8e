# SPDX-License-Identifier: Apache-2.0
#
# Paths that hang who opens them. Runs in test scripts, and ends with them.
#
#   lease  a file under a lease that nobody gives up: who opens it waits, and a
#          signal ends him. The kernel breaks the lease after 45 s (as it is set).
#   fuse   a file system whose server does not answer: who opens a file waits in
#          the kernel, and not even KILL ends him. That is what a dead NFS server
#          looks like.

package SpawnTest::Hang;

use strict;
use warnings;

use Fcntl qw(F_UNLCK F_WRLCK O_CREAT O_RDWR);
use IPC::Open2 qw(open2);

use constant F_SETLEASE => 1024;

# lease($path): makes the file. Held until the object goes.
sub lease {
    my ($class, $path) = @_;
    $SIG{IO} = 'IGNORE';    ## no critic (RequireLocalizedPunctuationVars)
    sysopen my $file, $path, O_RDWR | O_CREAT or die "$path: $!\n";
    chmod 0666, $path or die "$path: $!\n";
    fcntl $file, F_SETLEASE, F_WRLCK or die "lease on $path: $!\n";
    return bless { file => $file, owner => $$ }, $class;
}

# fuse($directory): mounts it there; its files "open", "read" and "lookup" hang
# in what they are named after. Undef where that is not possible.
sub fuse {
    my ($class, $dir) = @_;
    return if $< != 0;
    my $program = SpawnTest::build_dir() . '/t/hangfs';
    die "$program (make probe)\n" if !-x $program;
    mkdir $dir or die "$dir: $!\n";
    my $pid = open2(my $out, my $in, $program, $dir);
    my $said = <$out>;
    if (!defined $said) {
        waitpid $pid, 0;
        die "hangfs: $?\n" if $? >> 8 != 77;
        return;
    }
    return bless { pid => $pid, in => $in, out => $out, owner => $$ }, $class;
}

# Waits until so many more hang in a fuse() as nothing but its end ends them.
sub hung {
    my ($self, $count) = @_;
    local $SIG{ALRM} = sub { die "who should hang does not\n" };
    alarm 30;
    for (1 .. $count) {
        defined readline $self->{out} or die "hangfs has ended\n";
    }
    alarm 0;
    return;
}

# Lets go whoever hangs there.
sub end {
    my ($self) = @_;
    return if $self->{owner} != $$;
    if (my $file = delete $self->{file}) {
        close $file;
    }
    if (my $pid = delete $self->{pid}) {
        close delete $self->{in};
        waitpid $pid, 0;
    }
    return;
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $@, $!);
    $self->end;
    return;
}

1;
