#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# until => 'request': the job runs as long as its request does, and is ended then, with TERM
# and after its grace KILL; also when the client has gone, or the httpd child is killed.
# Other jobs stay.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use IO::Socket::INET ();
use JSON::PP ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Gate ();

my $package = <<'END';
package My::Until;
use strict;
use warnings;
use Apache2::Response ();
use Apache2::Spawn ();
use JSON::PP ();
my @sleep = ([qw(/bin/sleep 600)], reply => 'started');
my @until = (until => 'request');
sub wait_here { my ($r) = @_; open my $gate, '<', $r->dir_config('Gate') or die $!; readline $gate; return }
sub begin { my ($r, @ids) = @_; $r->content_type('text/plain'); $r->print("@ids\n"); $r->rflush; return }
sub kinds {
    my ($r) = @_;
    my $code = 'My::Until::sleeps';
    begin($r, map { $_->id } $r->spawn(@sleep, @until), Apache2::Spawn->spawn(@sleep, @until),
        $r->spawn_call($code, [], @until, reply => 'started'), Apache2::Spawn->spawn_call($code, [], @until, reply => 'started'),
        $r->spawn_pipe([qw(/bin/sleep 600)], @until)->job, $r->spawn(@sleep),
        $r->spawn(['/bin/true'], @until)->wait(60)->job);
    wait_here($r);
    return 0;
}
sub sleeps { sleep 600; return }
sub stubborn {
    my ($r) = @_;
    my $pipe = $r->spawn_pipe([ '/bin/sh', '-c', 'trap "" TERM; echo; while :; do sleep 1; done' ], @until, grace => '300ms');
    readline $pipe->out;
    begin($r, $pipe->job->id);
    return 0;
}
sub endless {
    my ($r) = @_;
    begin($r, $r->spawn(@sleep, @until)->id);
    while (eval { $r->print('x' x 8192); $r->rflush; 1 } && !$r->connection->aborted) { }
    return 0;
}
sub killed { my ($r) = @_; begin($r, $r->spawn(@sleep, @until)->id, $$); wait_here($r); return 0 }
# a part of a request, and a request that was redirected: the client's counts
sub inner { my ($r) = @_; $r->main || $r->prev; begin($r, $r->spawn(@sleep, @until)->id); return 0 }
sub outer {
    my ($r) = @_;
    require Apache2::SubRequest;
    $r->content_type('text/plain');
    $r->lookup_uri('/inner')->run;
    $r->rflush;
    wait_here($r);
    return 0;
}
sub quick { my ($r) = @_; my $id = $r->spawn(@sleep, @until)->id; $r->content_type('text/plain'); $r->set_content_length(length $id); $r->print($id); return 0 }
END

sub asked {
    my ($httpd, $path, $version) = @_;
    my $client = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $httpd->port) or die "connect: $!\n";
    print {$client} "GET $path HTTP/", $version || '1.0', "\r\nHost: localhost\r\n\r\n";
    return $client;
}

# The first line behind the header.
sub first_line {
    my ($client) = @_;
    while (my $line = <$client>) {
        last if $line eq "\r\n";
    }
    chomp(my $line = <$client>);
    return split ' ', $line;
}

sub rest { my ($client) = @_; local $/ = undef; return scalar <$client> }

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, perl => "use JSON::PP ();\n${package}1;\n");
        my $gate = SpawnTest::Gate->new($httpd, 'a');
        $httpd->{conf} = join "\n", 'KeepAlive On', 'PerlSetVar Gate ' . $gate->path,
            map { ("<Location /$_>", 'SetHandler perl-script', "PerlResponseHandler My::Until::$_", '</Location>') }
            qw(kinds stubborn endless killed inner outer quick);
        $httpd->start;

        my $client = asked($httpd, '/kinds');
        my @ids = first_line($client);
        is_deeply [ map { $httpd->status($_)->{state} } @ids ], [ ('running') x 6, 'done' ], 'while the request goes they run';
        $gate->let;
        rest($client);
        my @ends = map { $httpd->wait($_) } @ids[ 0 .. 4 ];
        is_deeply [ map { $_->{outcome} } @ends ], [ ('cancelled') x 5 ], 'when it has ended they are ended';
        is_deeply [ map { $_->{signal} } @ends ], [ (15) x 5 ], '... by TERM';
        is_deeply [ map { $_->{message} } @ends ],
            [ ('the request that it is bound to has ended, or its caller has gone') x 5 ], '... and say why';
        is $httpd->status($ids[5])->{state}, 'running', 'one that is not bound runs on';
        is $httpd->status($ids[6])->{outcome}, 'exited', 'one that had ended stays as it was';
        $httpd->do('kill', id => $ids[5]);

        my ($stubborn) = split ' ', $httpd->get('/stubborn')->{content};
        is $httpd->wait($stubborn)->{signal}, 9, 'one that ignores TERM is killed after its grace';

        $client = asked($httpd, '/endless');
        my ($endless) = first_line($client);
        is $httpd->status($endless)->{state}, 'running', 'a client that takes what it gets';
        close $client;
        is $httpd->wait($endless)->{outcome}, 'cancelled', '... when it goes, and httpd sees that, the job is ended';

        $client = asked($httpd, '/killed');
        my ($killed, $child) = first_line($client);
        kill KILL => $child or die "kill $child: $!\n";
        wait_until(sub { return !grep { $_ == $child } $httpd->children }, 30);
        is $httpd->wait($killed)->{outcome}, 'cancelled', 'when the httpd child is killed, the job is ended';
        close $client;

        $client = asked($httpd, '/outer');
        my ($inner) = first_line($client);
        is $httpd->status($inner)->{state}, 'running', 'one of a subrequest runs on with the client\'s request';
        $gate->let;
        rest($client);
        is $httpd->wait($inner)->{outcome}, 'cancelled', '... and ends with it';

        $client = asked($httpd, '/quick', '1.1');
        my ($header, $quick) = ('', '');
        while (defined(my $line = <$client>)) {
            last if $line eq "\r\n";
            $header .= $line;
        }
        read $client, $quick, 36;
        unlike $header, qr/^Connection: close/mi, 'a connection that is kept';
        is $httpd->wait($quick)->{outcome}, 'cancelled', '... holds no job of a request before';
        close $client;
    }
);
done_testing;
