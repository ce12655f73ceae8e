# SPDX-License-Identifier: Apache-2.0
#
# A spawner of a few lines, for tests of the template runner without httpd,
# spawner and broker: starts a template as the spawner does, sends it orders
# with boards and handles, and reaps the jobs, which the kernel gives to the test
# script: it is the subreaper above the template.
#
#   my $template = FakeSpawner->start(preload => ['My::Module'], inc => [$dir]);
#   my $job = $template->call('My::Module::f', [1, 2], want => 'list');
#   $job->{status}, $job->{returned}, $job->{died}, $job->{stderr} ...

package FakeSpawner;

use strict;
use warnings;

use Config;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Path ();
use File::Temp ();
use IO::Select ();
use POSIX ();
use Sereal::Decoder ();
use Sereal::Encoder ();
use Socket qw(AF_UNIX SOCK_SEQPACKET SOL_SOCKET PF_UNSPEC);
use Time::HiRes ();

use FakeBroker ();

# perl has no call for these.
my %numbers = (
    x86_64  => { sendmsg => 46,  memfd_create => 319, prctl => 157, gettid => 186, pidfd_open => 434, getrusage => 98 },
    aarch64 => { sendmsg => 211, memfd_create => 279, prctl => 167, gettid => 178, pidfd_open => 434, getrusage => 165 },
);
my $sys = $numbers{ (POSIX::uname())[4] };

use constant {
    BOARD_HEAD => 4096,
    BOARD_SIZE => 4096 + (4 << 20),
    KEEP_BOARD => 5,
    INLINE_MAX => 65_536,
    F_ADD_SEALS => 1033,
    SCM_RIGHTS => 1,
    MSG_NOSIGNAL => 0x4000,
    PR_SET_CHILD_SUBREAPER => 36,
};

sub can_run { return $sys && $Config{ptrsize} == 8 }
sub syscall_number { return $sys->{ $_[1] } }

# ---- the kernel ----

sub memfd {
    my ($bytes, $size) = @_;
    my $name = 'test';
    # close-on-exec, sealable, not executable: kernels before 6.3 know nothing of the latter, and
    # some of the others may want it
    my $fd = syscall $sys->{memfd_create}, $name, 11;
    $fd = syscall $sys->{memfd_create}, $name, 3 if $fd < 0;
    die "memfd_create: $!" if $fd < 0;
    open my $file, '+<&=', $fd or die $!;
    binmode $file;
    if (defined $bytes) {
        syswrite($file, $bytes) == length $bytes or die $!;
        sysseek $file, 0, 0;
    }
    truncate $file, $size or die $! if $size;
    return $file;
}

sub _send {
    my ($socket, $packet, @files) = @_;
    my $body;
    if (length $packet > 16 + INLINE_MAX) {
        $body = memfd(substr $packet, 16);
        fcntl $body, F_ADD_SEALS, 15 or die "seal: $!";
        $packet = substr $packet, 0, 16;
        substr $packet, 3, 1, chr 1;
        push @files, $body;
    }
    my $iov = pack 'P Q', $packet, length $packet;
    my $control = @files
        ? pack('Q i i i*', 16 + 4 * @files, SOL_SOCKET, SCM_RIGHTS, map { fileno $_ } @files) : '';
    $control .= "\0" x (-length($control) & 7);
    my $message = pack 'Q Q P Q', 0, 0, $iov, 1;
    $message .= @files ? pack('P Q', $control, length $control) : pack 'Q Q', 0, 0;
    $message .= pack 'Q', 0;
    for (1 .. 1000) {
        my $rv = syscall $sys->{sendmsg}, fileno $socket, $message, MSG_NOSIGNAL;
        return if $rv >= 0;
        die "sendmsg: $!" if !$!{EAGAIN} && !$!{EINTR};
        IO::Select->new($socket)->can_write(10);
    }
    die 'sendmsg: the template takes nothing';
}

