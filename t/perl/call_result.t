#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The end of a Perl function by call and $job->result: its values in the
# caller's context, its error, or why there is neither.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Sereal::Encoder ();
use Test::More;
use Apache2::Spawn ();
use FakeBroker ();

my $encoder = Sereal::Encoder->new;

sub returned { return (result_kind => 1, result => $encoder->encode([@_])) }
sub died     { return (result_kind => 2, exit_code => 255, result => $encoder->encode({@_})) }

# label => what the answer says beside id, state, queue and function.
my %ends = (
    none_returned => sub { return returned() },
    one => sub { return returned(42) },
    three => sub { return returned(1, 'two', "\x{2603}") },
    nested => sub { return returned({ a => [ 1, { b => undef } ] }, [2]) },
    undef => sub { return returned(undef) },
    object => sub { return returned(bless { n => 1 }, 'My::Object') },
    string => sub { return died(text => "no such customer at /srv/Report.pm line 3.\n") },
    wide => sub { return died(text => "no \x{2603}\n") },
    data => sub { return died(text => 'HASH(0x1)', data => { code => 404, list => [1] }) },
    list_data => sub { return died(text => 'ARRAY(0x1)', data => [ 1, 2 ]) },
    error => sub { return died(text => "too hot\n", class => 'My::Error', data => { degrees => 451 }) },
    unknown_function => sub { return died(text => 'no function A::b in template app', code => 'invalid') },
    unsendable => sub { return died(text => 'return value [0] is a handle', code => 'not_sendable') },
    exited => sub { return (exit_code => 3) },
    exited_0 => sub { return (result_kind => 0, exit_code => 0) },
    orphaned => sub { return (result_kind => 0, exit_code => 0, text => 'its spawner was killed') },
    signalled => sub { return (outcome => 2, signal => 11, core => 1) },
    killed => sub { return (outcome => 2, signal => 9) },
    timed_out => sub { return (outcome => 3, signal => 9) },
    timed_out_died => sub { return (died(text => "TERM\n"), outcome => 3) },
    timed_out_returned => sub { return (returned('just'), outcome => 3) },
    cancelled => sub { return (outcome => 4, signal => 15) },
    cancelled_queued => sub { return (outcome => 4) },
    lost => sub { return (outcome => 7, text => 'the machine was restarted') },
    unknown => sub { return (outcome => 8) },
    not_started => sub { return (outcome => 5, step => 10, text => "template 'report': My/Report.pm: syntax error") },
    gone => sub { return (result_kind => 1) },
    garbage => sub { return (result_kind => 1, result => 'not Sereal') },
    no_list => sub { return (result_kind => 1, result => $encoder->encode({})) },
);

sub job_message {
    my ($attr, $what) = @_;
    my %job = (id => $attr->{id}, state => 4, queue => 'default', function => 'My::Report::build', outcome => 1,
        exit_code => 0, $ends{$what}->());
    delete $job{exit_code} if $job{outcome} != 1;
    return [ job => %job ];
}

my %label;    # id => label, in the broker's process
my %looks;
my $broker = FakeBroker->start(
    submit => sub {
        my ($attr) = @_;
        return [refused => code => 6, step => 6, text => "template 'x' is not configured; there are: app, report"]
            if ($attr->{template} || '') eq 'x';
        $label{ $attr->{id} } = $attr->{label};
        return [accepted => id => $attr->{id}, state => 1] if ($attr->{reply} || 1) < 2;
        return job_message($attr, $attr->{label});
    },
    wait => sub {
        my ($attr) = @_;
        my $label = $label{ $attr->{id} } || '';
        return [job => id => $attr->{id}, state => 4, queue => 'q', argv => ['/bin/true'], outcome => 1, exit_code => 0]
            if $label eq 'program';
        if ($label eq 'slow') {
            select undef, undef, undef, $attr->{wait_ms} / 1000;
            return [refused => code => 13, step => 4, text => 'late'];
        }
        return job_message($attr, $label);
    },
    get => sub {
        my ($attr) = @_;
        my $label = $label{ $attr->{id} } || '';
        my @job = (id => $attr->{id}, state => 3, queue => 'q', function => 'My::Report::build');
        return [job => @job] if $label eq 'slow' || !$looks{$label}++;
        return [job => @job, progress => [ '3', '10', "r\xc3\xb6w 3" ]] if $label eq 'one';
        return [job => @job, progress => [ '0.5', '', '' ]];
    },
);
my $spawn = $broker->connection;

# Both ways to a result.
sub both {
    my ($what, $code) = @_;
    my $job = $spawn->spawn_call('My::Report::build', [], label => $what);
    $code->('result', sub { return $job->result(5) });
    $code->('call', sub { return $spawn->call('My::Report::build', [], label => $what) });
    return;
}

