#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SpawnCleanupHandler runs once for each request of a client, however that one
# ends: answered, failed, given up by its client, redirected within httpd; with
# what the client asked for and got. A subrequest is part of its request.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::AfterHttpd;

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::AfterHttpd->new(mpm => $mpm, perl => <<'PERL');
package My::Ends;
sub fails { return 503 }
sub dies { die "the handler says no\n" }
PERL
        my $ran = $httpd->work . '/ran';
        $httpd->{conf} .= <<"END";
PerlModule SpawnTest::Handled
PerlSetVar Ran $ran
<LocationMatch ^/(after|dies)>
    SpawnCleanupHandler SpawnTest::Handled
</LocationMatch>
<LocationMatch ^/(target|part|fails)>
    SpawnCleanupHandler SpawnTest::Handled::second
</LocationMatch>
<Location /fails>
    SetHandler modperl
    PerlResponseHandler My::Ends::fails
</Location>
<Location /dies>
    SetHandler modperl
    PerlResponseHandler My::Ends::dies
</Location>
END
        $httpd->start;

        # a job after it: when that has run, all that came before has been posted
        my $count = 0;
        my $left = sub {
            my ($name, %want) = @_;
            ok $httpd->wait_for_ran(++$count), "$name: it runs";
            my %seen = %{ JSON::PP->new->decode(($httpd->ran)[-1]) };
            return is_deeply { map { $_ => $seen{$_} } keys %want }, \%want, '... with what the client asked for and got'
                || diag explain \%seen;
        };
        my %whole = (who => 'handler', uri => '/after', status => 200, aborted => 0);

        $httpd->after;
        $left->('answered', %whole);
        $httpd->after(status => 404);
        $left->('an error', %whole, status => 404);
        is $httpd->get('/dies')->{status}, 500, 'a handler that dies';
        $left->('dies', %whole, uri => '/dies', status => 500);
        $httpd->after(redirect => '/target');
        $left->('redirected', %whole);
        my $client = $httpd->client;
        print {$client} $httpd->request_text({ redirect => '/fails' });
        is $httpd->read_answer($client)->{status}, 503, 'redirected to what fails';
        $left->('redirected to what fails', %whole, status => 503);
        $httpd->after(include => '/part');
        $left->('with a subrequest', %whole);

        # given up: while the handler runs, and while the answer is written; that
        # its handler may fail then, and make an error of it, is not looked at
        delete $whole{status};
        my $gate = SpawnTest::Gate->new($httpd, 'handler');
        $client = $httpd->client;
        print {$client} $httpd->request_text({ size => 20_000_000, gate => $gate->path });
        close $client;
        $gate->let;
        $left->('given up before the answer', %whole, aborted => 1);
        $client = $httpd->client(buffer => 4096);
        print {$client} $httpd->request_text({ size => 20_000_000 });
        $httpd->read_answer($client, head_only => 1);
        close $client;
        $left->('given up in the answer', %whole, aborted => 1);

        $httpd->after(jobs => [ [ $httpd->note('last') ] ]);
        ok $httpd->wait_for_ran($count + 2), 'one more';
        my @ran = $httpd->ran;
        is scalar @ran, $count + 2, 'and none ran twice' or diag explain \@ran;
        is scalar(grep { /second/ } @ran), 0, 'nor by itself for a redirect or a subrequest';
    }
);
done_testing;
