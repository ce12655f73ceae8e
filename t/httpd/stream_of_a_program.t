#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# $r->spawn_stream: the client gets what the program writes while it runs, all of it; when
# the client goes, the program is ended; what could not be started has sent nothing.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use IO::Select ();
use IO::Socket::INET ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Gate ();

my $package = <<'END';
package MyStream;
use strict;
use warnings;
sub stream {
    my ($r, @job) = @_;
    local ($?, $!) = (77, 5);
    my $res = eval { $r->spawn_stream(@job, timeout => 300) };
    warn 'streamed: ', $res ? join(' ', $res->outcome, $res->status, $? + 0, $! + 0) : ref $@ ? $@->code : $@, "\n";
    return $res;
}
sub slow {
    my ($r) = @_;
    stream($r, [ '/bin/sh', '-c', 'echo first; echo err >&2; read x <"$1"; echo second; exit 3', 'sh', $r->dir_config('Gate') ], content_type => 'text/x-slow');
    return 0;
}
sub large { my ($r) = @_; stream($r, [ 'head', '-c', 5_000_000, '/dev/zero' ]); return 0 }
sub endless { my ($r) = @_; stream($r, ['yes']); return 0 }
sub missing {
    my ($r) = @_;
    $r->content_type('text/plain');
    stream($r, ['/nowhere/x'], content_type => 'text/x-never') or $r->print('an error page');
    return 0;
}
1;
END

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm);
        my $gate = SpawnTest::Gate->new($httpd, 'slow');
        $httpd->file('../perl/MyStream.pm', $package);
        $httpd->{conf} = join "\n", 'PerlModule MyStream', 'PerlSetVar Gate ' . $gate->path,
            map { ("<Location /$_>", 'SetHandler modperl', "PerlResponseHandler MyStream::$_", '</Location>') }
            qw(slow large endless missing);
        $httpd->start;
        my $asked = sub {
            my ($path) = @_;
            my $client = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $httpd->port) or die "connect: $!\n";
            print {$client} "GET $path HTTP/1.0\r\n\r\n";
            return $client;
        };
        my $client = $asked->('/slow');
        my $said = '';
        while ($said !~ /first\n/) {
            IO::Select->new($client)->can_read(60) && sysread $client, $said, 4096, length $said or last;
        }
        like $said, qr/\r\n\r\nfirst\n\z/, 'the client has the first line while the program runs';
        like $said, qr/^Content-Type: text\/x-slow\r$/mi, '... with the content type';
        $gate->let;
        $said = do { local $/ = undef; <$client> };
        is $said, "second\n", '... and the rest';
        ok $httpd->wait_for_log(qr/^streamed: exited 768 77 5$/m), 'the handler has the result; $? and $! are left alone';
        like $httpd->error_log, qr/\berr$/m, 'stderr is in the error log';

        is length $httpd->get('/large')->{content}, 5_000_000, 'much is whole';

        $client = $asked->('/endless');
        sysread $client, $said, 4096;
        close $client;
        # by TERM, or by its next write to the pipe, before or after the TERM was asked for
        ok $httpd->wait_for_log(qr/^streamed: (?:cancelled 1[35]|signalled 13) 77 5$/m, 60), 'when the client goes, the program is ended';

        my $missing = $httpd->get('/missing');
        is $missing->{content}, 'an error page', 'a program that is not there: nothing was sent';
        is $missing->{headers}{'content-type'}, 'text/plain', '... and no content type set';
        like $httpd->error_log, qr/^streamed: start_failed$/m, '... and the error is thrown';
    }
);
done_testing;
