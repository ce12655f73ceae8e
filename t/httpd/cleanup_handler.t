#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SpawnCleanupHandler: the handlers of a request run as a job when it has
# ended, in their order, with a request that can be read as mod_perl's; in all
# places of the configuration.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use HTTP::Tiny ();
use JSON::PP ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);

my $json = JSON::PP->new->utf8;

sub ran {
    my ($httpd) = @_;
    open my $in, '<', $httpd->work . '/ran' or return;
    return map { $json->decode($_) } <$in>;
}

# The lines that a GET leaves: so many, and none of an earlier one.
sub left {
    my ($httpd, $path, $count, %headers) = @_;
    unlink $httpd->work . '/ran';
    my $answer = HTTP::Tiny->new(timeout => 60, keep_alive => 0)->get(
        $path =~ /^http/ ? $path : $httpd->url($path), { headers => \%headers });
    wait_until(sub { my @ran = ran($httpd); return @ran >= $count }, 30);
    my @ran = ran($httpd);
    is scalar @ran, $count, "$path leaves $count" or diag explain \@ran;
    return ($answer, @ran);
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm);
        my $dir = $httpd->dir;
        my $ran = $httpd->work . '/ran';
        mkdir "$dir/htdocs/$_" or die "mkdir: $!\n" for qw(plain access);
        $httpd->file('../htdocs/plain/page.html', 'a page');
        $httpd->file('../htdocs/access/page.html', 'a page');
        $httpd->file('../htdocs/access/.htaccess',
            "SpawnCleanupHandler SpawnTest::Handled::second SpawnTest::Handled::third\n");
        $httpd->{conf} = <<"END";
SpawnTemplate app exec preload=SpawnTest::Handled inc=$dir/perl
PerlModule SpawnTest::OwnLog SpawnTest::Handled
PerlSetVar Ran $ran
SpawnCleanupHandler SpawnTest::Handled::reads
<Location /do>
    SpawnCleanupHandler none
</Location>
<Directory $dir/htdocs>
    AllowOverride FileInfo
    Require all granted
</Directory>
<LocationMatch ^/(all|stack|err|write)>
    SetHandler modperl
    PerlResponseHandler SpawnTest::Handled::answer
</LocationMatch>
<Location /all>
    SpawnCleanupHandler SpawnTest::Handled
</Location>
<Location /stack>
    SpawnCleanupHandler SpawnTest::Handled::second SpawnTest::Handled::dies
    SpawnCleanupHandler SpawnTest::Handled->by_method
</Location>
<Location /write>
    SpawnCleanupHandler SpawnTest::Handled::writes SpawnTest::Handled::reads
</Location>
<Location /own-log>
    PerlLogHandler SpawnTest::OwnLog
    SpawnCleanupHandler SpawnTest::Handled::second
</Location>
<Location /forbidden>
    Require all denied
    SpawnCleanupHandler SpawnTest::Handled
</Location>
<Location /missing-module>
    SpawnCleanupHandler My::Not::There
</Location>
ErrorDocument 403 /err
END
        $httpd->file('../perl/SpawnTest/OwnLog.pm', <<'END');
package SpawnTest::OwnLog;
use Apache2::Log ();
sub handler { $_[0]->log->warn('own log handler'); return 0 }
1;
END
        $httpd->start;

        my (undef, $all) = left($httpd, '/all/thing?a=1', 1, 'User-Agent' => 'tester');
        is $all->{who}, 'handler', 'a module';
        my %want = (
            isa => 1, method => 'GET', uri => '/all/thing', unparsed_uri => '/all/thing?a=1', args => 'a=1',
            status => 200, bytes_sent => 1000, protocol => 'HTTP/1.1',
            the_request => 'GET /all/thing?a=1 HTTP/1.1', content_type => 'text/plain', hostname => '127.0.0.1',
            get_server_name => '127.0.0.1', get_server_port => $httpd->port, agent => 'tester',
            agent_of_hash => 'tester', err => 'e', note => 'in the request', env => 'of the request',
            ip => '127.0.0.1', aborted => 0, user => undef,
        );
        is_deeply { map { $_ => $all->{$_} } keys %want }, \%want, 'what it reads of the request'
            or diag explain $all;
        is_deeply $all->{cookies}, [qw(n=1 n=2)], 'a header that stands twice';
        is_deeply $all->{pnote}, { a => [ 1, 2 ] }, 'pnotes';
        cmp_ok abs($all->{request_time} - time), '<', 60, 'request_time';
        ok !(grep { $_ == $all->{pid} } $httpd->children), 'in a process of its own';

        my (undef, $objects) = left($httpd, '/all/?objects', 1);
        is_deeply $objects->{pnotes}, ['plain'], 'what cannot be sent is left out';
        ok $httpd->wait_for_log(qr/pnotes 'object' is left out/), 'and the log says so';

        my (undef, @stack) = left($httpd, '/stack', 2);
        is_deeply [ map { $_->{who} } @stack ], [ 'second', 'SpawnTest::Handled->by_method' ],
            'stacked ones run in order, past one that dies';
        is $stack[0]{pid}, $stack[1]{pid}, 'in one process';
        ok $httpd->wait_for_log(qr/SpawnCleanupHandler SpawnTest::Handled::dies: handler says no/),
            'which the log names';

        my (undef, @write) = left($httpd, '/write', 2);
        my $said = $write[0]{said};
        like $said->{status}, qr/^\$r->status cannot be set: the answer has been sent/, 'no setting';
        like $said->{$_}, qr/cannot be changed/, "nor of a table: $_" for qw(headers hash);
        like $said->{print}, qr/^\$r->print: the answer has been sent/, 'no output';
        like $said->{pool}, qr/^\$r->pool stays in httpd/, 'no pool';
        like $said->{unknown}, qr/^\$r->colour is not known/, 'nothing unknown';
        is $write[1]{handed}, 'over', 'but pnotes for the next one';
        ok $httpd->wait_for_log(qr/job \S+ .*error: a line of the error log/), 'and the log';

        my ($page, $plain) = left($httpd, '/plain/page.html', 1);
        is $plain->{who}, 'reads', "the server's, for a plain file";
        my (undef, @access) = left($httpd, '/access/page.html', 2);
        is_deeply [ map { $_->{who} } @access ], [qw(second third)], "an .htaccess's in its place";
        my ($none) = left($httpd, '/do/pid', 0);
        ok $none->{success}, 'none';

        my ($forbidden, $error) = left($httpd, '/forbidden', 1);
        is $forbidden->{status}, 403, 'an error';
        is $error->{status}, 403, 'with its status';
        is $error->{uri}, '/forbidden', 'and the URI that was asked for';
        is $error->{bytes_sent}, 1000, 'and the bytes of the ErrorDocument';

        my (undef, $own) = left($httpd, '/own-log', 1);
        is $own->{who}, 'second', 'beside a PerlLogHandler';
        like $httpd->error_log, qr/own log handler/, 'which runs too';

        left($httpd, '/missing-module', 0);
        ok $httpd->wait_for_log(qr/SpawnCleanupHandler My::Not::There: Can't locate/),
            'a module that is not there is in the log';
        like $httpd->error_log, qr/\A(?!.*(?:exit signal|Segmentation))/s, 'no child died';
    }
);
done_testing;
