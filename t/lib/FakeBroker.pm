# SPDX-License-Identifier: Apache-2.0
#
# A broker of a few lines, for tests of the Perl module without httpd, spawner
# and store: it speaks the wire, keeps what callers send, and answers as the
# test says. Runs in a child of the test script. The numbers of messages and
# attributes are read from common/, so that they have one definition.
#
#   my $broker = FakeBroker->start(
#       submit => sub { my ($attr) = @_; return [accepted => id => $attr->{id}, state => 1] },
#   );
#   ... $broker->connection ... or Apache2::Spawn->connect($broker->path), which waits 2 s
#   my $sent = $broker->next_request;      # { type => 'submit', attr => {...} }

package FakeBroker;

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec ();
use File::Temp ();
use IO::Select ();
use IO::Socket::UNIX ();
use POSIX ();
use Socket qw(SOCK_SEQPACKET);

my $common = File::Spec->rel2abs(dirname(__FILE__) . '/../../common');

my %kind_number = (
    U64 => 1, I64 => 2, STR => 3, BYTES => 4, STRV => 5,
    U64V => 6, ID => 7, STDIO => 8, NEST => 9,
);
my (%attr_number, %attr_kind, %attr_name, %type_number, %type_name);

sub _read_lists {
    open my $in, '<', "$common/spawn_proto.h" or die "spawn_proto.h: $!";
    my $text = do { local $/ = undef; <$in> };
    close $in or die "spawn_proto.h: $!";
    while ($text =~ /\bX\((\d+), \s* \w+, \s* (U64V?|I64|STRV?|BYTES|ID|STDIO|NEST), [^"]*? "(\w+)"\)/gx) {
        $attr_number{$3} = $1;
        $attr_kind{$3} = $kind_number{$2};
        $attr_name{$1} = $3;
    }
    while ($text =~ /\bX\((\d+), \s* \w+, \s* SPAWN_FROM_[^"]*? "(\w+)"\)/gxs) {
        $type_number{$2} = $1;
        $type_name{$1} = $2;
    }
    return;
}
_read_lists();

# ---- codec ----

sub _decode {
    my ($packet) = @_;
    my ($magic, $version, $flags, $type, $fds, $seq, $length) = unpack 'vCCvvVV', $packet;
    my (%attr, $at);
    for ($at = 16; $at < length $packet;) {
        my ($id, $kind, undef, $n) = unpack 'vCCV', substr $packet, $at, 8;
        my $data = substr $packet, $at + 8, $n;
        $attr{ $attr_name{$id} } =
              $kind == 1 ? unpack 'Q<', $data
            : $kind == 2 ? unpack 'q<', $data
            : $kind == 3 ? unpack 'Z*', $data
            : $kind == 5 ? [ split /\0/, substr($data, 4), -1 ]
            : $kind == 6 ? [ unpack 'Q<*', $data ]
            : $kind == 8 ? [ unpack 'CCvZ*', $data ]
            :              $data;
        pop @{ $attr{ $attr_name{$id} } } if $kind == 5;
        $at += 8 + (($n + 7) & ~7);
    }
    return { type => $type_name{$type}, fds => $fds, seq => $seq, attr => \%attr, flags => $flags };
}

sub _encode {
    my ($seq, $type, @attrs) = @_;
    my $body = '';
    while (my ($name, $value) = splice @attrs, 0, 2) {
        my $kind = $attr_kind{$name};
        my $data =
              $kind == 1 ? pack 'Q<', $value
            : $kind == 3 ? "$value\0"
            : $kind == 5 ? pack('V', scalar @{$value}) . join('', map {"$_\0"} @{$value})
            : $kind == 6 ? pack 'Q<*', @{$value}
            :              $value;
        $body .= pack 'vCCV', $attr_number{$name}, $kind, 0, length $data;
        $body .= $data . "\0" x (-length($data) & 7);
    }
    return pack('vCCvvVV', 0x5053, 1, 0, $type_number{$type}, 0, $seq, length $body) . $body;
}

# ---- the broker's process ----

sub _answer {
    my ($answers, $packet) = @_;
    my $request = _decode($packet);
    return _encode($request->{seq}, 'welcome', release => '0.1.0')
        if $request->{type} eq 'hello' && !$answers->{hello};
    return _encode($request->{seq}, 'refused', code => 8, text => 'no memfds here')
        if $request->{flags} & 1;    # perl cannot receive descriptors
    my $code = $answers->{ $request->{type} };
    return if !$code;
    return map { _encode($request->{seq}, @{$_}) } $code->($request->{attr});
}

sub _serve {
    my ($listener, $log, $answers) = @_;
    my $select = IO::Select->new($listener);
    while (my @ready = $select->can_read) {
        for my $peer (@ready) {
            if ($peer == $listener) {
                my $new = $listener->accept or next;
                $select->add($new);
                next;
            }
            my $packet = '';
            if (!defined recv($peer, $packet, 1 << 18, 0) || $packet eq '') {
                $select->remove($peer);
                close $peer;
                next;
            }
            syswrite $log, pack('V', length $packet) . $packet
                if !$answers->{forget} && _decode($packet)->{type} ne 'hello';
            send $peer, $_, 0 for _answer($answers, $packet);
        }
    }
    return;
}

# %answers: the name of a request => code that gets its attributes and returns
# messages, each [type => name => value, ...]; none: the request stays
# unanswered; hello is welcome without one. forget => 1: there is no next_request, and so as many requests as
# a test likes.
sub start {
    my ($class, %answers) = @_;
    my $dir = File::Temp->newdir;
    my $path = "$dir/socket";
    my $listener = IO::Socket::UNIX->new(Type => SOCK_SEQPACKET, Local => $path, Listen => 20)
        or die "$path: $!";
    pipe my $read, my $write or die "pipe: $!";
    my $pid = fork;
    die "fork: $!" if !defined $pid;
    if (!$pid) {
        close $read;
        _serve($listener, $write, \%answers);
        POSIX::_exit(0);
    }
    close $write;
    return bless { dir => $dir, path => $path, pid => $pid, log => $read, owner => $$ }, $class;
}

sub path { return $_[0]{path} }
sub pid  { return $_[0]{pid} }

# A connection to it that waits so long that a busy machine is no failure.
sub connection { return Apache2::Spawn->connect($_[0]{path}, timeout => 60) }

# The next request that came, hellos left out; waits for it.
sub next_request {
    my ($self) = @_;
    my $length = unpack 'V', $self->_read(4);
    return _decode($self->_read($length));
}

sub _read {
    my ($self, $n) = @_;
    my $bytes = '';
    while (length $bytes < $n) {
        IO::Select->new($self->{log})->can_read(10) or die 'nothing came within 10 s';
        sysread $self->{log}, $bytes, $n - length $bytes, length $bytes or die 'the fake broker ended';
    }
    return $bytes;
}

sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid};
    return if !$pid || $self->{owner} != $$;
    local ($?, $!, $@);
    kill 'KILL', $pid;
    waitpid $pid, 0;
    return;
}

sub CLONE_SKIP { return 1 }

sub DESTROY {
    my ($self) = @_;
    $self->stop;
    return;
}

1;
