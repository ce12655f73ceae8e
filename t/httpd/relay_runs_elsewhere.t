#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job of a shared queue that is submitted to one host runs on the other one, once, and
# its caller gets status, output and result where it asked for them.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use Apache2::Spawn ();

use SpawnTest;
use SpawnTest::Httpd;
use SpawnTest::Rabbit;

if (my $why = SpawnTest::Rabbit::missing()) {
    plan skip_all => $why;
}

my $rabbit = SpawnTest::Rabbit->new->start;
my $url = $rabbit->url;
my ($origin, $runner) = map {
    my ($name, $jobs) = @$_;
    SpawnTest::Httpd->new(conf => <<"EOC")->start } [ origin => 0 ], [ runner => 4 ];
SpawnRelay $url
SpawnRelayName $name
<SpawnQueue far>
    SpawnMaxJobs $jobs
    SpawnShared on
</SpawnQueue>
EOC

ok $origin->wait_for_log(qr/MS0707/, 60), 'the origin is connected';
ok $runner->wait_for_log(qr/MS0707/, 60), 'and so is the other host';

my $result = $origin->connection->run([ '/bin/sh', '-c', 'echo out; echo err >&2; exit 3' ],
    queue => 'far', stdout => 'capture', stderr => 'capture');
is $result->exit_code, 3, 'its exit code came back' or diag $origin->tail, $runner->tail;
is $result->stdout, "out\n", 'so did what it wrote';
is $result->stderr, "err\n", 'to both streams';

is $runner->connection->job($result->id)->wait(60)->exit_code, 3, 'the other host has run it under the same id';

my $file = $runner->work . '/ran';
my @ids = map { $origin->connection->spawn([ '/bin/sh', '-c', "echo $_ >>$file" ], queue => 'far')->id } 1 .. 50;
is $origin->connection->job($_)->wait(120)->exit_code, 0, "job $_" for @ids;
open my $in, '<', $file or die "$file: $!\n";
my @ran = sort { $a <=> $b } map { chomp; $_ } <$in>;
is_deeply \@ran, [ 1 .. 50 ], 'each has run once';
unlike $_->error_log, qr/\[spawn:(?:error|crit)\]/, 'nobody complains' for $origin, $runner;
done_testing;
