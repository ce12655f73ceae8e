#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A child is free as soon as its client has the answer: on a server with one
# child, work of 12 s after the answer does not delay the next request, where
# PerlCleanupHandler delays it by 12 s. Measured side by side.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use HTTP::Tiny ();

use SpawnTest qw(wait_until);
use SpawnTest::AfterHttpd;
use SpawnTest::Wait qw(now);

plan skip_all => 'no prefork MPM here' if !SpawnTest::Httpd->has_module('mpm_prefork');

my $httpd = SpawnTest::AfterHttpd->new(mpm => 'prefork', children => 1,
    conf => <<'CONF', perl => <<'PERL');
StartServers 1
<Location /held>
    SetHandler modperl
    PerlResponseHandler My::Slow
    PerlCleanupHandler My::Slow::cleanup
</Location>
CONF
package My::Slow;
use Apache2::RequestIO ();
sub handler { $_[0]->print("done\n"); return 0 }
sub cleanup { select undef, undef, undef, 12; return 0 }
PERL
$httpd->start;

# Seconds that a request takes which comes right after another one's answer.
sub next_one {
    my ($first) = @_;
    $first->();
    my $start = now();
    my $answer = HTTP::Tiny->new(timeout => 60, keep_alive => 0)->get($httpd->url('/do/pid'));
    die "/do/pid: $answer->{status}\n" if !$answer->{success};
    return now() - $start;
}

my $held = next_one(
    sub { HTTP::Tiny->new(timeout => 60, keep_alive => 0)->get($httpd->url('/held')) });
my $free = next_one(
    sub {
        $httpd->after(jobs => [ [ [
            '/bin/sh', '-c', 'sleep 12; echo $SPAWN_JOB_ID >>' . $httpd->work . '/ran' ] ] ]);
    }
);
diag sprintf 'the next request takes %.3f s behind a PerlCleanupHandler of 12 s, '
    . '%.3f s behind a spawn_cleanup of 12 s', $held, $free;
cmp_ok $held, '>', 6, 'PerlCleanupHandler holds the child';
cmp_ok $free, '<', 6, 'spawn_cleanup does not';
ok $httpd->wait_for_ran(1, 60), 'and the work is done';
done_testing;
