#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Where requests share Perl interpreters (worker, event), mod_perl has each request wait for
# one when it ends, before all else that is to happen then. A job for after the answer does
# not wait with it: it runs while another request holds the only interpreter.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Test::More;

use SpawnTest qw(mpms wait_until);
use SpawnTest::AfterHttpd;

my @threaded = grep { $_ ne 'prefork' } mpms();
plan skip_all => 'neither worker nor event is there' if !@threaded;

for my $mpm (@threaded) {
    subtest "with $mpm" => sub {
        my $httpd = SpawnTest::AfterHttpd->new(mpm => $mpm, perl => <<'PERL', conf => <<'CONF');
package My::Slow;
sub handler {
    my ($r) = @_;
    my $work = $r->document_root . '/../work';
    $r->spawn_cleanup(['/bin/sh', '-c', "echo after >>$work/ran"]);
    return 0;
}
$INC{'My/Slow.pm'} = 1;
package My::Held;
sub handler {
    my ($r) = @_;
    my $work = $r->document_root . '/../work';
    open my $out, '>', "$work/held" or die "held: $!\n";
    open my $gate, '<', "$work/gate" or die "gate: $!\n";
    my $line = <$gate>;
    return 0;
}
$INC{'My/Held.pm'} = 1;
PERL
PerlInterpStart 1
PerlInterpMinSpare 1
PerlInterpMaxSpare 1
PerlInterpMax 1
<Location /big>
    PerlFixupHandler My::Slow
</Location>
<Location /held>
    SetHandler modperl
    PerlResponseHandler My::Held
</Location>
CONF
        my $work = $httpd->work;
        POSIX::mkfifo("$work/gate", 0666) or die "gate: $!\n";
        chmod 0666, "$work/gate";
        open my $big, '>', $httpd->dir . '/htdocs/big' or die "big: $!\n";
        truncate $big, 20_000_000;
        close $big;
        $httpd->start;

        my $slow = $httpd->client(buffer => 4096);
        print {$slow} "GET /big HTTP/1.0\r\n\r\n";
        my $answer = $httpd->read_answer($slow, head_only => 1);
        is $answer->{status}, 200, 'an answer begins, whose client does not read on';
        my $other = $httpd->client;
        print {$other} "GET /held HTTP/1.0\r\n\r\n";
        ok wait_until(sub { -e "$work/held" }, 20), 'another request has the only interpreter';
        ok !-e "$work/ran", 'the job does not run before its client has the answer';
        setsockopt $slow, SOL_SOCKET, SO_RCVBUF, 1_000_000;
        $httpd->read_body($slow, $answer->{length});
        ok wait_until(sub { -s "$work/ran" }, 20), 'it runs when the client has it all';
        open my $gate, '>', "$work/gate" or die "gate: $!\n";
        close $gate;
        my $rest = do { local $/ = undef; <$other> };
        like $rest, qr{^HTTP/1\.[01] 200}, 'the other request goes on';
    };
}
done_testing;
