#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A handler that forks, as old code does, and whose copy goes on to the end of
# the request: the copy posts nothing; the request's job is posted once, at the
# request's own end.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::AfterHttpd;

plan skip_all => 'no prefork MPM here' if !SpawnTest::Httpd->has_module('mpm_prefork');

my $httpd = SpawnTest::AfterHttpd->new(mpm => 'prefork', perl => <<'END')->start;
package My::Forks;
sub now {
    my ($r) = @_;
    my $pid = fork;
    return if $pid;
    die "the copy ends its request\n";
}
END
my $gate = SpawnTest::Gate->new($httpd, 'handler');
my $id = $httpd->new_id;
my $client = $httpd->client;
print {$client} $httpd->request_text({
    jobs => [ [ $httpd->note('once'), { id => $id } ] ], perl => 'My::Forks::now', gate => $gate->path,
}, 'Connection: close');
is $httpd->read_answer($client, head_only => 1)->{status}, 500, "the copy's answer";
close $client;
ok !$httpd->known($id), 'nothing is posted with it';
$gate->let;
ok $httpd->wait_for_ran(1), 'but when the handler itself has ended';
ok $httpd->wait($id)->{context}, 'with how it ended';
is_deeply [ $httpd->ran ], ["$id once"], 'once';
unlike $httpd->error_log, qr/MS0560|exit signal/, 'without complaints';
done_testing;
