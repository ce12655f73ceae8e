#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Each error code of the manual is what a caller gets when its cause is really
# there. t/doc/error_codes.t compares the causes here with the manual's list.

use strict;
use warnings;

use FindBin ();
use lib (($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib");

use DBI ();
use IO::Select ();
use IO::Socket::UNIX ();
use Socket qw(SOCK_SEQPACKET);
use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Calls ();
use SpawnTest::Patience qw(patiently);
use SpawnTest::Process qw(state_of);

use Apache2::Spawn ();
use FakeBroker ();

my $httpd = SpawnTest::Calls->httpd(
    mpm => SpawnTest::one_mpm(),
    conf => "SpawnSubmitTimeout 5\n"
        . "<SpawnQueue narrow>\nSpawnMaxJobs 1\nSpawnMaxQueued 0\n</SpawnQueue>\n",
)->start;
my $spawn = $httpd->connection;
my @true  = ['/bin/true'];
my $f     = 'SpawnTest::Functions';


# The code that runs throws this one.
sub cause {
    my ($code, $what, $cause) = @_;
    my $lived = eval { $cause->(); 1 };
    my $error = $@;
    if ($lived || !ref $error) {
        fail "$code: $what";
        diag $lived ? 'nothing was thrown' : $error;
        return;
    }
    is $error->code, $code, "$code: $what" or diag $error;
    return $error;
}

# The code of the broker's refusal of a packet that no client of ours sends.
sub refusal_of {
    my (@packets) = @_;
    my $socket = IO::Socket::UNIX->new(Type => SOCK_SEQPACKET, Peer => $httpd->socket) or die $!;
    my $answer = '';
    for my $packet (@packets) {
        send $socket, $packet, 0 or die $!;
        IO::Select->new($socket)->can_read(20) or die 'no answer';
        recv $socket, $answer, 1 << 16, 0;
    }
    my $message = FakeBroker::_decode($answer);
    return $message->{type} eq 'refused' ? $message->{attr} : {};
}

sub hello { return FakeBroker::_encode(1, 'hello', client => 'test') }

sub refused {
    my ($code, $number, $what, @packets) = @_;
    my $attr = refusal_of(@packets);
    is $attr->{code}, $number, "$code: $what" or diag explain $attr;
    return;
}

# While this runs the broker stands still.
sub with_sleeping_broker {
    my ($code) = @_;
    my $pid = $httpd->broker_pid;
    kill 'STOP', $pid;
    wait_until(sub { state_of($pid) eq 'T' }, 20);
    my @result = eval { $code->() };
    my $error = $@;
    kill 'CONT', $pid;
    die $error if $error;    ## no critic (RequireCarping)
    return @result;
}

# ---- who calls ----

cause('unreachable', 'nobody listens', sub { Apache2::Spawn->connect('/nowhere')->spawn(@true) });
cause('invalid', 'a value', sub { $spawn->spawn(@true, timeout => 'soon') });
cause('unknown_option', 'a name', sub { $spawn->spawn(@true, time_out => 5) });
cause('too_big', 'data', sub { my $data = 'x' x (17 << 20); $spawn->spawn(@true, stdin => \$data) });
cause('not_sendable', 'an argument', sub { $spawn->call("${f}::echo", [ sub {1} ]) });
cause('system', 'no descriptor is left', sub {
    my @files;
    $spawn->spawn(@true);    # has its connection
    my $data = 'x' x 200_000;
    while (open my $file, '<', '/dev/null') { push @files, $file }
    $spawn->spawn(@true, stdin => \$data);
});

# ---- a broker of another release ----

my $other = FakeBroker->start(hello => sub { return [refused => code => 15, text => 'another version'] });
cause('version', 'another version of the wire', sub { $other->connection->spawn(@true) });
my $strange = FakeBroker->start(get => sub { return ['welcome'] });
cause('protocol', 'an answer to another question',
    sub { $strange->connection->job('01900000-0000-7000-8000-000000000001')->status });

# ---- what the broker refuses ----

cause('unknown_queue', 'a queue', sub { $spawn->spawn(@true, queue => 'none') });
cause('not_permitted', 'a user', sub { $spawn->spawn(@true, user => 'root') });
cause('no_such_job', 'an id', sub { $spawn->job('01900000-0000-7000-8000-000000000001')->status });
cause('too_old', 'an id of tomorrow', sub {
    my $hex = sprintf '%012x', (time + 86_400) * 1000;
    $spawn->spawn(@true, id => join '-', unpack('a8 a4', $hex), '7000', '8000', '000000000001');
});
cause('conflict', 'one id, two jobs', sub {
    my $id = $spawn->spawn(@true)->id;
    $spawn->spawn(['/bin/false'], id => $id);
});
my $gate = SpawnTest::Gate->new($httpd, 'narrow');
my $running = $spawn->spawn($gate->job('exit 0'), queue => 'narrow', reply => 'started');
cause('queue_full', 'one runs, none may wait', sub { $spawn->spawn(@true, queue => 'narrow') });
$gate->let(1);
refused('version', 15, 'another version of the wire',
    do { my $packet = hello(); substr $packet, 2, 1, chr 99; $packet });
refused('protocol', 16, 'no hello', FakeBroker::_encode(1, 'list'));
$running->wait(20);
refused('not_running', 20, 'a signal to a job that has ended', hello(),
    FakeBroker::_encode(2, 'kill', id => pack('H32', $running->id =~ s/-//gr), signo => 15));

refused('not_dead', 25, 'one that ended well is to be tried again', hello(),
    FakeBroker::_encode(2, 'revive', id => pack('H32', $running->id =~ s/-//gr)));

refused('not_delayed', 27, 'one that has ended is to start now', hello(),
    FakeBroker::_encode(2, 'start_now', id => pack('H32', $running->id =~ s/-//gr)));

for my $method (qw(kill retry start_now)) {
    my $given;
    my $lived = eval { $given = $running->$method; 1 };
    ok $lived && !$given, "Perl's $method gives false for it, and throws nothing" or diag $lived ? $given : $@;
}

# ---- what becomes of a job ----

cause('start_failed', 'no such program', sub { $spawn->spawn(['/nowhere/at/all'], reply => 'started') });
cause('call_failed', 'the function exits', sub { $spawn->call("${f}::exits", [3]) });
cause('timed_out', 'the function is late', sub { $spawn->call("${f}::deaf_loop", [], timeout => 0.2, grace => 0.1) });

cause('expired', 'its time is over', sub { $spawn->call("${f}::echo", [1], expires => '2001-01-01T00:00:00Z') });

cause('not_unique', 'another one has the key', sub {
    $spawn->spawn(@true, unique => 'k', unique_for => 60);
    $spawn->spawn(@true, unique => 'k');
});

# ---- a broker that stands still ----

my $hasty = Apache2::Spawn->connect($httpd->socket);
patiently(sub { $hasty->spawn(@true) });    # has a connection
with_sleeping_broker(sub {
    cause('unconfirmed', 'no answer to a submit', sub { $hasty->spawn(@true) });
});
patiently(sub { $hasty->spawn(@true) });    # has a connection again
with_sleeping_broker(sub {
    cause('deadline', 'no answer to a question', sub { $hasty->job($running->id)->status });
});

# ---- the store ----

my $called = $spawn->spawn_call("${f}::echo", ['kept']);
is_deeply [ $called->result(20) ], ['kept'], 'a result is kept';
$httpd->stop;
ok wait_until(sub { !$httpd->spawner_pids }, 20), 'the pair has gone';
{
    my ($store) = glob "$httpd->{runtime}/spawn/store/jobs.db";
    my $db = DBI->connect("dbi:SQLite:dbname=$store", '', '', { RaiseError => 1 });
    $db->do('DELETE FROM output');
}
$httpd->start;
cause('output_gone', 'the result is not there any more', sub { $spawn->job($called->id)->result(5) });

my @as_broker = $< == 0 ? ('setpriv', '--clear-groups', '--reuid', $httpd->uid, '--regid', $httpd->gid) : ();
is system(@as_broker, 'prlimit', '--fsize=0', '--pid', $httpd->broker_pid), 0, 'the broker may write to no file';
cause('store', 'it takes nothing', sub { $spawn->spawn(@true, reply => 'started') });

done_testing;
