#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A request whose line has a whole URI, as for a proxy: SpawnCleanupHandler gets
# it as every other handler has it, and making the copy does not change it for
# those that come after (mod_perl's proxyreq does, when it is read).

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::AfterHttpd;

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::AfterHttpd->new(mpm => $mpm, perl => <<'PERL');
package My::Later;
sub handler { my ($r) = @_; $r->log_error('later: ' . $r->uri . ' ' . ($r->filename =~ /proxy/ ? 'proxy' : 'file')); return -1 }
PERL
        my $ran = $httpd->work . '/ran';
        $httpd->{conf} .= <<"END";
PerlModule SpawnTest::Handled
PerlModule Apache2::Log
PerlSetVar Ran $ran
<Location /x>
    SetHandler modperl
    PerlResponseHandler SpawnTest::Handled::answer
    PerlCleanupHandler My::Later
    SpawnCleanupHandler SpawnTest::Handled
</Location>
END
        $httpd->start;
        my $client = $httpd->client;
        print {$client} "GET http://elsewhere.example/x/1?a=1 HTTP/1.1\r\nHost: elsewhere.example\r\nConnection: close\r\n\r\n";
        is $httpd->read_answer($client)->{status}, 200, 'a request with a whole URI';
        ok $httpd->wait_for_ran(1), 'leaves its handler';
        my $seen = JSON::PP->new->decode(($httpd->ran)[0]);
        is $seen->{uri}, '/x/1', 'uri';
        is $seen->{unparsed_uri}, 'http://elsewhere.example/x/1?a=1', 'unparsed_uri';
        is $seen->{args}, 'a=1', 'args';
        unlike $seen->{filename}, qr/proxy/, 'filename';
        ok $httpd->wait_for_log(qr{later: (\S+ \S+)}), 'a handler after it';
        like $httpd->error_log, qr{later: /x/1 file}, '... has it as it was';
    }
);
done_testing;
