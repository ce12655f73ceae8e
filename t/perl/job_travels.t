#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A Job that was stored, sent or cloned is the same job, asked for at the broker
# of the process that it has come to; what is no Job is refused, whoever blessed
# it, and so is what is no Process.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Config;
use Data::Dumper ();
use IPC::Open2 qw(open2);
use Scalar::Util ();
use Sereal::Decoder ();
use Sereal::Encoder ();
use Storable ();
use Test::More;
use Apache2::Spawn ();
use Apache2::Spawn::Process ();
use FakeBroker ();

my $id = '019aa6a0-0000-7000-8000-00000000abcd';
sub a_broker {
    my ($pid) = @_;
    return FakeBroker->start(forget => 1,
        get => sub { return [job => id => $_[0]{id}, state => 3, queue => 'default', pid => $pid] });
}
my ($here, $there) = (a_broker(11), a_broker(22));
my $spawn = $here->connection;
my $job = $spawn->job($id);

my %carry = (
    'Storable' => [ \&Storable::freeze, \&Storable::thaw, 'Storable::thaw($_)' ],
    'Sereal'   => [ \&Sereal::Encoder::encode_sereal, \&Sereal::Decoder::decode_sereal,
        'do { require Sereal::Decoder; Sereal::Decoder::decode_sereal($_) }' ],
    'Sereal with freeze_callbacks' => [
        sub { Sereal::Encoder::encode_sereal($_[0], { freeze_callbacks => 1 }) },
        \&Sereal::Decoder::decode_sereal, 'do { require Sereal::Decoder; Sereal::Decoder::decode_sereal($_) }' ],
    'Data::Dumper' => [ sub { Data::Dumper->new([ $_[0] ])->Terse(1)->Dump }, sub { eval $_[0] }, 'eval $_' ],    ## no critic (ProhibitStringyEval)
);

# In a perl of its own, whose broker is the other one; a crash has no answer.
sub elsewhere {
    my ($code, $bytes) = @_;
    local $ENV{SPAWN_SOCKET} = $there->path;
    my $pid = open2(my $out, my $in, $^X, (map {"-I$_"} @INC), '-MStorable', '-MApache2::Spawn', '-e',
        "local \$/; \$_ = <STDIN>; my \$got = $code; print join ' ', ref \$got, \$got->id, \$got->status->pid");
    print {$in} $bytes;
    close $in;
    my $answer = do { local $/ = undef; <$out> };
    waitpid $pid, 0;
    return $? ? "wait status $?" : $answer;
}

for my $name (sort keys %carry) {
    my ($freeze, $thaw, $code) = @{ $carry{$name} };
    my $again = $thaw->($freeze->($job));
    isa_ok $again, 'Apache2::Spawn::Job', $name;
    is $again->id, $id, "$name: the id";
    is eval { $again->status->pid } || $@, 11, "$name: in the same process, at its only broker";
    is elsewhere($code, $freeze->($job)), "Apache2::Spawn::Job $id 22", "$name: in another process, at that one's";
}
is Storable::dclone([ $spawn ])->[0]->job($id)->status->pid, 11, 'a connection is one, too';

# with two brokers there is none that is meant
my $second = $there->connection;
is $second->job($id)->status->pid, 22, 'two brokers in a process';
is $job->status->pid, 11, 'each job knows its own';
eval { Storable::dclone($job)->status };
is ref $@ && $@->code, 'unreachable', 'which one is meant by a copy is not guessed';
is $spawn->job(Storable::dclone($job)->id)->status->pid, 11, 'but can be said';

SKIP: {
    skip 'this perl has no threads', 2 if !$Config{useithreads};
    require threads;
    is +threads->create(sub { $job->status->pid })->join(), 11, 'in a thread';
    is +threads->create(sub { $second->job($id)->status->pid })->join(), 22, 'a connection in a thread';
}

# ---- what is no Job ----

