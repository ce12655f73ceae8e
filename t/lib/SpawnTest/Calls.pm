# SPDX-License-Identifier: Apache-2.0
#
# For tests of Perl functions: a handler that runs a piece of Perl in an httpd
# child and answers with what it gave, and the lines of httpd.conf that a test
# needs. The first part runs in test scripts, the handler in httpd children.

package SpawnTest::Calls;

use strict;
use warnings;

use Exporter qw(import);
use HTTP::Tiny ();
use IO::Socket::INET ();
use JSON::PP ();
use Scalar::Util qw(blessed);

use SpawnTest::Plain qw(plain);

our @EXPORT_OK = qw(each_template);

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

# ---- in test scripts ----

# The code, with each MPM and kind of template: what httpd forks from itself, which
# is there by default, with all of them, and an exec one with the first.
sub each_template {
    my ($code) = @_;
    my $first = 1;
    return SpawnTest::each_mpm(
        sub {
            my ($mpm) = @_;
            my @kinds = $first ? qw(parent exec) : 'parent';
            $first = 0;
            for my $kind (@kinds) {
                Test::More::subtest("template of kind $kind", sub { $code->($mpm, $kind) });
            }
        }
    );
}

# An httpd with a template "app" that has SpawnTest::Functions.
#   kind       parent or exec (the default)
#   templates  lines instead of that template
sub httpd {
    my ($class, %options) = @_;
    my $conf = delete $options{conf} || '';
    my $templates = delete $options{templates};
    my $kind = delete $options{kind} || 'exec';
    my $httpd = SpawnTest::Httpd->new(%options);
    my $inc = $httpd->dir . '/perl';
    $templates = "PerlModule SpawnTest::Functions\n" if !defined $templates && $kind eq 'parent';
    $templates = "SpawnTemplate app exec preload=SpawnTest::Functions inc=$inc\n" if !defined $templates;
    $templates =~ s/\@INC@/$inc/g;
    $httpd->{conf} = <<"END";
$templates
PerlModule SpawnTest::Calls
<Location /perl>
    SetHandler modperl
    PerlResponseHandler SpawnTest::Calls
</Location>
$conf
END
    return $httpd;
}

# Begins a request that runs the code with @_ (plain data) and $r: for answer.
sub ask {
    my ($class, $httpd, $code, @arguments) = @_;
    my $response = HTTP::Tiny->new(timeout => 120, keep_alive => 0)->post(
        $httpd->url('/perl'),
        { content => $json->encode([ $code, @arguments ]) });
    die "$code: $response->{status} $response->{content}\n" . $httpd->tail if !$response->{success};
    return $json->decode($response->{content});
}

# The same of a virtual host, by its name and a path.
sub ask_host {
    my ($class, $httpd, $host, $path, $code, @arguments) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $httpd->port) or die "connect: $!\n";
    my $body = $json->encode([ $code, @arguments ]);
    print {$socket} "POST $path HTTP/1.0\r\nHost: $host\r\nContent-Length: ", length $body, "\r\n\r\n$body";
    my $answer = do { local $/ = undef; readline $socket };
    die "$code: $answer\n" . $httpd->tail if $answer !~ /\r\n\r\n(.*)/s;
    return $json->decode($1);
}

# ---- in httpd's children ----

sub handler {
    my ($r) = @_;
    my $body = '';
    while ($r->read(my $part, 65_536)) {
        $body .= $part;
    }
    my ($code, @arguments) = @{ $json->decode($body) };
    my $sub = eval "package SpawnTest::Calls; sub { my \$r = shift; $code }"    ## no critic (ProhibitStringyEval)
        or die "$code: $@";
    my @values;
    my $answer = eval { @values = $sub->($r, @arguments); 1 } ? { values => plain(\@values) } : _error($@);
    my $text = $json->encode($answer);
    $r->content_type('application/json');
    $r->headers_out->set('Content-Length' => length $text);
    $r->print($text);
    return 0;
}

sub _error {
    my ($error) = @_;
    return { thrown => plain($error), string => ref $error ? undef : $error }
        if !blessed $error || !$error->isa('Apache2::Spawn::Error');
    return { error => {
        code => $error->code, step => $error->step, text => $error->message, exception => plain($error->exception),
        id => $error->job ? $error->job->id : undef,
    } };
}

1;
