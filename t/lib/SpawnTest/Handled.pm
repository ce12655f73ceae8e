# SPDX-License-Identifier: Apache-2.0
#
# Cleanup handlers for tests: each writes a line of JSON to the file that
# `PerlSetVar Ran` names. Runs in Perl jobs; `leave` in httpd children.

package SpawnTest::Handled;

use strict;
use warnings;

use Apache2::Const -compile => qw(OK DECLINED);
use Apache2::RequestRec ();
use Apache2::Spawn ();
use JSON::PP ();

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

sub note {
    my ($r, $fields) = @_;
    my $line = $json->encode({ pid => $$, uri => $r->uri, %{$fields} }) . "\n";
    open my $out, '>>', $r->dir_config('Ran') or die $r->dir_config('Ran') . ": $!\n";
    syswrite $out, $line;
    close $out or die "close: $!\n";
    return;
}

sub handler {
    my ($r) = @_;
    my $c = $r->connection;
    note($r, {
        who => 'handler',
        isa => $r->isa('Apache2::RequestRec') ? 1 : 0,
        (map { $_ => scalar $r->$_ } qw(method unparsed_uri args filename status bytes_sent user
            auth_type hostname get_server_name get_server_port request_time protocol the_request content_type)),
        agent => scalar $r->headers_in->get('User-Agent'),
        agent_of_hash => $r->headers_in->{'user-agent'},
        cookies => [ $r->headers_out->get('Set-Cookie') ],
        err => scalar $r->headers_out->get('X-Err'),
        note => scalar $r->notes->get('noted'),
        env => scalar $r->subprocess_env('FROM_ENV'),
        pnote => scalar $r->pnotes('plain'),
        pnotes => [ sort keys %{ $r->pnotes } ],
        ip => $c->remote_ip,
        aborted => $c->aborted,
        server => $r->server->server_hostname,
        job => Apache2::Spawn->job->id,
    });
    return Apache2::Const::OK;
}

sub second { my ($r) = @_; note($r, { who => 'second' }); return Apache2::Const::DECLINED }
sub third { my ($r) = @_; note($r, { who => 'third' }); return 500 }
sub dies { die "handler says no\n" }
sub by_method { my ($class, $r) = @_; note($r, { who => "$class->by_method" }); return 0 }

sub writes {
    my ($r) = @_;
    my %said;
    my %try = (
        status => sub { $r->status(404) },
        headers => sub { $r->headers_out->set(A => 1) },
        hash => sub { $r->headers_in->{A} = 1 },
        print => sub { $r->print('x') },
        pool => sub { $r->pool },
        unknown => sub { $r->colour },
    );
    for my $name (keys %try) {
        $said{$name} = eval { $try{$name}->(); 1 } ? 'nothing' : $@ =~ s/ at \S+ line.*//sr;
    }
    $r->pnotes(handed => 'over');
    $r->log_error('a line of the error log');
    note($r, { who => 'writes', said => \%said });
    return 0;
}

sub reads { my ($r) = @_; note($r, { who => 'reads', handed => $r->pnotes('handed') }); return 0 }

# A function of spawn_cleanup: what its job knows, as a line of the file.
sub about {
    my ($file, @arguments) = @_;
    my $job = Apache2::Spawn->job;
    open my $out, '>>', $file or die "$file: $!\n";
    syswrite $out, $json->encode({ id => $job->id, context => $job->context, arguments => \@arguments,
        list => wantarray }) . "\n";
    return;
}

# ---- the response ----

sub answer {
    my ($r) = @_;
    require Apache2::RequestIO;
    require Apache2::RequestUtil;
    require APR::Table;
    $r->notes->set(noted => 'in the request');
    $r->subprocess_env->set(FROM_ENV => 'of the request');
    $r->pnotes(plain => { a => [ 1, 2 ] });
    if (($r->args || '') =~ /objects/) {
        $r->pnotes(object => bless({}, 'My::Object'));
        $r->pnotes(code => sub { 1 });
    }
    $r->headers_out->add('Set-Cookie' => "n=$_") for 1, 2;
    $r->err_headers_out->set('X-Err' => 'e');
    $r->content_type('text/plain');
    $r->headers_out->set('Content-Length' => 1000);
    $r->print('x' x 1000);
    return 0;
}

1;