sub become_subreaper {
    syscall($sys->{prctl}, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 or die "prctl: $!";
    return;
}

# A directory with these files, for inc.
sub files {
    my (%files) = @_;
    my $dir = File::Temp->newdir;
    chmod 0755, $dir;
    for my $name (keys %files) {
        File::Path::make_path(dirname("$dir/$name"));
        open my $out, '>', "$dir/$name" or die "$dir/$name: $!";
        print {$out} $files{$name};
        close $out or die "$dir/$name: $!";
    }
    return $dir;
}

# ---- the template ----

# name, memory, spares, preload => [modules], require => path, inc => [directories], code => what
# perl runs before, switches => [of perl].
sub start {
    my ($class, %with) = @_;
    become_subreaper();
    socketpair my $ours, my $theirs, AF_UNIX, SOCK_SEQPACKET, PF_UNSPEC or die "socketpair: $!";
    pipe my $said, my $say or die "pipe: $!";
    my $libraries = ($ENV{SPAWN_BUILD} || abs_path(dirname(__FILE__) . '/../../build')) . '/perl';
    my @arguments = (
        'name=' . ($with{name} || 'test'),
        (map { defined $with{$_} ? "$_=$with{$_}" : () } qw(memory spares)),
        (map {"preload=$_"} @{ $with{preload} || [] }),
        defined $with{require} ? "require=$with{require}" : (),
    );
    my $pid = fork;
    die "fork: $!" if !defined $pid;
    if (!$pid) {
        open STDIN, '<', '/dev/null' or POSIX::_exit(126);
        POSIX::dup2(fileno $say, 1);
        POSIX::dup2(fileno $say, 2);
        my $link = POSIX::dup(fileno $theirs);
        POSIX::dup2($link, 3);
        $^F = 3;
        POSIX::close($_) for 4 .. 1023;
        POSIX::setsid();
        chdir '/';
        %ENV = (PATH => '/usr/local/bin:/usr/bin:/bin', LANG => 'C.UTF-8', @{ $with{env} || [] });
        # libraries that are sanitized want a perl of their own
        my $perl = -x "$libraries/../perl-sanitized" ? "$libraries/../perl-sanitized" : $^X;
        exec {$perl} $perl, @{ $with{switches} || [] }, (map {"-I$_"} $libraries, @{ $with{inc} || [] }), '-e',
            ($with{code} || '') . 'use Apache2::Spawn::Template; Apache2::Spawn::Template::serve(@ARGV)',
            '--', @arguments or POSIX::_exit(127);
    }
    close $theirs;
    close $say;
    my $self = bless { pid => $pid, link => $ours, said => $said, owner => $$, jobs => [], id => 0 }, $class;
    return $self if $with{no_wait};
    my $ready = $self->next_message;
    die 'the template ended: ' . $self->said if !$ready;
    $self->{code} = $ready->{attr}{code};
    $self->{text} = $ready->{attr}{text};
    die "the template failed: $self->{text}" if $self->{code} && !$with{may_fail};
    return $self;
}

sub pid  { return $_[0]{pid} }
sub text { return $_[0]{text} }
sub code { return $_[0]{code} }

# The next message of the link; undef at its end.
sub next_message {
    my ($self) = @_;
    IO::Select->new($self->{link})->can_read(30) or die 'nothing came within 30 s';
    my $packet = '';
    my $rv = recv $self->{link}, $packet, 1 << 18, 0;
    return if !defined $rv || $packet eq '';
    return FakeBroker::_decode($packet);
}

# The template leaves. Its wait status.
sub dismiss {
    my ($self) = @_;
    _send($self->{link}, FakeBroker::_encode(0, 'dismiss', id => "\1" x 16));
    return $self->wait_for_template;
}

sub wait_for_template {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    waitpid $pid, 0;
    return $self->{status} = $?;
}

# The template's output until its end.
sub said {
    my ($self) = @_;
    local $/ = undef;
    my $said = readline $self->{said};
    return $said;
}

# Its output until now.
sub said_now {
    my ($self) = @_;
    my $said = '';
    while (IO::Select->new($self->{said})->can_read(0)) {
        sysread $self->{said}, $said, 65_536, length $said or last;
    }
    return $said;
}

# ---- jobs ----

my %want = (void => 0, scalar => 1, list => 2);

# Sends an order. %with: want, objects, load, env => [..], cwd, label, queue,
# context => [..], stdout, stderr, stdin, fds => { number => handle }, raw =>
# [attributes], document => the arguments encoded, no_args, no_board.
sub order {
    my ($self, $function, $args, %with) = @_;
    my $id = pack 'NNNN', 0x01900000, 0x70000000 + ++$self->{id}, 0x80000000, $$;
    my @files;
    my $board = memfd(undef, BOARD_SIZE);
    pipe my $out, my $write_out or die "pipe: $!";
    my @fds;
    push @files, $write_out;
    for my $number (sort keys %{ $with{fds} || {} }) {
        push @fds, scalar @files, $number;
        push @files, $with{fds}{$number};
    }
    my @keep = $with{no_board} ? () : (keep => [scalar @files, KEEP_BOARD]);
    push @files, $board if @keep;
    my $here = pack 'C C v Z*', 2, 0, 0, '';
    my $document = exists $with{document} ? $with{document} : Sereal::Encoder->new->encode($args || []);
    my @attributes = (
        id => $id,
        env => $with{env} || ['PATH=/usr/local/bin:/usr/bin:/bin', 'HOME=/', 'SPAWN_JOB_ID=x'],
        template_id => "\1" x 16,
        queue => $with{queue} || 'default',
        (defined $function ? (function => $function) : ()),
        ($with{no_args} ? () : (args => $document)),
        want => $want{ $with{want} || 'scalar' } | ($with{objects} ? 4 : 0),
        stdout => $with{stdout} || $here,
        stderr => $with{stderr} || $here,
        @keep,
        (@fds ? (fds => \@fds) : ()),
        (map { defined $with{$_} ? ($_ => $with{$_}) : () } qw(load cwd label context stdin)),
        @{ $with{raw} || [] },
    );
    my $packet = FakeBroker::_encode(0, 'launch', @attributes);
    substr $packet, 6, 2, pack 'v', scalar @files;
    my $job = bless {
        id => $id, board => $board, out => $out, template => $self,
        text_id => join('-', unpack 'H8 H4 H4 H4 H12', $id),
    }, 'FakeSpawner::Job';
    push @{ $self->{jobs} }, $job;
    _send($self->{link}, $packet, @files);
    return $job;
}

# Takes messages until the job has told what is asked for: forked or set_up.
sub until_told {
    my ($self, $job, $what) = @_;
    until (exists $job->{$what}) {
        my $message = $self->next_message or return;
        my ($told) = grep { $_->{id} eq $message->{attr}{id} } @{ $self->{jobs} };
        # the template tells it too, and may be later than the job's end
        if ($message->{type} eq 'launched') {
            $told->{launched} = $message->{attr} if $told;
            next;
        }
        die 'a message for a job that is none' if !$told;
        push @{ $told->{told} }, $message->{type};
        $told->{pid} = $message->{attr}{pid} if defined $message->{attr}{pid};
        $told->{ $message->{type} } = $message->{attr};
    }
    return 1;
}

# An order, to its end.
sub call {
    my ($self, @order) = @_;
    my $job = $self->order(@order);
    $self->until_told($job, 'set_up') or die 'the template ended: ' . $self->said;
    return $job->finish;
}

sub stop {
    my ($self) = @_;
    return if $self->{owner} != $$;
    local ($?, $!, $@);
    kill 'KILL', $self->{pid} if $self->{pid};
    $self->wait_for_template;
    return;
}

sub CLONE_SKIP { return 1 }

sub DESTROY {
    my ($self) = @_;
    $self->stop;
    return;
}

package FakeSpawner::Job;

# Waits for its end and reads what it left.
sub finish {
    my ($self) = @_;
    my $template = delete $self->{template};
    @{ $template->{jobs} } = grep { $_ != $self } @{ $template->{jobs} };
    local $? = 0;
    $self->{said} = $self->_read_until_end;
    waitpid($self->{pid}, 0) == $self->{pid} or die "the job $self->{pid} is no child: $!";
    $self->{status} = $?;
    $self->{exit}   = $? & 127 ? undef : $? >> 8;
    $self->{signal} = $? & 127;
    $self->{said} .= $self->read_out;
    $self->read_board;
    return $self;
}

# Its output while it runs: it may wait for that to be read.
sub _read_until_end {
    my ($self) = @_;
    my $fd = syscall FakeSpawner->syscall_number('pidfd_open'), $self->{pid}, 0;
    die "the job $self->{pid} is no child: $!" if $fd < 0;
    open my $end, '<&=', $fd or die $!;
    my $select = IO::Select->new($self->{out}, $end);
    my $said = '';
    while (my @ready = $select->can_read(60)) {
        my ($printed) = grep { $_ == $self->{out} } @ready;
        last if !$printed;
        sysread $self->{out}, $said, 65_536, length $said or $select->remove($self->{out});
    }
    return $said;
}

# Its output, to the end of file or until nothing more comes.
sub read_out {
    my ($self) = @_;
    my $said = '';
    while (IO::Select->new($self->{out})->can_read(0)) {
        sysread $self->{out}, $said, 65_536, length $said or last;
    }
    return $said;
}

sub read_board {
    my ($self) = @_;
    my ($head, $data) = ('', '');
    sysseek $self->{board}, 0, 0;
    sysread $self->{board}, $head, FakeSpawner::BOARD_HEAD();
    my ($version, undef, $done, $of, $text, $kind, undef, $length) = unpack 'L L Z32 Z32 Z256 L L Q', $head;
    $self->{progress} = $version ? [$done, $of, $text] : undef;
    $self->{kind} = $kind;
    sysread $self->{board}, $data, $length if $kind;
    $self->{document} = $data;
    $self->{returned} = Sereal::Decoder->new->decode($data) if $kind == 1;
    $self->{died}     = Sereal::Decoder->new->decode($data) if $kind == 2;
    return $self;
}

sub cancel {
    my ($self) = @_;
    sysseek $self->{board}, 4, 0;
    syswrite $self->{board}, pack 'L', 1;
    return;
}

1;
