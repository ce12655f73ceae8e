# SPDX-License-Identifier: Apache-2.0
#
# Paths that hang who opens them. Runs in test scripts, and ends with them.
#
#   lease  a file under a lease that nobody gives up: who opens it waits, and a
#          signal ends him. The kernel breaks the lease after 45 s (as it is set).
#   fuse   a file system whose server does not answer: who opens a file waits in
#          the kernel, and not even KILL ends him. That is what a dead NFS server
#          looks like.
#   slow   a file system in user space that shows a directory, and answers nothing
#          from stands() to goes_on(): who writes there sleeps.
#   disk   an ext4 in a file, which takes nothing from stands() to goes_on(): who
#          writes there waits in the kernel as for a disk, whatever happens.

package SpawnTest::Hang;

use strict;
use warnings;

use Fcntl qw(F_UNLCK F_WRLCK O_CREAT O_RDWR);
use IPC::Open2 qw(open2);
use POSIX ();

use constant {
    F_SETLEASE => 1024,
    FIFREEZE   => 0xC0045877,
    FITHAW     => 0xC0045878,
};

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
    return $class->_serve($program, $dir);
}

# slow($directory, $shown): mounts it there. Undef where that is not possible.
sub slow {
    my ($class, $dir, $shown) = @_;
    return if $< != 0;
    my $program = SpawnTest::build_dir() . '/t/slowfs';
    die "$program (make probe)\n" if !-x $program;
    return $class->_serve($program, $dir, $shown);
}

sub _serve {
    my ($class, @command) = @_;
    my $pid = open2(my $out, my $in, @command);
    my $said = <$out>;
    if (!defined $said) {
        waitpid $pid, 0;
        die "$command[0]: $?\n" if $? >> 8 != 77;
        return;
    }
    return bless { pid => $pid, in => $in, out => $out, owner => $$ }, $class;
}

# disk($image, $directory, $size): makes it and mounts it there. Undef where that is not
# possible. Another process lets it go on when this one has gone: else who waits for it
# would wait for ever.
sub disk {
    my ($class, $image, $dir, $size) = @_;
    return if $< != 0;
    open my $file, '>', $image or die "$image: $!\n";
    truncate $file, $size or die "$image: $!\n";
    close $file;
    for my $command ([ qw(mke2fs -q -F -t ext4), $image ], [ qw(mount -o loop), $image, $dir ]) {
        return if system("@{$command} >/dev/null 2>&1") != 0;
    }
    my $self = bless { dir => $dir, owner => $$ }, $class;
    pipe my $life, $self->{life} or die "pipe: $!\n";
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    if (!$pid) {
        POSIX::setsid();
        close $self->{life};
        sysread $life, my $byte, 1;
        $self->goes_on;
        POSIX::_exit(0);
    }
    $self->{watcher} = $pid;
    return $self;
}

sub _freezes {
    my ($self, $command) = @_;
    opendir my $dir, $self->{dir} or die "$self->{dir}: $!\n";
    open my $root, '<', "/proc/self/fd/" . fileno $dir or die "$self->{dir}: $!\n";
    return ioctl $root, $command, 0;
}

# From now on it takes nothing; then it does again.
sub stands {
    my ($self) = @_;
    return kill USR1 => $self->{pid} if $self->{pid};
    return $self->_freezes(FIFREEZE) || die "$self->{dir} cannot be frozen: $!\n";
}

sub goes_on {
    my ($self) = @_;
    return kill USR2 => $self->{pid} if $self->{pid};
    return $self->_freezes(FITHAW);
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
    if (my $pid = delete $self->{watcher}) {
        close delete $self->{life};
        waitpid $pid, 0;
        system 'umount', '-l', $self->{dir};
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
