# SPDX-License-Identifier: Apache-2.0
#
# A terminal for a program under test: a pty of Linux, whose other end the test types at and
# reads. The program leads a session of its own, whose terminal it is. Runs in test scripts;
# what is waited for has a deadline.

package SpawnTest::Pty;

use strict;
use warnings;

use Fcntl ();
use POSIX ();
use Time::HiRes ();

# asm-generic/ioctls.h
use constant {
    TIOCSPTLCK => 0x4004_5431,
    TIOCGPTN   => 0x8004_5430,
    TIOCSWINSZ => 0x5414,
    DEADLINE   => 60,
};

# new(rows => n, columns => n)
sub new {
    my ($class, %size) = @_;
    sysopen my $ours, '/dev/ptmx', Fcntl::O_RDWR() | Fcntl::O_NOCTTY() or die "/dev/ptmx: $!\n";
    my ($unlocked, $number) = (pack('i', 0), pack 'I', 0);
    ioctl $ours, TIOCSPTLCK, $unlocked or die "TIOCSPTLCK: $!\n";
    ioctl $ours, TIOCGPTN, $number or die "TIOCGPTN: $!\n";
    my $path = '/dev/pts/' . unpack 'I', $number;
    sysopen my $its, $path, Fcntl::O_RDWR() | Fcntl::O_NOCTTY() or die "$path: $!\n";
    my $self = bless { ours => $ours, its => $its, path => $path, seen => '' }, $class;
    $self->{first} = $self->_attributes;
    $self->resize($size{rows} || 24, $size{columns} || 80);
    return $self;
}

sub path { return $_[0]{path} }

sub resize {
    my ($self, $rows, $columns) = @_;
    my $size = pack 'S4', $rows, $columns, 0, 0;
    ioctl $self->{ours}, TIOCSWINSZ, $size or die "TIOCSWINSZ: $!\n";
    return;
}

# start({ env => {} }, words of a command): its pid. A variable that is undef is not there.
sub start {
    my ($self, $options, @command) = @_;
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    return $self->{pid} = $pid if $pid;
    eval {
        POSIX::setsid() > 0 or die "setsid: $!\n";
        delete @SIG{ grep { defined $SIG{$_} } keys %SIG };
        sysopen my $its, $self->{path}, Fcntl::O_RDWR() or die "$self->{path}: $!\n";    # becomes its terminal
        POSIX::dup2(fileno $its, $_) for 0 .. 2;
        my %env = %{ $options->{env} || {} };
        for my $name (keys %env) {
            delete $ENV{$name};
            $ENV{$name} = $env{$name} if defined $env{$name};    ## no critic (RequireLocalizedPunctuationVars)
        }
        alarm DEADLINE;
        exec { $command[0] } @command or die "$command[0]: $!\n";
    };
    print STDERR $@;
    POSIX::_exit(99);
}

sub type {
    my ($self, $text) = @_;
    while (length $text) {
        my $n = syswrite $self->{ours}, $text;
        defined $n or die "typed: $!\n";
        substr $text, 0, $n, '';
    }
    return;
}

# Reads until what came since the last match matches; true then. What matched is $pty->{matched}.
sub reads {
    my ($self, $wanted) = @_;
    my $until = Time::HiRes::time() + DEADLINE;
    while (1) {
        if ($self->{seen} =~ s/\A.*?($wanted)//s) {
            $self->{matched} = $1;
            return 1;
        }
        my $left = $until - Time::HiRes::time();
        vec(my $set = '', fileno $self->{ours}, 1) = 1;
        return 0 if $left <= 0 || select($set, undef, undef, $left) <= 0;
        my $n = sysread $self->{ours}, $self->{seen}, 65_536, length $self->{seen};
        return 0 if !$n;
    }
}

# What came and has not matched yet.
sub rest { return $_[0]{seen} }

# The exit status of what was started, as $? has it.
sub ends {
    my ($self) = @_;
    my $pid = delete $self->{pid};
    waitpid $pid, 0;
    return $?;
}

sub _attributes {
    my ($self) = @_;
    my $t = POSIX::Termios->new;
    $t->getattr(fileno $self->{its}) or die "modes: $!\n";
    return $t;
}

# How the terminal is: its flags.
sub modes {
    my ($self) = @_;
    my $t = $self->_attributes;
    return join ' ', map { $t->$_ } qw(getiflag getoflag getcflag getlflag);
}

sub is_raw {
    my ($self) = @_;
    return !($self->_attributes->getlflag & (POSIX::ICANON() | POSIX::ECHO() | POSIX::ISIG()));
}

# The modes are again those of a new one.
sub renew {
    my ($self) = @_;
    $self->{first}->setattr(fileno $self->{its}, POSIX::TCSANOW()) or die "modes: $!\n";
    return;
}

sub DESTROY {
    my ($self) = @_;
    my $pid = $self->{pid} or return;
    local ($?, $!);
    kill 'KILL', $pid;
    waitpid $pid, 0;
    return;
}

1;