my %forged = (
    'bytes of the size of a pointer' => \(my $pointer = "\x{7f}" x 8),
    'bytes'        => \(my $bytes = "\xff" x 36),
    'an old one'   => \(my $old = pack 'i a16 C x3', 200, 'x' x 16, 1),
    'a number'     => \(my $number = 140_737_488_355_328),
    'empty'        => \(my $empty = ''),
    'undef'        => \(my $undef),
    'too long'     => \(my $long = $id . 'x'),
    'no text'      => \(my $bad = 'z' x 36),
    'a hash'       => {},
    'an array'     => [],
    'code'         => sub { 1 },
    'a reference'  => \\1,
    'a glob'       => \*STDOUT,
);
my @methods = qw(id status pid wait kill progress result resubmit);
for my $what (sort keys %forged) {
    my $object = bless $forged{$what}, 'Apache2::Spawn::Job';
    my @bad = grep { my $m = $_; !(!eval { $object->$m; 1 } && ref $@ && $@->code eq 'invalid') } @methods;
    is_deeply \@bad, [], "$what: every method refuses it";
}
for my $method (@methods) {
    my $sub = Apache2::Spawn::Job->can($method);
    for my $odd (undef, 'text', 5, [], \1) {
        my $error = eval { $sub->($odd); 1 } ? 'none' : ref $@ ? $@->code : "$@";
        fail "$method of " . (defined $odd ? $odd : 'undef') . ": $error" if $error ne 'invalid';
    }
}
for my $forged ("\xff" x 8, 99, 'relative', '', map {"/nonexistent\0$_"} '', 0, -1, 3_600_001, 'x', "5\0") {
    my $value = $forged;
    my $error = eval { (bless \$value, 'Apache2::Spawn')->list; 1 } ? 'none' : ref $@ ? $@->code : "$@";
    like $error, qr/\A(?:invalid|unreachable)\z/, 'a connection that is none';
}

# ---- what is no Process ----

$forged{'a hash with all it needs'} = { fh => \*STDIN, in => '', deadline => 1 };
$forged{'one that was not sent'} = { fh => \*STDIN, in => '', deadline => 1, unsent => 'x', via => 'Apache2::Spawn' };
my $refusal = qr/\ANot a HASH reference|not an object of Apache2::Spawn::Process|\(invalid, \w+\)/;
my %arguments = (
    send_arg => ['x'], eval => ['1'], require => ['POSIX'], send_fh => [ \*STDIN ], run => [ 'f', sub { 1 } ],
    fork => [], to_fh => [], pid => [], kill => ['TERM'], wait => [], exit_status => [],
);
for my $what (sort keys %forged) {
    local $SIG{__WARN__} = sub { };    # warnings of undefined values
    my @bad = grep {
        my ($method, $forged) = ($_, $forged{$what});
        my $object = bless Scalar::Util::reftype($forged) eq 'HASH' ? { %{$forged} } : $forged, 'Apache2::Spawn::Process';
        eval { $object->$method(@{ $arguments{$method} }); 1 } || $@ !~ $refusal;
    } sort keys %arguments;
    is_deeply \@bad, [], "$what: every method of a process refuses it";
}
for my $odd (undef, 'text', 5, [], \1) {
    my $what = defined $odd ? $odd : 'undef';
    ok !eval { Apache2::Spawn::Process::_begin_outbox($odd); 1 }, "$what gets no outbox";
    like $@, qr/\Anot a new object/, '... and is told so';
}
my $process = bless {}, 'Apache2::Spawn::Process';
$process->_begin_outbox;
ok !eval { $process->_begin_outbox; 1 }, 'nor does an object get a second one';

# when Perl ends, objects go after the connections
my $said = do {
    local $ENV{SPAWN_SOCKET} = $here->path;
    my $code = 'package Late; sub DESTROY { eval { ${$_[0]}->status; 1 } or print ref $@ && $@->code }'
        . " our \$late = bless \\(Apache2::Spawn->job('$id')); \$\$late->status";
    open my $out, '-|', $^X, (map {"-I$_"} @INC), '-MApache2::Spawn', '-e', $code or die "perl: $!";
    my $text = do { local $/ = undef; <$out> };
    close $out;
    "$?:" . (defined $text ? $text : '');
};
like $said, qr/\A0:(?:unreachable)?\z/, 'while Perl ends';

done_testing;
