#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# ?format=json of each view of the status page is JSON with a version, and tells jobs and
# queues as spawnctl does with --json, also what is no UTF-8. A fault is JSON, too.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Schema ();
use SpawnTest::Templates ();

my $t = SpawnTest::Templates->new(conf => <<'END')->start;
SpawnSubmitTimeout 30s
<Location /spawn-status>
    SetHandler spawn-status
</Location>
SpawnEnv A b
SpawnEnv C d
<SpawnQueue q>
    SpawnMaxJobs 2
    SpawnTimeout 90
    SpawnAllow /bin/* /usr/bin/* My::Work::*
    SpawnLimit memory=8G cpu=60
</SpawnQueue>
SpawnAllow /bin/* /usr/bin/* My::Work::*
END
my ($httpd, $spawn) = ($t->httpd, $t->spawn);
my $ctl = SpawnTest::Ctl->new($httpd);
my $json = JSON::PP->new->utf8;
my $schema = SpawnTest::Schema->new("$FindBin::Bin/../../docs/status.schema.json");
my $get = sub {
    my ($query) = @_;
    my $answer = $httpd->get("/spawn-status?format=json$query");
    my $value = eval { $json->decode($answer->{content}) };
    ok $value, "JSON: $query" or diag "$answer->{status}: $@ $answer->{content}";
    is $answer->{headers}{'content-type'}, 'application/json', '... which its type says';
    is $value->{version}, 1, '... with a version';
    is_deeply [ $schema->faults($value) ], [], '... as the schema says';
    return wantarray ? ($value, $answer->{status}) : $value;
};

my @jobs = (
    $spawn->spawn([ '/bin/sh', '-c', "printf 'a\\377b\"\\\\\\001'; exit 3", "\xff\"\\\t\x01 \xc3\xa9" ], queue => 'q', label => 'x"y',
        stdout => 'capture', stderr => 'capture', context => { user => "u\xfe", uri => '/a?b' }, priority => -3, unique => 'k'),
    $spawn->spawn([ '/bin/false' ], retry => 1, backoff => [0.1], stdout => 'capture'),
    $spawn->spawn_call('My::Work::echo', [ 1, 'x' ]),
    $spawn->spawn([ '/bin/nothere' ]),
);
push @jobs, $spawn->spawn([ '/bin/true' ], after => [ $jobs[0] ]);
$_->wait(60) for @jobs;
my $gate = SpawnTest::Gate->new($httpd, 'gate');
my $call = $t->at_gate($gate, 1);
ok $t->all_at_gate($call), 'one runs';

# the history is written a moment later
my $listed;
ok wait_until(sub { ($listed) = $ctl->json('ps', '--all'); @{$listed} == 6 && !grep { $_->{state} !~ /done|running/ } @{$listed} }, 60), 'spawnctl lists them';
my $page = $get->('&view=jobs');
is_deeply $page->{jobs}, $listed, 'so does the page';
is $page->{before}, undef, 'there are no more';
$page = $get->('&view=jobs&rows=2');
is_deeply [ map { $_->{id} } @{ $page->{jobs} } ], [ map { $_->{id} } @{$listed}[ 0, 1 ] ], 'some of them';
$page = $get->("&view=jobs&rows=2&before=$page->{before}");
is_deeply [ map { $_->{id} } @{ $page->{jobs} } ], [ map { $_->{id} } @{$listed}[ 2, 3 ] ], 'and the next ones';

for my $job (@jobs, $call) {
    my $id = $job->id;
    my ($shown) = $ctl->json('show', $id);
    is_deeply $get->("&job=$id")->{job}, $shown, 'a job';
    ($shown) = $ctl->json('show', '-o', $id);
    is_deeply $get->("&job=$id&output=1")->{job}, $shown, '... with its output';
}

my ($queues) = $ctl->json('queues');
$page = $get->('');
is_deeply $page->{queues}, $queues, 'queues';
is $page->{dead}, 1, 'how many are dead';
my ($templates) = $ctl->json('templates');
# figures that spawnctl reads from /proc; a start is told by how long ago it was, give or take a ms
my @other = qw(rss pss private spares private_per_job estimated started_at started_at_ms);
ok $page->{templates}[0]{started_at_ms}, 'templates have a start';
for my $row (grep { $_->{pid} } @{ $page->{templates} }) {
    cmp_ok $row->{rss} || 0, '>', 1_000_000, 'each process has its memory';
}
my ($app) = grep { $_->{template} eq 'app' && exists $_->{jobs_ended} } @{ $page->{templates} };
cmp_ok $app->{private_per_job} || 0, '>', 4096, 'a template tells what a job has for itself';
for my $row (@{$templates}, @{ $page->{templates} }) {
    delete @{$row}{@other};
}
is_deeply $page->{templates}, $templates, 'templates';

my ($fault, $status) = $get->('&job=01890000-0000-7000-8000-000000000000');
is "$status $fault->{error}{code}", '404 no_such_job', 'a fault';
$gate->let(1);
done_testing;
