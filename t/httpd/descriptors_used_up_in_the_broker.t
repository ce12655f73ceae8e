#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The broker has no free descriptor: who is connected is served with what needs none and
# told what is missing with the rest, others wait, jobs that run go on, and with free
# descriptors all is as before.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Limits qw(limit no_descriptors);
use SpawnTest::Templates ();

my $t = SpawnTest::Templates->new(conf => "SpawnSubmitTimeout 20\n")->start;
my $httpd = $t->httpd;
my $gate = SpawnTest::Gate->new($httpd, 'a');
my $running = $httpd->spawn($gate->job('exit 7'), reply => 'started');
my $called = $t->at_gate($gate, 'value');
ok $t->all_at_gate($called), 'a program and a call run';
my $broker = $httpd->broker_pid;

# The result of this code: an outcome, or code, step and errno of the error.
sub came {
    my ($sub) = @_;
    my $value = eval { $sub->() };
    my $error = $@;
    return $value if defined $value;
    return ref $error ? join ' ', map { defined ? $_ : '-' } $error->code, $error->step, 0 + ($error->errno || 0) : $error;
}

my $spawn = $t->spawn;
is $spawn->run(['/bin/true'])->outcome, 'exited', 'the test is connected';
my $had = no_descriptors($broker);
my $emfile = 24;
my $plain = $spawn->spawn([ '/bin/sh', '-c', 'exit 3' ]);
is $plain->wait(30)->exit_code, 3, 'a job without output to be read runs';
is came(sub { $spawn->run(['/bin/true'], capture_limit => 10)->outcome }), "start_failed stdout $emfile", 'with it: says why not';
is came(sub { $spawn->run(['/bin/true'], env => { BIG => 'x' x 100_000 })->outcome }), "system receive $emfile",
    'so does one whose order is too big for a packet';
open my $null, '<', '/dev/null' or die "/dev/null: $!\n";
is came(sub { $spawn->spawn(['/bin/true'], stdin => $null)->id }), "system receive $emfile", 'and one with a handle';
is $spawn->job($plain->id)->status->exit_code, 3, 'all on the same connection';
my $ctl = SpawnTest::Ctl->new($httpd);
my $other = $ctl->start(qw(run --timeout 60 -- /bin/sh -c), 'exit 5');
ok $httpd->wait_for_log(qr/MS0543: callers have to wait: Too many open files/), 'one that comes has to wait, and the log says so';
is $httpd->broker_pid, $broker, 'the broker is the same';

limit($broker, nofile => $had);
is $ctl->finish($other)->{code}, 5, 'with descriptors it is let in';
is came(sub { $spawn->run(['/bin/true'], env => { BIG => 'x' x 100_000 }, stdin => $null)->outcome }), 'exited',
    'and all orders are taken';
$gate->let(2);
is $httpd->wait($running->{id})->{exit_code}, 7, 'the job that ran all along tells its code';
is $called->result(30), 'value', 'and the call its value';
my $log = $httpd->error_log;
like $log, qr/MS0545: a request \(pid $$, /, 'the log says that requests are refused';
unlike $log, qr/MS0542|MS0306/, 'it blames nobody';
done_testing;
