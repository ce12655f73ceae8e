#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The overview tells of each queue what the last hour brought: a picture of how many jobs
# ended in each minute, told in words too, how many failed, and how long half and 95 of
# 100 waited and ran. ?format=json has the same. A queue without jobs has no times.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use List::Util qw(sum);
use Test::More;

use SpawnTest qw(one_mpm wait_until);

use lib SpawnTest::build_dir() . '/perl';
use Apache2::Spawn ();

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), handlers => 0, conf => <<'END')->start;
SpawnSubmitTimeout 30s
<Location /spawn-status>
    SetHandler spawn-status
</Location>
<SpawnQueue busy>
    SpawnMaxJobs 1
</SpawnQueue>
<SpawnQueue idle>
    SpawnMaxJobs 1
</SpawnQueue>
END
my $spawn = $httpd->connection;
my $json = sub {
    my $answer = $httpd->get('/spawn-status?format=json');
    fail('JSON') || diag $answer->{content} if $answer->{status} != 200;
    my $all = JSON::PP->new->utf8->decode($answer->{content});
    return ($all, map { my $name = $_; (grep { $_->{queue} eq $name } @{ $all->{numbers}{queues} })[0] } qw(busy idle));
};

is $spawn->run([ '/bin/true' ], queue => 'busy')->exit_code, 0, 'a job' for 1 .. 3;
is $spawn->run([ '/bin/false' ], queue => 'busy')->exit_code, 1, 'one that fails';

my ($all, $busy, $idle);
ok wait_until(sub { ($all, $busy, $idle) = $json->(); ($busy->{ended_last_hour} || 0) == 4 }, 60), 'they are counted';
is $busy->{failed_last_hour}, 1, '... and which failed';
is scalar @{ $busy->{"${_}_by_minute"} }, 60, "$_: an hour of minutes" for qw(ended failed);
is sum(@{ $busy->{ended_by_minute} }), 4, '... has all that ended';
is sum(@{ $busy->{failed_by_minute} }), 1, '... and that failed';
for my $times (qw(wait_seconds run_seconds wait_seconds_last_hour run_seconds_last_hour)) {
    my $of = $busy->{$times};
    is $of->{count}, 4, "$times: of all";
    cmp_ok $of->{p50}, '>', 0, '... half took some time';
    cmp_ok $of->{p95}, '>=', $of->{p50}, '... and 95 of 100 no less';
    is $idle->{$times}{p95}, undef, '... of none there is none';
}
is $busy->{oldest_waiting_seconds}, undef, 'none waits';
is $all->{numbers}{all}{ended_last_hour}, 4, 'of all queues together';
cmp_ok $all->{numbers}{since_ms}, '>', 0, 'since when';

my $gate = SpawnTest::Gate->new($httpd, 'gate');
my $run = $spawn->spawn($gate->job(''), queue => 'busy', stdout => 'null', reply => 'started');
my $wait = $spawn->spawn([ '/bin/true' ], queue => 'busy');
ok wait_until(sub { ($all, $busy, $idle) = $json->(); defined $busy->{oldest_waiting_seconds} }, 60), 'one waits';
cmp_ok $busy->{oldest_waiting_seconds}, '>=', 0, '... since then';

my $page = $httpd->get('/spawn-status')->{content};
like $page, qr{<b>1</b> failed in the last hour</a>}, 'the page: how many failed';
my ($failed) = $page =~ m{href="([^"]*)"[^>]*><b>1</b> failed};
my $list = $httpd->get('/spawn-status' . $failed =~ s/&amp;/&/gr . '&format=json');
is $list->{status}, 200, '... and which' or diag $failed;
is_deeply [ map { $_->{outcome} . $_->{exit_code} } @{ JSON::PP->new->utf8->decode($list->{content})->{jobs} } ], ['exited1'], '... these';
my ($since) = $failed =~ /&amp;ended_since=([-0-9:.TZ]+)\z/;
isnt $since, undef, '... of the hour that is counted' or diag $failed;
my $ended = sub { my ($moment) = @_; return scalar @{ JSON::PP->new->utf8->decode($httpd->get("/spawn-status?view=jobs&format=json&ended_since=$moment")->{content})->{jobs} || [] } };
is $ended->('1h'), 4, 'jobs that have ended since then';
is $ended->('2099-01-01'), 0, '... or later';
my ($row) = $page =~ m{queue=busy">busy</a></th>(.*?)</tr>}s;
like $row, qr{<b>4</b> ended, <b class="failed">1 failed</b>}, '... in the queue';
like $row, qr{<svg class="spark"[^>]* role="img" aria-label="Jobs that ended in each of the last 60 minutes: 4 in all, at most [234] in a minute; 1 failed">}, '... a picture that is told';
like $row, qr{<path class="ends" d="M\d+ 24v-24h2V24z}, '... with bars';
like $row, qr{data-head="Waited".*?p50</span> \S.*?p95</span> \S.*data-head="Ran".*?p50</span> \S.*?p95</span> \S}s, '... times';
like $row, qr{data-head="Longest wait"[^>]*>\d}, '... how long one waits';
($row) = $page =~ m{queue=idle">idle</a></th>(.*?)</tr>}s;
like $row, qr{<b>0</b> ended</span>.*data-head="Waited" class="num">-<}s, 'nothing of the idle one';
unlike $page, qr/\sstyle=/, 'no style in the page';
$gate->let(1);
is $_->wait(60)->outcome, 'exited', 'they end' for $run, $wait;
done_testing;
