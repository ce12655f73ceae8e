# SPDX-License-Identifier: Apache-2.0

package Example::Catalyst::Controller::Root;

use Moose;
use namespace::autoclean;

use Example::Work ();
use JSON::PP ();

BEGIN { extends 'Catalyst::Controller' }
__PACKAGE__->config(namespace => '');

# what the middleware gives
sub spawn { my ($self, $c) = @_; return $c->req->env->{'psgix.spawn'} }

sub answer {
    my ($self, $c, $data) = @_;
    $c->res->content_type('application/json');
    $c->res->body(JSON::PP->new->canonical->encode($data));
    return;
}

# a function in a process of its own, which is waited for
sub total :Local :Args(2) {
    my ($self, $c, @numbers) = @_;
    return $self->answer($c, { total => $self->spawn($c)->call('Example::Work::total', \@numbers, timeout => 30) });
}

# a job that goes on; the page asks for its status
sub report :Local :Args(1) {
    my ($self, $c, $month) = @_;
    my $job = $self->spawn($c)->spawn_call('Example::Work::report', [$month], label => 'report');
    $c->res->status(202);
    return $self->answer($c, { job => $job->id, status => $c->uri_for('/job', $job->id)->as_string });
}

sub job :Local :Args(1) {
    my ($self, $c, $id) = @_;
    my $status = Example::Work::status_of($self->spawn($c), $id);
    return $self->answer($c, { state => $status->state, progress => $status->progress, outcome => $status->outcome }) if $status;
    $c->res->status(404);
    return $self->answer($c, { error => 'no such job' });
}

# what is done when the client has its answer
sub thanks :Local :Args(1) {
    my ($self, $c, $name) = @_;
    push @{ $c->req->env->{'psgix.cleanup.handlers'} }, [ 'Example::Work::note', ["catalyst $name"] ];
    return $self->answer($c, { thanks => $name });
}

__PACKAGE__->meta->make_immutable;

1;