# values and contexts
both(one => sub { my ($way, $get) = @_; is scalar $get->(), 42, "$way: a scalar" });
both(one => sub { my ($way, $get) = @_; is_deeply [ $get->() ], [42], "$way: a list of one" });
both(three => sub { my ($way, $get) = @_; is_deeply [ $get->() ], [ 1, 'two', "\x{2603}" ], "$way: a list" });
both(three => sub { my ($way, $get) = @_; is scalar $get->(), "\x{2603}", "$way: the last of a list" });
both(none_returned => sub { my ($way, $get) = @_; is_deeply [ $get->() ], [], "$way: an empty list" });
both(none_returned => sub { my ($way, $get) = @_; is scalar $get->(), undef, "$way: of it nothing" });
both(undef => sub { my ($way, $get) = @_; is_deeply [ $get->() ], [undef], "$way: undef" });
both(nested => sub {
    my ($way, $get) = @_;
    is_deeply [ $get->() ], [ { a => [ 1, { b => undef } ] }, [2] ], "$way: nested data";
});
both(one => sub { my ($way, $get) = @_; $get->(); pass "$way: in no context" });
both(timed_out_returned => sub { my ($way, $get) = @_; is scalar $get->(), 'just', "$way: returned in time" });
my ($first, $second) = $spawn->call('My::Report::build', [], label => 'three');
is "$first $second", '1 two', 'a list assignment';
my %copy = (value => scalar $spawn->call('My::Report::build', [], label => 'one'), other => 1);
is_deeply \%copy, { value => 42, other => 1 }, 'within a list';

# the error that it threw
both(string => sub {
    my ($way, $get) = @_;
    ok !eval { $get->(); 1 }, "$way: throws";
    is $@, "no such customer at /srv/Report.pm line 3.\n", "$way: the same string";
});
both(wide => sub { my ($way, $get) = @_; eval { $get->() }; is $@, "no \x{2603}\n", "$way: a wide string" });
both(data => sub {
    my ($way, $get) = @_;
    eval { $get->() };
    is_deeply $@, { code => 404, list => [1] }, "$way: plain data";
    is ref $@, 'HASH', "$way: without a class";
});
both(list_data => sub { my ($way, $get) = @_; eval { $get->() }; is_deeply $@, [ 1, 2 ], "$way: an array" });
both(error => sub {
    my ($way, $get) = @_;
    eval { $get->() };
    my $error = $@;
    isa_ok $error, 'Apache2::Spawn::Error';
    is $error->code, 'call_failed', "$way: code";
    is $error->message, 'My::Report::build died with an object of class My::Error: too hot', "$way: text";
    is_deeply $error->exception, { text => "too hot\n", class => 'My::Error', data => { degrees => 451 } },
        "$way: exception";
    isa_ok $error->job, 'Apache2::Spawn::Job';
    like "$error", qr/too hot \(call_failed\) at \Q$0\E line \d+\.\n\z/, "$way: as text";
});

# a step that its runner could not do
for my $case (
    [ unknown_function => 'invalid', 'no function A::b in template app' ],
    [ unsendable => 'not_sendable', 'return value [0] is a handle' ],
) {
    my ($what, $code, $text) = @{$case};
    both($what => sub {
        my ($way, $get) = @_;
        eval { $get->() };
        is $@->code, $code, "$what, $way: code";
        is $@->step, 'template', "$what, $way: step";
        is $@->message, $text, "$what, $way: text";
        isa_ok $@->job, 'Apache2::Spawn::Job';
    });
}

# ended without a result
for my $case (
    [ exited => 'call_failed', 'My::Report::build ended its process, exit code 3, before it returned' ],
    [ exited_0 => 'call_failed', 'My::Report::build ended its process, exit code 0, before it returned' ],
    [ orphaned => 'call_failed',
        'My::Report::build ended its process, exit code 0, and has no result: its spawner was killed' ],
    [ signalled => 'call_failed', 'My::Report::build was ended by signal 11 (SEGV), core dumped' ],
    [ killed => 'call_failed', 'My::Report::build was ended by signal 9 (KILL)' ],
    [ timed_out => 'timed_out', 'My::Report::build did not return within its timeout and was ended: signal 9 (KILL)' ],
    [ cancelled => 'call_failed', 'My::Report::build was cancelled: signal 15 (TERM)' ],
    [ cancelled_queued => 'call_failed', 'My::Report::build was cancelled' ],
    [ lost => 'call_failed', 'My::Report::build has no result: lost: the machine was restarted' ],
    [ unknown => 'call_failed', 'My::Report::build has no result: its exit code is unknown' ],
    [ gone => 'output_gone', 'the result of My::Report::build is not kept any more' ],
    [ not_started => 'start_failed',
        "My::Report::build could not be started: template 'report': My/Report.pm: syntax error" ],
) {
    my ($what, $code, $text) = @{$case};
    both($what => sub {
        my ($way, $get) = @_;
        eval { $get->() };
        my $error = $@;
        isa_ok $error, 'Apache2::Spawn::Error' or return diag $error;
        is $error->code, $code, "$what, $way: code";
        is $error->message, $text, "$what, $way: text";
        is $error->step, $what eq 'not_started' ? 'template' : $what eq 'gone' ? 'receive' : 'none', "$what, $way: step";
        is $error->exception, undef, "$what, $way: no exception";
        isa_ok $error->job, 'Apache2::Spawn::Job';
    });
}
both(timed_out_died => sub {
    my ($way, $get) = @_;
    eval { $get->() };
    is $@->code, 'timed_out', "$way: a timeout that the function died of";
    is $@->exception->{text}, "TERM\n", "$way: what it died with";
});
for my $what (qw(garbage no_list)) {
    both($what => sub {
        my ($way, $get) = @_;
        eval { $get->() };
        is $@->code, 'protocol', "$what, $way: code";
        like $@->message, qr/\Athe result (?:cannot be read: |is not a list)/, "$what, $way: text";
    });
}

