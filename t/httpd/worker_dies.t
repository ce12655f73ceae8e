#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The death of a worker fails the call that it had and no other; a call that
# said `retry` is given to another one. A call can be ended by its time-out or
# by a kill, also when it is deaf to signals; others have a new worker then.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Process qw(alive);
use SpawnTest::Templates ();

my $t = SpawnTest::Templates->new(
    conf  => "<SpawnQueue rpc>\nSpawnWorkers 1 3\n</SpawnQueue>\n",
    files => { 'My/Ends.pm' => <<'END' },
package My::Ends;
use strict;
use warnings;
use Apache2::Spawn ();
sub leaves { exit $_[0] }
sub killed { kill $_[0] => $$; select undef, undef, undef, 60; return }
sub closes { require POSIX; POSIX::close($_) for 3 .. 1023; return 'closed' }
sub deaf { $SIG{$_} = 'IGNORE' for qw(TERM INT HUP); Apache2::Spawn->job->progress(1); 1 while 1; return }
# Dies the first times: so often as it was told.
sub at_last {
    my ($file, $deaths) = @_;
    open my $out, '>>', $file or die "$file: $!\n";
    syswrite $out, Apache2::Spawn->job->attempt . "\n";
    kill KILL => $$ if Apache2::Spawn->job->attempt <= $deaths;
    return "attempt " . Apache2::Spawn->job->attempt;
}
1;
END
    templates => 'SpawnTemplate app exec inc=@INC@ preload=My::Work,My::Ends')->start;
my $spawn = $t->spawn;
my $httpd = $t->httpd;
my @rpc = (queue => 'rpc');

sub error_of {
    my ($code) = @_;
    return eval { $code->(); 1 } ? 'nothing' : $@;
}

# others run meanwhile
my $gate = SpawnTest::Gate->new($httpd, 'a');
my $other = $spawn->spawn_call('My::Work::at_gate', [ $gate->path, 'other' ], @rpc);
ok $t->all_at_gate($other), 'a call runs';

my $error = error_of(sub { $spawn->call('My::Ends::leaves', [7], @rpc) });
is $error->code, 'call_failed', 'a function that exits';
like $error->message, qr/My::Ends::leaves ended its process, exit code 7, before it returned/, 'is told so';
$error = error_of(sub { $spawn->call('My::Ends::killed', ['KILL'], @rpc) });
like $error->message, qr/My::Ends::killed was ended by signal 9/, 'so is one that is killed';
is $spawn->call('My::Work::echo', ['on'], @rpc), 'on', 'the next call finds a worker';
is $other->status->state, 'running', 'and the other one runs on';

# time-out, also of a deaf loop, and kill
$error = error_of(sub { $spawn->call('My::Ends::killed', ['CONT'], @rpc, timeout => 0.1) });
is $error->code, 'timed_out', 'time-out';
$error = error_of(sub { $spawn->call('My::Ends::deaf', [], @rpc, timeout => 0.1, grace => 0.1) });
is $error->code, 'timed_out', 'time-out of a loop that ignores signals';
my $job = $spawn->spawn_call('My::Ends::killed', ['CONT'], @rpc);
ok wait_until(sub { $job->status->state eq 'running' }, 20), 'a job runs in a worker';
my $pid = $job->pid;
$job->kill('TERM');
is $job->wait(20)->outcome, 'cancelled', 'it can be killed';
ok wait_until(sub { !alive($pid) }, 20), 'and its worker has gone with it';

# asked to end, it can end by itself; the signal must not meet the next call
$job = $spawn->spawn_call('My::Work::until_cancelled', [], @rpc);
ok wait_until(sub { defined $job->progress }, 20), 'one that looks whether it is cancelled';
$pid = $job->pid;
$job->kill('TERM');
is $job->result(20), 'cancelled', 'returns by itself';
ok wait_until(sub { !alive($pid) }, 20), 'and its worker gets no other call';

$gate->let(1);
is $other->result(20), 'other', 'the call that ran all the time returns';

# retry
my $ran = $httpd->work . '/ran';
is $spawn->call('My::Ends::at_last', [ $ran, 2 ], @rpc, retry => 2), 'attempt 3', 'a call that may be retried';
open my $in, '<', $ran or die "$ran: $!\n";
is join(q{}, <$in>), "1\n2\n3\n", 'ran so often';
close $in;
unlink $ran;
$error = error_of(sub { $spawn->call('My::Ends::at_last', [ $ran, 2 ], @rpc) });
like $error->message, qr/signal 9/, 'one that may not fails';
open $in, '<', $ran or die "$ran: $!\n";
is join(q{}, <$in>), "1\n", 'and ran once';
is $spawn->spawn_call('My::Ends::at_last', [ "$ran.2", 1 ], @rpc, retry => 1)->result(30), 'attempt 2',
    'a job that was accepted first, too';
is $spawn->call('My::Work::echo', [1], retry => 1), 1, 'retry elsewhere';

# one that closes all descriptors closes the worker's link, too
is $spawn->call('My::Ends::closes', [], @rpc, retry => 5), 'closed', 'a call that closes all descriptors returns';
is $spawn->call('My::Work::echo', ['after'], @rpc), 'after', 'and the next one has another worker';

ok $httpd->wait_for_log(qr/MS0613: a worker of queue rpc \(pid \d+\) has gone: it was killed by signal 9/),
    'the log tells of a worker that died';
ok $t->has_workers('rpc', 1) || $t->workers('rpc') <= 3, 'there are no more than may be';
done_testing;
