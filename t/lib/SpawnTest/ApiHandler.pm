# SPDX-License-Identifier: Apache-2.0
#
# A handler that is a test: the calls of Apache2::Spawn as application code
# makes them, checked where they are made, with Apache::Test and Test::More.
# The answer is TAP. Runs in httpd children; api_in_a_handler.t asks for it.

package SpawnTest::ApiHandler;

use strict;
use warnings;

use Apache::Test qw(-withtestmore);
use Apache2::Const -compile => qw(OK);
use Apache2::RequestRec ();
use Apache2::Spawn ();

sub handler {
    my ($r) = @_;
    plan $r, tests => 32;
    programs();
    of_the_request($r);
    streams();
    errors();
    surroundings();
    return Apache2::Const::OK;
}

sub programs {
    my $job = Apache2::Spawn->spawn([ '/bin/sh', '-c', 'exit 3' ], label => 'three');
    isa_ok $job, 'Apache2::Spawn::Job';
    like $job->id, qr/\A[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\z/, 'a job has an id';
    my $end = $job->wait(30);
    is $end->{exit_code}, 3, 'wait: how it ended';
    is $end->{outcome}, 'exited', 'wait: the outcome';
    is $job->status->{label}, 'three', 'status: the label';
    is(Apache2::Spawn->job($job->id)->status->{exit_code}, 3, 'job: by its id');
    ok scalar(grep { $_->{id} eq $job->id } Apache2::Spawn->list), 'list has it';

    my $res = Apache2::Spawn->run([ '/bin/sh', '-c', 'echo out; echo err >&2; exit 1' ]);
    isa_ok $res, 'Apache2::Spawn::Result';
    is $res->stdout, "out\n", 'run: stdout';
    is $res->stderr, "err\n", 'run: stderr';
    is $res->exit_code, 1, 'run: exit code';
    ok !$res->ok, 'run: not ok';

    my $long = Apache2::Spawn->spawn([qw(/bin/sleep 300)], reply => 'started');
    cmp_ok $long->pid, '>', 1, 'reply started: the pid';
    ok $long->kill('KILL'), 'kill';
    is $long->wait(30)->{signal}, 9, 'kill: the signal';
    return;
}

sub of_the_request {
    my ($r) = @_;
    my $res = $r->spawn_run([ '/bin/echo', 'from the request' ]);
    is $res->stdout, "from the request\n", '$r->spawn_run';
    is $res->context->{uri}, $r->uri, 'its context';
    my $job = $r->spawn(['/bin/true'], context => { mine => 'yes' });
    is $job->wait(30)->{context}{mine}, 'yes', '$r->spawn, with more context';
    return;
}

sub streams {
    my $data = "line\n" x 30_000;
    my $res = Apache2::Spawn->run(['/bin/cat'], stdin => \$data);
    ok $res->stdout eq $data, 'data through stdin and back';

    open my $file, '+>', undef or die "a file: $!\n";
    Apache2::Spawn->run([qw(/bin/echo into a handle)], stdout => $file);
    seek $file, 0, 0;
    is scalar <$file>, "into a handle\n", 'an open handle';

    my $done = eval { Apache2::Spawn->spawn(['/bin/true'], stdout => \*STDOUT); 1 };
    ok !$done, 'the client as stdout is refused';
    like $@, qr/stdout: .*mod_perl.* descriptor/, 'with the reason';
    return;
}

sub errors {
    my $done = eval { Apache2::Spawn->spawn(['/nowhere/x'], reply => 'started'); 1 };
    isa_ok $@, 'Apache2::Spawn::Error';
    is $@->code, 'start_failed', 'error: code';
    is $@->step, 'exec', 'error: step';
    like "$@", qr/No such file or directory/, 'error: text';
    return;
}

# State of the child that a fork in it would have changed.
sub surroundings {
    my $alarms = 0;
    local $SIG{CHLD} = sub { $alarms++ };
    my $handler = $SIG{CHLD};
    local ($?, $!) = (77, 5);
    my $res = Apache2::Spawn->run([qw(/bin/echo hello)]);
    my ($status, $errno) = ($?, $! + 0);

    is $res->stdout, "hello\n", 'a job';
    is $status, 77, 'leaves $? alone';
    is $errno, 5, 'and $!';
    is $SIG{CHLD}, $handler, 'and %SIG';
    is $alarms, 0, 'and is no child of httpd';
    ok tied *STDOUT, 'STDOUT is still the client';
    return;
}

1;
