#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job with until => 'request', and a broker that is killed, or that answers late: the job
# outlives the broker and not the request.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use IO::Socket::INET ();
use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::Gate ();

my $package = <<'END';
package My::Until;
use strict;
use warnings;
use Apache2::Spawn ();
sub wait_here { my ($r) = @_; open my $gate, '<', $r->dir_config('Gate') or die $!; readline $gate; return }
sub begin { my ($r, @ids) = @_; $r->content_type('text/plain'); $r->print("@ids\n"); $r->rflush; return }
sub holds {
    my ($r) = @_;
    my @job = ([ '/bin/sh', '-c', 'trap "" TERM; echo; while :; do sleep 1; done' ], grace => '300ms', until => 'request', stdin => 'null');
    my $pipe = $r->spawn_pipe(@job, timeout => 0);
    readline $pipe->out;
    begin($r, $pipe->job->id);
    wait_here($r);
    return 0;
}
sub late {
    my ($r) = @_;
    my $job = eval { $r->spawn([qw(/bin/sleep 600)], until => 'request') };
    my $error = $@;
    my $again = !$job && $error->job ? eval { $error->job->resubmit; 1 } ? 'sent again' : $@->code . ': ' . $@->message : '-';
    begin($r, $job ? $job->id : ($error->code, $error->job->id, $again));
    return 0;
}
END

# What /late says, in the virtual host that waits 1 s only.
sub asked_late {
    my ($httpd) = @_;
    my $client = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $httpd->port) or die "connect: $!\n";
    print {$client} "GET /late HTTP/1.0\r\nHost: short.example\r\n\r\n";
    local $/ = undef;
    return <$client> =~ s/\A.*?\r\n\r\n//sr;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, perl => "${package}1;\n");
        my $gate = SpawnTest::Gate->new($httpd, 'a');
        # a short time only for the one that shall get no answer: on a busy machine others take longer
        $httpd->{conf} = join "\n", 'PerlSetVar Gate ' . $gate->path,
            (map { ("<Location /$_>", 'SetHandler modperl', "PerlResponseHandler My::Until::$_", '</Location>') } qw(holds late)),
            '<VirtualHost *>', 'ServerName localhost', '</VirtualHost>',
            '<VirtualHost *>', 'ServerName short.example', 'SpawnSubmitTimeout 1', '</VirtualHost>',
            '<VirtualHost *>', 'ServerName middle.example', 'SpawnSubmitTimeout 3', '</VirtualHost>';
        $httpd->start;

        my $client = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $httpd->port) or die "connect: $!\n";
        print {$client} "GET /holds HTTP/1.0\r\n\r\n";
        while (defined(my $line = <$client>)) {
            last if $line eq "\r\n";
        }
        chomp(my $id = <$client>);
        my $broker = $httpd->kill_pair('broker');
        ok $httpd->new_pid('broker', $broker), 'the broker is killed, and the next one is there';
        is $httpd->status($id)->{state}, 'running', 'the job runs on';
        $gate->let;
        1 while <$client>;
        my $end = $httpd->wait($id);
        is "$end->{outcome} $end->{signal}", 'cancelled 9', '... and ends with its request: by KILL, since it ignores TERM';

        ok $httpd->error_log !~ /MS0219/, '... of which the next broker was told';

        $client = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $httpd->port) or die "connect: $!\n";
        print {$client} "GET /holds HTTP/1.0\r\nHost: middle.example\r\n\r\n";
        while (defined(my $line = <$client>)) {
            last if $line eq "\r\n";
        }
        chomp(my $untold = <$client>);
        $broker = $httpd->kill_pair('broker');
        my $next = $httpd->new_pid('broker', $broker) or die "no next broker\n";
        kill STOP => $next or die "kill $next: $!\n";
        $gate->let;
        1 while <$client>;
        ok $httpd->wait_for_log(qr/MS0219: job \Q$untold\E may outlive its request /), 'the next broker does not answer: that is told';
        kill CONT => $next or die "kill $next: $!\n";
        $httpd->do('kill', id => $untold, signal => 'KILL');
        $httpd->wait($untold);

        ($broker) = $httpd->broker_pid;
        kill STOP => $broker or die "kill $broker: $!\n";
        my ($code, $late, @again) = split ' ', asked_late($httpd);
        kill CONT => $broker or die "kill $broker: $!\n";
        like $code, qr/\A(?:unconfirmed|unreachable)\z/, "a broker that does not answer: $code";
        like "@again", qr/\Ainvalid: .*\bbound to its request/, '... and what was sent cannot be sent again without its request';
        my $late_end = $httpd->wait($late);
        ok !$late_end->{error} ? $late_end->{outcome} eq 'cancelled' : $late_end->{error}{code} eq 'no_such_job',
            '... nothing of it stays' or diag explain $late_end;
    }
);
done_testing;
