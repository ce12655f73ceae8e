#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A caller that asks for the templates again and again and reads nothing: the
# broker reads it no more, keeps little, serves others, and when the caller reads
# it gets each answer, whole and in order.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use IO::Socket::UNIX ();
use Socket qw(SOCK_SEQPACKET);
use Test::More;

use SpawnTest ();
use SpawnTest::Process qw(rss_kb);
use SpawnTest::Templates ();

use constant {
    HELLO => 1, TEMPLATES => 8, WELCOME => 20, END_OF_LIST => 24, PROCESS => 26,
    CLIENT => 65, ROWS => 73, STR => 3, MOST => 100_000,
};

my $t = SpawnTest::Templates->new(conf => "<SpawnQueue images>\n    SpawnWorkers 10 10\n</SpawnQueue>")->start;
ok $t->has_workers('images', 10), 'a template and ten workers';

my $caller = IO::Socket::UNIX->new(Type => SOCK_SEQPACKET, Peer => $t->httpd->socket) or die "socket: $!\n";

sub message {
    my ($type, $seq, $body) = @_;
    return pack('v C C v v V V', 0x5053, 1, 0, $type, 0, $seq, length $body) . $body;
}

# Type, sequence number and body of the next message.
sub next_message {
    defined $caller->recv(my $packet, 65536) or die "recv: $!\n";
    die "the broker closed the connection\n" if !length $packet;
    my (undef, undef, undef, $type, undef, $seq) = unpack 'v C C v v V', $packet;
    return ($type, $seq, substr $packet, 16);
}

my $name = "test\0";
$caller->send(message(HELLO, 1, pack('v C C V', CLIENT, STR, 0, length $name) . $name . "\0" x (-length($name) % 8)));
is + (next_message())[0], WELCOME, 'let in';

# Asks as often as the socket takes it without waiting; others are not held up.
my $asked = 0;
$caller->blocking(0);
$asked++ while $asked < MOST && defined $caller->send(message(TEMPLATES, $asked + 2, ''));
cmp_ok $asked, '>', 10, 'a caller that asks and does not read';
cmp_ok $asked, '<', MOST, '... is not read any more';
note "asked $asked times";
my $ctl = SpawnTest::Ctl->new($t->httpd);
my ($list) = $ctl->json('templates');
is scalar @{ $list || [] }, 11, 'another one is answered';
cmp_ok rss_kb($t->httpd->broker_pid), '<', 40_000, 'the broker keeps little';

# Now it reads, and asks once more.
$caller->blocking(1);
local $SIG{ALRM} = sub { die "no answer within 60 s\n" };
alarm 60;
my ($wrong, $rows) = (0, 0);
for my $seq (2 .. $asked + 2) {
    $caller->send(message(TEMPLATES, $seq, '')) if $seq == $asked + 2;
    for (;;) {
        my ($type, $got, $body) = next_message();
        $wrong++ if $got != $seq;
        if ($type == END_OF_LIST) {
            my ($id, undef, undef, undef, $said) = unpack 'v C C V Q<', $body;
            $wrong++ if $id != ROWS || $said != $rows || $rows != 11;
            $rows = 0;
            last;
        }
        $wrong++ if $type != PROCESS;
        $rows++;
    }
}
alarm 0;
is $wrong, 0, 'it gets all answers, whole and in order';
done_testing;
