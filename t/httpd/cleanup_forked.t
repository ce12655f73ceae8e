#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A handler that forks (as old code does) and lets the copy exit: the copy's
# exit clears httpd's pools, and posts nothing; the request's job is posted once,
# at the request's end.

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
    CORE::exit(0) if defined $pid && !$pid;
    waitpid $pid, 0;
}
END
my $gate = SpawnTest::Gate->new($httpd, 'handler');
my $id = $httpd->new_id;
my $client = $httpd->client;
print {$client} $httpd->request_text({
    jobs => [ [ $httpd->note('once'), { id => $id } ] ], perl => 'My::Forks::now', gate => $gate->path,
});
# the handler is at the gate when its copy has gone and nothing holds it there
my $copied = wait_until(
    sub {
        my @at_gate = grep { my %f = SpawnTest::Process::open_files($_); grep { $_ eq $gate->path } values %f }
            $httpd->children;
        return @at_gate == 1;
    },
    20
);
ok $copied, 'the copy has exited, the handler goes on';
ok !$httpd->known($id), 'nothing is posted';
$gate->let;
is $httpd->read_answer($client)->{status}, 200, 'the answer';
ok $httpd->wait_for_ran(1), 'and its job';
is $httpd->wait($id)->{context}{status}, 200, 'with how it ended';
is_deeply [ $httpd->ran ], ["$id once"], 'once';
unlike $httpd->error_log, qr/MS0560|exit signal/, 'without complaints';
done_testing;
