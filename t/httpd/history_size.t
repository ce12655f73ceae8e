#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The history has a limit in bytes: what a run has delivered is kept by its ends
# only, other outputs go, the oldest first, when the size is over. Nobody who
# ran a job gets less than all.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), conf => "SpawnHistory 1000 none 2M\n")->start;
my $ctl = SpawnTest::Ctl->new($httpd);
my $talks = $httpd->script('talks', <<'END');
#!/usr/bin/perl
my ($bytes) = @ARGV;
print 'begin', 'x' x ($bytes - 8), 'end';
print STDERR 'few';
END
my $database = "$httpd->{runtime}/spawn/store/jobs.db";
my $from = length $httpd->error_log;

# ---- delivered ----

my $id;
for my $n (1 .. 12) {
    my $res = $httpd->run([ $talks, 900_000 ]);
    is length $res->{stdout}, 900_000, "run $n: all of it" or diag explain { %{$res}, stdout => '...' };
    $id = $res->{id};
}
my $job = wait_until(
    sub { my $now = $httpd->wait($id); $now->{stdout_lost} ? $now : undef }, 30);
is length $job->{stdout}, 4096, 'asked for later: the first bytes';
like $job->{stdout}, qr/\Abeginx+\z/, '... are the beginning';
is length $job->{stdout_end}, 4096, '... and the last ones';
like $job->{stdout_end}, qr/\Ax+end\z/, '... are the end';
is $job->{stdout_lost}, 900_000 - 8192, '... and how many are not kept';
is $job->{stderr}, 'few', 'what is short is kept whole';
is $job->{stderr_lost}, 0, '... nothing is lost of it';
is $job->{stderr_end}, undef, '... and it has no end apart';
my $shown = $ctl->run('show', '-o', $id);
like $shown->{out}, qr/^--- stdout: 900000 bytes ---\nbeginx+\n--- 891808 bytes of stdout are not kept any more ---\nx+end\n/m,
    'spawnctl show says so';
my ($json) = $ctl->json('show', '-o', $id);
is_deeply [ length $json->{out}, length $json->{out_end}, $json->{out_cut} ], [ 4096, 4096, 891_808 ], '... in JSON too';
ok !exists $json->{err_cut}, '... and of nothing else';
ok wait_until(sub { -s $database < 6_000_000 }, 20), 'the database has stayed small' or diag -s $database;

my $ran = $ctl->run('run', '--', $talks, 100_000);
is length $ran->{out}, 100_000, 'spawnctl run: all of it';
is_deeply [ map { length $_->{stdout} } map { $httpd->run([ $talks, $_ ]) } 8192, 8193 ], [ 8192, 8193 ], 'at the edge: all of it';

# ---- kept for who asks later ----

my @ids;
for (1 .. 15) {
    push @ids, $httpd->spawn([ $talks, 400_000 ], stdout => 'capture')->{id};
    $httpd->wait($ids[-1]);
}
my $first = wait_until(
    sub { my $now = $httpd->wait($ids[0]); $now->{stdout_lost} ? $now : undef }, 30);
is $first->{stdout}, '', 'the oldest output has gone';
is $first->{stdout_lost}, 400_000, '... and how much it was is told';
is $first->{exit_code}, 0, '... its outcome is there';
is length $httpd->wait($ids[-1])->{stdout}, 400_000, 'the newest is there whole';
my @kept;
ok wait_until(sub { @kept = grep { length $httpd->wait($_)->{stdout} } @ids; return @kept <= 5 }, 30),
    'no more than the size allows' or diag scalar @kept;
cmp_ok scalar @kept, '>=', 2, '... and not much less';
is_deeply \@kept, [ @ids[ -@kept .. -1 ] ], '... the last ones';
ok wait_until(sub { -s $database < 4_500_000 }, 20), 'the database shrinks' or diag -s $database;
unlike substr($httpd->error_log, $from), qr/MS0530|MS0661|MS0662/, 'no word of a full disk';
done_testing;
