# SPDX-License-Identifier: Apache-2.0
#
# The handler of the tests of work after the answer: POST /after with a JSON
# object that says which jobs the request leaves and what kind of answer it
# gives. Runs in httpd children, loaded in the parent.
#
#   jobs      [ [argv or function, args?, { options }], ... ]
#   count     so many times all of jobs
#   gate      waits at this named pipe when the jobs are registered
#   status    of the answer (200)
#   size      bytes of the answer's body beside the JSON text
#   redirect  the answer comes from there, by an internal redirect
#   include   a subrequest to there is run first
#   perl      the name of a function of the test's that is called with $r
#
# The answer is { ids => [...], errors => [...] } and then spaces.

package SpawnTest::After;

use strict;
use warnings;

use Apache2::Const -compile => qw(OK);
use Apache2::RequestIO ();
use Apache2::RequestRec ();
use Apache2::RequestUtil ();
use Apache2::SubRequest ();
use APR::Table ();
use JSON::PP ();

my $json = JSON::PP->new->utf8->canonical;

sub handler {
    my ($r) = @_;
    my $in = _arguments($r);
    my %out = (ids => [], errors => [], pid => $$);

    if (my $uri = $in->{include}) {
        $r->lookup_uri($uri)->run;
    }
    for (1 .. $in->{count} || 1) {
        _register($r, $_, \%out) for @{ $in->{jobs} || [] };
    }
    if (my $function = $in->{perl}) {
        no strict 'refs';
        &{$function}($r);
    }
    _wait_at($in->{gate}) if $in->{gate};
    if ($in->{redirect}) {
        $r->pnotes(ids => $json->encode(\%out));
        $r->internal_redirect($in->{redirect});
        return Apache2::Const::OK;
    }
    return _answer($r, $in, $json->encode(\%out));
}

# The target of a redirect.
sub target {
    my ($r) = @_;
    return _answer($r, {}, $r->prev->pnotes('ids'));
}

# A subrequest's handler: submits the one job of its arguments.
sub part {
    my ($r) = @_;
    my ($path) = ($r->args || '') =~ /^(.+)/;
    $r->spawn_cleanup(['/bin/sh', '-c', "echo part >>$path"]) if $path;
    return Apache2::Const::OK;
}

sub _register {
    my ($r, $job, $out) = @_;
    my @job = @{$job};
    my $options = ref $job[-1] eq 'HASH' ? pop @job : {};
    my %options = %{$options};
    if (defined(my $data = delete $options{stdin_data})) {
        $options{stdin} = \$data;
    }
    my $made = eval { $r->spawn_cleanup(@job, %options) };
    push @{ $out->{ids} }, $made ? $made->id : undef;
    push @{ $out->{errors} }, $made ? undef : { code => $@->code, text => "$@" };
    return;
}

sub _answer {
    my ($r, $in, $text) = @_;
    my $more = $in->{size} || 0;
    $r->status($in->{status}) if $in->{status};
    $r->content_type('application/json');
    $r->headers_out->set('Content-Length' => $more + length $text);
    $r->print($text);
    while ($more > 0) {
        my $part = $more < 65_536 ? $more : 65_536;
        $r->print(' ' x $part);
        $more -= $part;
    }
    return Apache2::Const::OK;
}

sub _wait_at {
    my ($path) = @_;
    open my $gate, '<', $path or die "$path: $!\n";
    my $line = <$gate>;
    return;
}

sub _arguments {
    my ($r) = @_;
    my $body = '';
    while ($r->read(my $part, 65_536)) {
        $body .= $part;
    }
    return $body eq '' ? {} : $json->decode($body);
}

1;
