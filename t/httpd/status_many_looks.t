#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# An act on all jobs that are chosen, on the status page, where the newest 100,000 of those
# that it is for are others: the page says that none was found so far, and goes on with the
# older ones from there, to the end. One MPM: the page asks the broker, as with any.
# TEST_LIMIT: 300 s more

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Login qw(login_missing login_modules login_of login_wanted);

use lib SpawnTest::build_dir() . '/perl';
use Apache2::Spawn ();

use constant OTHERS => 100_500;    # more than one look has (LOOKS of module/status/filter.c)

plan skip_all => login_missing() if login_missing();
plan skip_all => 'DBD::SQLite is not there' if !eval { require DBI; require DBD::SQLite; 1 };

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), handlers => 0);
my ($load, $login) = (login_modules(), login_wanted($httpd, 'anna'));
$httpd->{conf} = <<"END";
$load
SpawnSubmitTimeout 60s
SpawnHistory 300000 none
<Location /spawn-status>
    SetHandler spawn-status
    SpawnStatusControl on
    $login
</Location>
END
$httpd->start;
my $spawn = $httpd->connection;
my %anna = login_of('anna');
my $client = HTTP::Tiny->new(timeout => 180, keep_alive => 0, max_redirect => 0);
my $get = sub { my ($query) = @_; return $client->get($httpd->url("/spawn-status$query"), { headers => {%anna} })->{content} };
# The page that the links to older jobs lead to: one is enough, but a look also ends when its
# seconds are over (BATCH_MS of module/status/many.c), which it may on a busy machine.
my $last = sub {
    my ($page) = @_;
    for (1 .. 10) {
        my ($older) = $page =~ m{href="([^"]+)">Look at these</a>} or last;
        $page = $get->($older =~ s/&amp;/&/gr);
    }
    return $page;
};
my $dead = sub { my ($label) = @_; return $spawn->run(['/bin/false'], retry => 1, backoff => [0], label => $label)->id };

my $wanted = $dead->('needle');
my $other = $dead->('hay');
my $none = qr{<p>None was found so far; older jobs were not looked at yet\.</p>};
like $get->('?act=retry&all=1&label=needle'), qr/<h1>Retry 1 job\?/, 'it is found among few';
unlike $get->('?act=retry&all=1&label=nowhere'), $none, 'what is nowhere among few was looked for among all';

# more of the other, behind it
$httpd->stop;
ok $httpd->pair_gone(60), 'httpd and its pair are stopped';
my $store = DBI->connect("dbi:SQLite:dbname=$httpd->{runtime}/spawn/store/jobs.db", '', '', { RaiseError => 1 });
my @columns = grep { $_ ne 'seq' && $_ ne 'id' && $_ ne 'end_seq' } map { $_->[1] } @{ $store->selectall_arrayref('PRAGMA table_info(job)') };
my $all = join ', ', @columns;
$store->do("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < @{[OTHERS]})
    INSERT INTO job(id, end_seq, $all)
    SELECT substr(job.id, 1, 9) || randomblob(7), (SELECT max(end_seq) FROM job) + n.i, $all FROM n, job
    WHERE job.seq = (SELECT max(seq) FROM job)");
$store->disconnect;
$httpd->start;
is $spawn->job($other)->status->label, 'hay', 'the store is good';

my $page = $get->('?act=retry&all=1&label=needle');
like $page, qr/<h1>Retry at least 0 jobs\?/, 'among many: none is counted';
like $page, $none, '... so far, which is said';
unlike $page, qr/There is no such job|<form method="post"/, '... and not that there is none, nor is there anything to be sent';
my ($older) = $page =~ m{<a class="button" href="([^"]+)">Look at these</a>};
like $older || '', qr/\A\?act=retry&amp;all=1&amp;.*label=needle.*&amp;before=[0-9]+\z/, '... with a link to the others';
like $page, qr{<a class="button" href="\?view=jobs[^"]*label=needle[^"]*">To the list</a>}, '... and one to the list';
$page = $last->($page);
like $page, qr/<h1>Retry 1 job\?/, 'the link finds it';
like $page, qr/\Q$wanted\E/, '... and shows it';

$page = $get->('?act=retry&all=1&label=nowhere');
like $page, $none, 'what is nowhere is not found so far, either';
$page = $last->($page);
like $page, qr/There is no such job/, '... and not at all, at the end';
unlike $page, qr/Look at these/, '... where nothing is left to be looked at';
done_testing;
