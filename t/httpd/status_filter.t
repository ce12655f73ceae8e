#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The list of the status page, and spawnctl ps, choose jobs by how they ended, by program
# or function, label, context, time and any text of theirs, together with queue and state;
# both tell the same. A list has the beginning of long arguments only, and says how much is
# left out. A filter that makes no sense is refused.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use Test::More;

use SpawnTest qw(one_mpm wait_until);

use lib SpawnTest::build_dir() . '/perl';
use Apache2::Spawn ();

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), handlers => 0, conf => <<'END')->start;
SpawnSubmitTimeout 30s
<Location /spawn-status>
    SetHandler spawn-status
</Location>
<SpawnQueue images>
    SpawnMaxJobs 2
</SpawnQueue>
END
my $spawn = $httpd->connection;
my $ctl = SpawnTest::Ctl->new($httpd);

my %job = (
    good   => $spawn->spawn([ '/bin/true', 'Holiday' ], queue => 'images', label => 'picture 1', context => { user => 'anna', vhost => 'www.example' }),
    bad    => $spawn->spawn([ '/bin/sh', '-c', 'exit 3' ], queue => 'images', label => 'picture 2', context => { user => 'otto', request_id => 'r7' }),
    gone   => $spawn->spawn([ '/bin/nothere' ], label => 'letter'),
    late   => $spawn->spawn([ '/bin/true' ], delay => 3600, label => 'later'),
    killed => $spawn->spawn([ '/bin/sh', '-c', 'kill -9 $$' ]),
    big    => $spawn->spawn([ '/bin/true', 'x' x 30_000, 'y' x 30_000 ], label => 'big'),
);
$job{$_}->wait(60) for grep { $_ ne 'late' } keys %job;
my %name = map { $job{$_}->id => $_ } keys %job;

my $ps = sub { my ($rows) = $ctl->json('ps', @_); return $rows };
my $json = sub {
    my ($query) = @_;
    my $answer = $httpd->get("/spawn-status?view=jobs&format=json$query");
    is $answer->{status}, 200, "status: $query" or diag $answer->{content};
    return JSON::PP->new->utf8->decode($answer->{content});
};
ok wait_until(sub { @{ $ps->('--outcome', 'failed') } == 3 }, 60), 'all have ended';

for my $case (
    [ 'outcome=failed', [qw(--outcome failed)], 'bad gone killed' ],
    [ 'outcome=start_failed', [qw(--outcome start_failed)], 'gone' ],
    [ 'outcome=signalled,start_failed', [ '--outcome', 'signalled,start_failed' ], 'gone killed' ],
    [ 'outcome=exited&queue=images', [qw(--outcome exited --queue images)], 'bad good' ],
    [ 'what=/bin/TRUE', [qw(--all --what /bin/TRUE)], 'big good late' ],
    [ 'what=Holiday', [qw(--all --what Holiday)], '' ],
    [ 'label=picture', [qw(--all --label picture)], 'bad good' ],
    [ 'q=holiday', [qw(--all --search holiday)], 'good' ],
    [ 'q=r7', [qw(--all --search r7)], 'bad' ],
    [ 'q=No+such+file', [ '--all', '--search', 'No such file' ], 'gone' ],
    [ 'q=' . $job{bad}->id, [ '--all', '--search', $job{bad}->id ], 'bad' ],
    [ 'user=anna&label=pic', [qw(--all --user anna --label pic)], 'good' ],
    [ 'since=1h&state=delayed', [qw(--since 1h --state delayed)], 'late' ],
    [ 'since=2019-01-01&until=2020-01-31T10:00', [qw(--all --since 2019-01-01 --until 2020-01-31T10:00)], '' ],
    [ 'until=2020-01-31T10:00:00Z', [qw(--all --until 2020-01-31T10:00:00Z)], '' ],
    [ 'since=2020-01-31', [qw(--all --since 2020-01-31)], 'bad big gone good killed late' ],
    )
{
    my ($query, $words, $names) = @{$case};
    my $page = $json->("&$query");
    is join(' ', sort map { $name{ $_->{id} } } @{ $page->{jobs} }), $names, '... has these';
    is $page->{before}, undef, '... and no more';
    my $listed = $ps->(@{$words});
    delete @{$_}{qw(due_at due_at_ms)} for @{$listed}, @{ $page->{jobs} };    # reckoned each time anew, by two clocks
    is_deeply $page->{jobs}, $listed, "spawnctl ps @{$words}";
}
my @newest = map { $_->{id} } @{ $json->('')->{jobs} };
is_deeply [ map { $_->{id} } @{ $json->('&sort=oldest')->{jobs} } ], [ reverse @newest ], 'the oldest first';
is_deeply [ map { $_->{id} } @{ $ps->('--all', '--oldest') } ], [ reverse @newest ], 'spawnctl, too';
my $page = $json->('&sort=oldest&rows=4');
is_deeply [ map { $_->{id} } @{ $json->("&sort=oldest&rows=4&before=$page->{before}")->{jobs} } ], [ reverse @newest[ 0, 1 ] ], '... and the next ones';

