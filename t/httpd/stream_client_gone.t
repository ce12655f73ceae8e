#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# spawn_stream whose client has gone: the program gets TERM, and one that ignores TERM and
# SIGPIPE gets KILL after its grace. $job->stop and $pipe->stop do the same; kill does not.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use IO::Socket::INET ();
use Test::More;

use SpawnTest qw(each_mpm);
use Apache2::Spawn ();

my $package = <<'END';
package MyStream;
use strict;
use warnings;
# ignores TERM, and that nobody reads
my $deaf = '$SIG{TERM} = $SIG{PIPE} = "IGNORE"; $| = 1; for (;;) { print "x" x 1000, "\n"; select undef, undef, undef, 0.01 }';
sub handler {
    my ($r) = @_;
    $r->spawn_stream([ "/usr/bin/perl", '-e', $deaf ], label => 'deaf', grace => 0.5, timeout => 0);
    return 0;
}
1;
END

# Has it KILL?
sub ends_by_kill {
    my ($job, $what) = @_;
    my $end = $job->wait(60);
    ok $end, "$what: it ends" or return;
    is $end->signal, 9, "... by KILL" or diag explain $end;
    is $end->outcome, 'cancelled', '... and was cancelled';
    return;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm);
        $httpd->file('../perl/MyStream.pm', $package);
        $httpd->{conf} = "PerlModule MyStream\n<Location /stream>\nSetHandler modperl\nPerlResponseHandler MyStream\n</Location>\n";
        $httpd->start;
        my $spawn = $httpd->connection;

        my $client = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $httpd->port) or die "connect: $!\n";
        print {$client} "GET /stream HTTP/1.0\r\n\r\n";
        ok defined readline($client), 'the answer begins';
        close $client;
        my ($job) = grep { ($_->label // '') eq 'deaf' } $spawn->list;
        ok $job, 'the program runs' or return;
        ends_by_kill($job->job, 'its client has gone');

        my @deaf = ($^X, '-e', '$SIG{TERM} = "IGNORE"; $| = 1; print "ready\n"; sleep 1000 while 1');
        my $pipe = $spawn->pipe(\@deaf, grace => 0.3, timeout => 0, stdin => 'null');
        is readline($pipe->out), "ready\n", 'another one';
        ok $pipe->kill('TERM'), 'kill sends TERM';
        ok !defined $pipe->job->wait(1), '... and nothing follows';
        ok $pipe->stop, 'stop';
        ends_by_kill($pipe->job, 'stop');
        ok !$pipe->stop, 'stop of what has ended: false';

        my $handled = $spawn->pipe([ $^X, '-e', '$SIG{TERM} = sub { exit 3 }; $| = 1; print "ready\n"; sleep 1000 while 1' ], grace => 60, timeout => 0, stdin => 'null');
        is readline($handled->out), "ready\n", 'one that handles TERM';
        ok $handled->job->stop, 'is stopped';
        is $handled->job->wait(60)->exit_code, 3, '... and ends as it wants';
    }
);
done_testing;