# objects
both(object => sub {
    my ($way, $get) = @_;
    eval { $get->() };
    is $@->code, 'not_sendable', "$way: an object that was not asked for" or diag $@;
    like $@->message, qr/result has objects in it, which are taken with objects => 1 only/, "$way: text";
});
my $object = $spawn->call('My::Report::build', [], label => 'object', objects => 1);
isa_ok $object, 'My::Object';
my $asked = $spawn->spawn_call('My::Report::build', [], label => 'object', objects => 1);
isa_ok scalar $asked->result, 'My::Object', 'a job that may have them';
my $found = $spawn->job($asked->id);
ok !eval { $found->result; 1 }, 'a handle that does not know of it';
isa_ok scalar $found->result(5, objects => 1), 'My::Object', 'but is told';
isa_ok scalar $found->result(undef, objects => 1), 'My::Object', 'without a limit';
ok !eval { $asked->result(5, objects => 0); 1 }, 'and told not to';

# waiting
my $slow = $spawn->spawn_call('My::Report::build', [], label => 'slow');
eval { $slow->result(0.05) };
is $@->code, 'timed_out', 'not done in time';
is $@->message, 'the job has not ended within 0.05 s; it goes on', 'text';
is $@->job->id, $slow->id, 'job';
eval { $slow->result(0) };
is $@->code, 'timed_out', 'a look';
for my $case (
    [ ['x'], 'invalid', qr/result: 'x' is not allowed; wanted: seconds/ ],
    [ [-1], 'invalid', qr/result: '-1'/ ],
    [ [ 1, 'objects' ], 'invalid', qr/result: wanted: seconds, then options in pairs/ ],
    [ [ 1, timeout => 3 ], 'unknown_option', qr/result: there is no option 'timeout'/ ],
    [ [ 1, objects => 3 ], 'invalid', qr/objects: '3'/ ],
) {
    eval { $slow->result(@{ $case->[0] }) };
    is $@->code, $case->[1], "result(@{ $case->[0] })";
    like $@->message, $case->[2], 'text';
}
my $program = $spawn->spawn(['/bin/true'], label => 'program');
eval { $program->result };
is $@->code, 'invalid', 'a program';
like $@->message, qr/this job is a program, which returns nothing; wait gives its exit code/, 'text';

# a template that is not there
eval { $spawn->call('My::Report::build', [], template => 'x') };
is $@->code, 'invalid', 'an unknown template';
is $@->step, 'check', 'step';
like $@->message, qr/there are: app, report/, 'text';

# progress
my $job = $spawn->spawn_call('My::Report::build', [], label => 'one');
is $job->progress, undef, 'no progress yet';
is_deeply $job->progress, { done => 3, of => 10, text => "r\x{f6}w 3" }, 'progress';
is $job->status->function, 'My::Report::build', 'function';
is $job->status->progress->{done}, 3, 'progress of the status';
is $job->status->result_kind, undef, 'no result yet';
is $job->status->argv, undef, 'no argv';
my $other = $spawn->spawn_call('My::Report::build', [], label => 'three');
$other->progress;
is_deeply $other->progress, { done => 0.5, of => undef, text => undef }, 'progress without a number to come to';

# the result object
is $job->wait(5)->result_kind, 'returned', 'result_kind';
ok $job->wait(5)->ok, 'ok';
my $bad = $spawn->spawn_call('My::Report::build', [], label => 'string')->wait(5);
is $bad->result_kind, 'died', 'died';
ok !$bad->ok, 'not ok';
my $left = $spawn->spawn_call('My::Report::build', [], label => 'exited_0')->wait(5);
is $left->result_kind, 'none', 'none';
ok !$left->ok, 'not ok either, with exit code 0';

# nothing is touched
{
    local $@ = 'before';
    local $! = 5;
    my $value = $spawn->call('My::Report::build', [], label => 'one');
    is $@, 'before', 'eval error';
    is $! + 0, 5, 'errno';
}
$spawn->call('My::Report::build', [], label => 'one') for 1 .. 3;
my @many = map { scalar $spawn->call('My::Report::build', [ 1 .. 100 ], label => 'one') } 1 .. 50;
is_deeply \@many, [ (42) x 50 ], 'fifty within a list';

done_testing;
