# SPDX-License-Identifier: Apache-2.0
#
# The handler that httpd tests talk to: POST /do/ACTION with a JSON object of
# arguments; the answer is JSON, what the action returned or { error => ... }.
# So a test is data, and says what it does in its own file. Runs in httpd
# children, loaded in the parent.

package SpawnTest::Handlers;

use strict;
use warnings;

use Apache2::Const -compile => qw(OK NOT_FOUND);
use Apache2::RequestIO ();
use Apache2::RequestRec ();
use APR::Table ();
use JSON::PP ();
use Scalar::Util qw(blessed);

use SpawnTest::Plain qw(plain);

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

my %actions = (
    # the process that serves
    pid => sub { return { pid => $$ } },

    # spawn: argv, options -> id, and pid when it is known
    spawn => sub {
        my ($r, $in) = @_;
        return _made(Apache2::Spawn->spawn($in->{argv}, _options($in)));
    },

    # the same as a method of the request
    request_spawn => sub {
        my ($r, $in) = @_;
        return _made($r->spawn($in->{argv}, _options($in)));
    },

    # run: argv, options -> what came of it
    run => sub {
        my ($r, $in) = @_;
        return _result(Apache2::Spawn->run($in->{argv}, _options($in)));
    },

    # spawn_many: the same job count times, "%d" in its argv replaced by the
    # number -> ids in this order, undef with an entry of errors for a refusal
    spawn_many => sub {
        my ($r, $in) = @_;
        my (@ids, @errors);
        my $from = $in->{from} || 0;
        for my $n ($from .. $from + $in->{count} - 1) {
            my @argv = map { (my $word = $_) =~ s/%d/$n/; $word } @{ $in->{argv} };
            my $job = eval { Apache2::Spawn->spawn(\@argv, _options($in)) };
            push @ids, $job ? $job->id : undef;
            push @errors, _error($@) if !$job;
        }
        return { ids => \@ids, errors => \@errors };
    },

    status => sub {
        my ($r, $in) = @_;
        return plain(_job($in->{id})->status);
    },

    wait => sub {
        my ($r, $in) = @_;
        return _waited($in->{id}, $in->{seconds});
    },

    # ids, seconds for each -> what wait returned, in the order of ids
    wait_many => sub {
        my ($r, $in) = @_;
        return [
            map {
                my $id = $_;
                eval { _waited($id, $in->{seconds}) } || { error => _error($@) };
            } @{ $in->{ids} }
        ];
    },

    kill => sub {
        my ($r, $in) = @_;
        my $done = _job($in->{id})->kill(defined $in->{signal} ? $in->{signal} : 'TERM');
        return { done => $done ? 1 : 0 };
    },
);

sub handler {
    my ($r) = @_;
    my ($name) = $r->uri =~ m{([^/]+)\z};
    my $action = $actions{ defined $name ? $name : '' };
    return Apache2::Const::NOT_FOUND if !$action;

    my $answer = eval { $action->($r, _arguments($r)) } || { error => _error($@) };
    my $text = $json->encode($answer);
    $r->content_type('application/json');
    $r->headers_out->set('Content-Length' => length $text);
    $r->print($text);
    return Apache2::Const::OK;
}

sub _arguments {
    my ($r) = @_;
    my $body = '';
    while ($r->read(my $part, 65_536)) {
        $body .= $part;
    }
    return $body eq '' ? {} : $json->decode($body);
}

# JSON has no references: data for stdin comes as stdin_data.
sub _options {
    my ($in) = @_;
    my %options = %{ $in->{options} || {} };
    if (defined(my $data = delete $options{stdin_data})) {
        $options{stdin} = \$data;
    }
    return %options;
}

sub _job { return Apache2::Spawn->job($_[0]) }

sub _waited {
    my ($id, $seconds) = @_;
    my $end = _job($id)->wait($seconds);
    return $end ? plain($end) : { error => { code => 'timed_out', text => "not done: $id" } };
}

sub _made {
    my ($job) = @_;
    return { id => $job->id, pid => $job->pid };
}

sub _result {
    my ($res) = @_;
    return { %{ plain($res) }, map { $_ => plain(scalar $res->$_) }
            qw(ok exit_code signal stdout stderr elapsed rusage) };
}

sub _error {
    my ($error) = @_;
    return { code => 'not_ours', text => "$error" }
        if !blessed $error || !$error->isa('Apache2::Spawn::Error');
    return {
        code => $error->code,
        step => $error->step,
        errno => 0 + ($error->errno || 0),
        text => "$error",
        id => $error->job ? $error->job->id : undef,
    };
}

1;
