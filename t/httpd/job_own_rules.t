#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Where a job runs, how long, and with which limits, as it was submitted, is shown by spawnctl and
# on the status page, and told by both as JSON. A job that brought no rules has none, and
# a list has none. One MPM: no child of httpd has a part in it but the one that shows the page.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm);

use lib SpawnTest::build_dir() . '/perl';
use Apache2::Spawn ();

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), handlers => 0);
$httpd->{conf} = <<'END';
SpawnSubmitTimeout 30s
<Location /spawn-status>
    SetHandler spawn-status
</Location>
<SpawnQueue q>
    SpawnTimeout 10min
</SpawnQueue>
END
$httpd->start;
my $ctl = SpawnTest::Ctl->new($httpd);
my $spawn = $httpd->connection;
my $json = JSON::PP->new->utf8;
my $page = sub { return $httpd->get("/spawn-status?$_[0]")->{content} };

my %rules = (timeout => '1m30s', grace => '3.00s', cwd => '/tmp', nice => '7', retry => '2', limits => 'files=99', stdout => 'null', stderr => '/dev/null');
my $job = $spawn->spawn([ '/bin/true' ], queue => 'q', timeout => 90, grace => 3, cwd => '/tmp', nice => 7, retry => 2, limits => { files => 99 },
    stdout => 'null', stderr => '/dev/null', env => { SECRET => 'xyzzy' });
my $plain = $spawn->spawn([ '/bin/true' ], queue => 'q');
$_->wait(60) for $job, $plain;
my $id = $job->id;

my ($told) = $ctl->json('show', $id);
is_deeply $told->{rules}, \%rules, 'spawnctl tells its rules' or diag explain $told;
is_deeply $json->decode($page->("job=$id&format=json"))->{job}, $told, '... and so does the page';
my $shown = $ctl->run('show', $id)->{out};
like $shown, qr/^  $_ +\Q$rules{$_}\E$/m, "spawnctl shows $_" for sort keys %rules;
my ($own) = $page->("job=$id") =~ m{<h2>Its own rules</h2>(.*?)</section>}s;
ok $own, 'the page has a section' or $own = '';
like $own, qr{<dt>$_</dt><dd>\Q$rules{$_}\E</dd>}, "... with $_" for sort keys %rules;
like $page->("job=$id"), qr{<h2>Rules of its queue</h2>.*<dd>10m00s}s, '... before those of the queue';
unlike $shown . $page->("job=$id"), qr/xyzzy|SECRET/, 'no value of a variable is told';

my ($other) = $ctl->json('show', $plain->id);
is $other->{rules}, undef, 'one without rules';
unlike $page->('job=' . $plain->id), qr/Its own rules/, '... has none on the page';
is_deeply [ map { $_->{rules} || () } map { ref eq 'ARRAY' ? @{$_} : $_ } $ctl->json(qw(ps --all)) ], [], 'a list has none';
done_testing;
