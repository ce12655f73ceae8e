# SPDX-License-Identifier: Apache-2.0
#
# An httpd with SpawnTest::After in it, and the questions that its tests ask:
# a request that leaves jobs, by HTTP::Tiny or as bytes on a socket of the
# test's own; whether a job is known; what ran how many times. Runs in test
# scripts.

package SpawnTest::AfterHttpd;

use strict;
use warnings;

use parent -norequire, 'SpawnTest::Httpd';

use HTTP::Tiny ();
use IO::Socket::INET ();
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Time::HiRes qw(time);
use JSON::PP ();

use SpawnTest::Httpd ();
use SpawnTest::Wait qw(wait_until);

my $json = JSON::PP->new->utf8->canonical;

sub new {
    my ($class, %options) = @_;
    my $conf = delete $options{conf};
    return $class->SUPER::new(
        %options,
        conf => <<'END' . (defined $conf ? $conf : ''),
PerlModule SpawnTest::After
<Location /after>
    SetHandler modperl
    PerlResponseHandler SpawnTest::After
</Location>
<Location /target>
    SetHandler modperl
    PerlResponseHandler SpawnTest::After::target
</Location>
<Location /part>
    SetHandler modperl
    PerlResponseHandler SpawnTest::After::part
</Location>
END
    );
}

# A program that writes its id and these words as a line of the file `ran`.
sub note {
    my ($self, @words) = @_;
    my $ran = $self->work . '/ran';
    return ['/bin/sh', '-c', "echo \$SPAWN_JOB_ID @words >>$ran"];
}

# Lines of `ran`, each without its end.
sub ran {
    my ($self) = @_;
    open my $in, '<', $self->work . '/ran' or return;
    chomp(my @lines = <$in>);
    return @lines;
}

sub wait_for_ran {
    my ($self, $count, $seconds) = @_;
    return wait_until(sub { my @lines = $self->ran; return @lines >= $count },
        defined $seconds ? $seconds : 30);
}

# Does the broker know the job?
sub known {
    my ($self, $id) = @_;
    my $error = $self->status($id)->{error};
    die "$id: $error->{text}\n" if $error && $error->{code} ne 'no_such_job';
    return !$error;
}

# An id for a job that the test makes itself: a UUIDv7 of now.
sub new_id {
    my $ms = int(time() * 1000);
    return sprintf '%08x-%04x-7%03x-8%03x-%06x%06x', $ms >> 16, $ms & 0xffff,
        map { int rand $_ } 0x1000, 0x1000, 0x1000000, 0x1000000;
}

# POST /after: the answer's data, with its status as `status`.
sub after {
    my ($self, %arguments) = @_;
    my $response = HTTP::Tiny->new(timeout => 120, keep_alive => 0)->post(
        $self->url('/after'), { content => $json->encode(\%arguments) });
    my $out = eval { $json->decode($response->{content}) };
    die "POST /after: $response->{status} $response->{content}\n" . $self->tail if !$out;
    return { %{$out}, status => $response->{status} };
}

# The bytes of such a request.
sub request_text {
    my ($self, $arguments, @headers) = @_;
    my $body = $json->encode($arguments);
    return join "\r\n", "POST /after HTTP/1.1", 'Host: 127.0.0.1',
        'Content-Length: ' . length $body, @headers, '', $body;
}

# A connection of the test's own; a small buffer makes httpd wait for a client
# that does not read.
sub client {
    my ($self, %options) = @_;
    my $socket = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', PeerPort => $self->port, Timeout => 20,
        $options{buffer}
        ? (Sockopts => [[SOL_SOCKET, SO_RCVBUF, $options{buffer}]])
        : (),
    ) or die "connect: $!\n";
    $socket->autoflush(1);
    return $socket;
}

# One answer: its status, headers and body; body undef: only the head.
sub read_answer {
    my ($self, $socket, %options) = @_;
    my $head = '';
    while ($head !~ /\r\n\r\n\z/) {
        my $line = <$socket>;
        die "the connection ended: $head\n" if !defined $line;
        $head .= $line;
    }
    my ($status) = $head =~ m{^HTTP/1\.[01] ([0-9]+)};
    my ($length) = $head =~ /^Content-Length: ([0-9]+)/mi;
    my $answer = { status => $status, head => $head, length => $length };
    return $answer if $options{head_only};
    $answer->{body} = $self->read_body($socket, $length);
    $answer->{data} = eval { $json->decode($answer->{body}) };
    return $answer;
}

sub read_body {
    my ($self, $socket, $length) = @_;
    my $body = '';
    while (length $body < $length) {
        read($socket, $body, $length - length $body, length $body)
            or die "the connection ended in the body\n";
    }
    return $body;
}


1;
