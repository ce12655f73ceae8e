# SPDX-License-Identifier: Apache-2.0
#
# A Dancer2 application whose work is done in jobs.

package Example::Dancer2;

use strict;
use warnings;

use Dancer2;
use Example::Work ();
use Plack::Builder ();

set serializer => 'JSON';

# what the middleware gives
sub jobs { return request->env->{'psgix.spawn'} }

# a function in a process of its own, which is waited for
get '/total/:one/:other' => sub {
    my @numbers = (route_parameters->get('one'), route_parameters->get('other'));
    return { total => jobs()->call('Example::Work::total', \@numbers, timeout => 30) };
};

# a job that goes on; the page asks for its status
post '/report/:month' => sub {
    my $job = jobs()->spawn_call('Example::Work::report', [ route_parameters->get('month') ], label => 'report');
    status 202;
    return { job => $job->id, status => '' . uri_for('/job/' . $job->id) };
};

get '/job/:id' => sub {
    my $status = Example::Work::status_of(jobs(), route_parameters->get('id'));
    return { state => $status->state, progress => $status->progress, outcome => $status->outcome } if $status;
    status 404;
    return { error => 'no such job' };
};

# what is done when the client has its answer
get '/thanks/:name' => sub {
    my $name = route_parameters->get('name');
    push @{ request->env->{'psgix.cleanup.handlers'} }, [ 'Example::Work::note', ["dancer2 $name"] ];
    return { thanks => $name };
};

my $app = __PACKAGE__->to_app;
Plack::Builder::builder {
    Plack::Builder::enable('Spawn');
    $app;
};
