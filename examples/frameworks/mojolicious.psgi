# SPDX-License-Identifier: Apache-2.0
#
# A Mojolicious application whose work is done in jobs.

package Example::Mojolicious;

use strict;
use warnings;

use Mojolicious::Lite;
use Example::Work ();
use Plack::Builder ();

# what the middleware gives
helper jobs => sub { my ($c) = @_; return $c->req->env->{'psgix.spawn'} };

# a function in a process of its own, which is waited for
get '/total/:one/:other' => sub {
    my ($c) = @_;
    my @numbers = ($c->param('one'), $c->param('other'));
    $c->render(json => { total => $c->jobs->call('Example::Work::total', \@numbers, timeout => 30) });
};

# a job that goes on; the page asks for its status
post '/report/:month' => sub {
    my ($c) = @_;
    my $job = $c->jobs->spawn_call('Example::Work::report', [ $c->param('month') ], label => 'report');
    $c->render(status => 202, json => { job => $job->id, status => $c->url_for('/job/' . $job->id)->to_abs });
};

get '/job/:id' => sub {
    my ($c) = @_;
    my $status = Example::Work::status_of($c->jobs, $c->param('id'));
    return $c->render(json => { state => $status->state, progress => $status->progress, outcome => $status->outcome }) if $status;
    $c->render(status => 404, json => { error => 'no such job' });
};

# what is done when the client has its answer
get '/thanks/:name' => sub {
    my ($c) = @_;
    my $name = $c->param('name');
    push @{ $c->req->env->{'psgix.cleanup.handlers'} }, [ 'Example::Work::note', ["mojolicious $name"] ];
    $c->render(json => { thanks => $name });
};

app->secrets(['of this example']);
my $app = app->start('psgi');
Plack::Builder::builder {
    Plack::Builder::enable('Spawn');
    $app;
};
