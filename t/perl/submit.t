#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The requests of spawn and run: each option as the broker expects it, and the
# defaults.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use Apache2::Spawn ();
use FakeBroker ();

my $broker = FakeBroker->start(
    submit => sub {
        my ($attr) = @_;
        return [accepted => id => $attr->{id}, state => 1] if ($attr->{reply} || 1) < 2;
        return [job => id => $attr->{id}, state => 4, queue => 'default', outcome => 1, exit_code => 0];
    },
);
my $spawn = $broker->connection;

sub sent {
    my ($method, @arguments) = @_;
    my $made = $spawn->$method(@arguments);
    my $request = $broker->next_request;
    is $request->{type}, 'submit', 'a submit';
    delete $request->{attr}{id};
    return ($request, $made);
}

my ($request, $job) = sent(spawn => ['/bin/echo', 'a b', '', "caf\xe9"]);
isa_ok $job, 'Apache2::Spawn::Job';
is_deeply $request->{attr}, { argv => ['/bin/echo', 'a b', '', "caf\xe9"] }, 'argv alone';

($request, my $result) = sent(run => ['/bin/true']);
isa_ok $result, 'Apache2::Spawn::Result';
is_deeply $request->{attr},
    { argv => ['/bin/true'], reply => 3, timeout => 60_000,
      stdout => [5, 0, 0, ''], stderr => [5, 0, 0, ''] },
    'the defaults of run';

($request) = sent(run => ['x'], stdout => 'null', stderr => 'stdout', timeout => 1.5);
is_deeply $request->{attr},
    { argv => ['x'], reply => 3, timeout => 1500, stdout => [0, 0, 0, ''], stderr => [6, 0, 0, ''] },
    'run with its own';

($request) = sent(spawn => ['x'],
    queue => 'images', cwd => '/tmp', umask => 027, user => 'media', group => 'staff',
    grace => '250ms', nice => 5, ionice => 'best-effort:7', no_new_privs => 1, leftovers => 'kill',
    reply => 'started', label => 'thumb', capture_limit => '64K', timeout => 0);
is_deeply $request->{attr},
    { argv => ['x'], queue => 'images', cwd => '/tmp', umask => 23, user => 'media', group => 'staff',
      grace => 250, nice => 5, ionice => 519, no_new_privs => 1, leftovers => 1, reply => 2,
      label => 'thumb', capture_limit => 65_536, timeout => 0 },
    'plain options';

($request) = sent(spawn => ['x'], umask => '027', reply => 'posted');
is $request->{attr}{umask}, 23, 'umask as text';
is $request->{attr}{reply}, 1, 'posted, without a post socket, goes as accepted';

($request) = sent(spawn => ['x'], env => { A => 1, B => '', C => 'x=y' }, context => { uri => '/x' });
is_deeply [sort @{ $request->{attr}{env} }], ['A=1', 'B=', 'C=x=y'], 'env';
is_deeply $request->{attr}{context}, ['uri=/x'], 'context';
($request) = sent(spawn => ['x'], env => { A => undef, B => 1 }, context => { user => undef, uri => '/x' });
is_deeply [sort @{ $request->{attr}{env} }], ['A', 'B=1'], 'env: undef takes away';
is_deeply $request->{attr}{context}, ['uri=/x'], 'context: undef is left out';
($request) = sent(spawn => ['x'], env => {}, context => {});
is_deeply [@{ $request->{attr} }{qw(env context)}], [[], []], 'empty ones';
($request) = sent(spawn => ['x']);
ok !exists $request->{attr}{context}, 'no context outside a job';
{
    local @ENV{qw(SPAWN_REQUEST_ID SPAWN_JOB_ID)} = ('R1', 'a-job');
    ($request) = sent(spawn => ['x']);
    is_deeply $request->{attr}{context}, ['request_id=R1', 'job=a-job'], 'in a program that is a job: of its request';
    ($request) = sent(run => ['x'], context => { request_id => '', uri => '/x' });
    is_deeply [sort @{ $request->{attr}{context} }], ['job=a-job', 'request_id=', 'uri=/x'], 'what is given wins';
    for my $bad ("a b", "a\n", 'x' x 257, '', "\xe9") {
        local $ENV{SPAWN_REQUEST_ID} = $bad;
        ($request) = sent(spawn => ['x']);
        is_deeply $request->{attr}{context}, ['job=a-job'], 'an id that no server makes is left out';
    }
}