my ($big) = @{ $json->('&label=big')->{jobs} };
is length join('', @{ $big->{argv} }), 4095, 'the beginning of long arguments' or diag length for @{ $big->{argv} };
is $big->{argv_cut}, 30_000 - 4086 + 30_001, '... and how much is left out';
my ($whole) = $ctl->json('show', $job{big}->id);
is length join('', @{ $whole->{argv} }), 60_009, 'spawnctl show has all';
like $ctl->run('ps', '--all', '--label', 'big')->{out}, qr/x \.\.\.$/m, 'the table says that there is more';

my $text = $httpd->get('/spawn-status?view=jobs&q=holiday&outcome=exited&label=p&since=1h&sort=took')->{content};
like $text, qr/<input type="search" name="q"[^>]* value="holiday">/, 'the form has what was searched for';
like $text, qr/<option value="exited" selected>/, '... the outcome';
like $text, qr/name="label" maxlength="256" value="p">/, '... the label';
like $text, qr/<p id="count" aria-live="polite">1 job</, 'how many were found';
like $text, qr/\Q@{[ $job{good}->id ]}\E/, '... which one';
unlike $text, qr/\Q@{[ $job{bad}->id ]}\E/, '... and no other';
my $kept = $httpd->get('/spawn-status?view=jobs&outcome=lost,expired&rows=7&refresh=30')->{content};
ok $kept =~ m/<option value="lost,expired" selected>lost,expired</, 'the form has several outcomes';
unlike $kept, qr/<option value="" selected>any</, '... and no other';
ok $kept =~ m/<input type="hidden" name="$_->[0]" value="$_->[1]">/, "... $_->[0]" for [ 'rows', 7 ], [ 'refresh', 30 ];
unlike $httpd->get('/spawn-status?view=jobs')->{content}, qr/type="hidden" name="(?:rows|refresh)"/, '... not when they are not given';
like $httpd->get('/spawn-status?view=jobs&label=picture&rows=1')->{content}, qr/href="\?view=jobs&amp;label=picture&amp;rows=1&amp;before=\d+">Older jobs/,
    'the next page has the same choice';
my %took = map { $_->{id} => $_->{elapsed} || 0 } @{ $json->('')->{jobs} };
my @shown = $httpd->get('/spawn-status?view=jobs&sort=took')->{content} =~ /<a id="j-([-0-9a-f]+)"/g;
is_deeply [ map { $took{$_} } @shown ], [ sort { $b <=> $a } values %took ], 'those that took longest come first';
for my $wrong ('outcome=x', 'outcome=failed,x', 'since=x', 'until=yesterday', 'sort=x', 'q=' . 'x' x 257, 'label=' . 'x' x 201) {
    is $httpd->get("/spawn-status?view=jobs&$wrong")->{status}, 400, "$wrong is refused";
}
is $ctl->run('ps', @{$_})->{code}, 125, "spawnctl ps @{$_} is refused" for [qw(--outcome x)], [qw(--since x)], [ '--label', '' ];
is $job{late}->kill('TERM'), 1, 'the last one is cancelled';

# a queue of which there is history alone
$httpd->{conf} =~ s{<SpawnQueue images>.*?</SpawnQueue>\n}{}s;
$httpd->graceful;
ok wait_until(sub { my ($queues) = $ctl->json('queues'); !grep { $_->{queue} eq 'images' } @{$queues} }, 60), 'a queue is removed';
my $gone = $httpd->get('/spawn-status?view=jobs&queue=images')->{content};
like $gone, qr/\Q@{[ $job{good}->id ]}\E/, '... its jobs are listed';
like $gone, qr/<option value="images" selected>images</, '... and the form has it';
done_testing;