($request) = sent(spawn => ['x'], limits => { memory => '512M', cpu => 30, core => 'unlimited' });
my %limits = @{ $request->{attr}{limits} };
is_deeply \%limits, { 2 => 512 << 20, 1 => 30, 5 => 18_446_744_073_709_551_615 }, 'limits';

($request) = sent(spawn => ['x'], timeout => 1, timeout => 2);
is $request->{attr}{timeout}, 2000, 'the last of two counts';

# streams
my $data = "line\n\0binary\xff";
($request) = sent(spawn => ['x'], stdin => \$data, stdout => '/tmp/o', stderr => '>>/tmp/e');
is_deeply $request->{attr}{stdin}, [3, 0, 0, ''], 'stdin from data';
is $request->{attr}{stdin_data}, $data, 'the data';
is_deeply $request->{attr}{stdout}, [1, 0, 0, '/tmp/o'], 'a path';
is_deeply $request->{attr}{stderr}, [1, 1, 0, '/tmp/e'], 'a path to append to';
($request) = sent(spawn => ['x'], stdin => \'');
is $request->{attr}{stdin_data}, '', 'empty data';
($request) = sent(spawn => ['x'], stdin => 'null', stdout => 'log', stderr => 'capture');
is_deeply [map { $request->{attr}{$_}[0] } qw(stdin stdout stderr)], [0, 4, 5], 'words';

open my $in, '<', $0 or die $!;
open my $out, '>', '/dev/null' or die $!;
($request) = sent(spawn => ['x'], stdin => $in, stdout => *STDERR{IO}, stderr => \*STDERR,
    fds => { 7 => $out, 5 => $in });
is $request->{fds}, 5, 'five descriptors';
my %index = map { $_ => $request->{attr}{$_}[2] } qw(stdin stdout stderr);
my %fds = reverse @{ $request->{attr}{fds} };
is_deeply [sort keys %fds], [5, 7], 'the numbers in the job';
is_deeply [sort values %index, values %fds], [0 .. 4], 'each names another one of the message';

# text that is printed to a handle before is on its way before the job
{
    pipe my $read, my $write or die $!;
    print {$write} 'before';
    sent(spawn => ['x'], stdout => $write);
    $read->blocking(0);
    sysread $read, my $bytes, 100;
    is $bytes, 'before', 'handles are flushed';
}

# the id, and the caller's own values untouched
my $id = '019aa6a0-0000-7000-8000-00000000abcd';
is $spawn->spawn(['x'], id => $id)->id, $id, 'a given id';
$broker->next_request;
my $text = "caf\x{e9}";
utf8::upgrade($text);
my ($number, %env) = (5, (N => 5));
($request) = sent(spawn => ['x', $text, $number], env => \%env, cwd => '/tmp');
is $request->{attr}{argv}[1], "caf\xe9", 'characters up to 255 go as bytes';
ok utf8::is_utf8($text), 'and the value stays as it is';

# a big job travels in a memfd
eval { $spawn->spawn(['x'], stdin => \('y' x 200_000)) };
ok $broker->next_request->{flags} & 1, 'a big one';

# values that run code, and code that submits
{
    package Overloaded;
    use overload '""' => sub { $_[0][0]->() }, fallback => 1;
}
my $inner;
my $object = bless [sub { $inner ||= $spawn->spawn(['inner']); 'outer' }], 'Overloaded';
$job = $spawn->spawn([$object, 'last']);
is $broker->next_request->{attr}{argv}[0], 'inner', 'a job from within';
is_deeply $broker->next_request->{attr}{argv}, ['outer', 'last'], 'and the one around it';
$object = bless [sub { die "mine\n" }], 'Overloaded';
eval { $spawn->spawn(['x', $object]) };
is $@, "mine\n", 'an exception of such code passes';

done_testing;
