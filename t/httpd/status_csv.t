#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# ?view=jobs&format=csv is the list, as it is chosen, as CSV: a row for each job, in one line,
# whatever a label or an argument is; no cell that a spreadsheet would take for a formula;
# so many rows, and a header that says where the next ones are.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);

use lib SpawnTest::build_dir() . '/perl';
use Apache2::Spawn ();

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), handlers => 0, conf => <<'END')->start;
SpawnSubmitTimeout 30s
<Location /spawn-status>
    SetHandler spawn-status
</Location>
<SpawnQueue long>
    SpawnMaxQueued 2000
</SpawnQueue>
END
my $spawn = $httpd->connection;

# RFC 4180, one row a line.
sub cells {
    my ($line) = @_;
    my @cells;
    while ($line =~ /\G(?:"((?:[^"]|"")*)"|([^",]*))(,|\z)/gc) {
        my ($quoted, $plain, $end) = ($1, $2, $3);
        push @cells, defined $quoted ? $quoted =~ s/""/"/gr : $plain;
        last if $end eq '';
    }
    fail('a row of CSV') || diag $line if (pos $line // 0) != length $line;
    return @cells;
}

sub rows {
    my ($query) = @_;
    my $answer = $httpd->get("/spawn-status?view=jobs&format=csv$query");
    is $answer->{status}, 200, "CSV: $query" or diag $answer->{content};
    my ($head, @lines) = split /\r\n/, $answer->{content};
    my @names = split /,/, $head;
    my @rows = map { my @cells = cells($_); fail('as many cells as names') if @cells != @names; my %row; @row{@names} = @cells; \%row } @lines;
    return ($answer, @rows);
}

my @labels = (
    '=1+1', '+1', '-1', '@SUM(A1)', ' =1', 'a;=cmd()', q{"=1}, q{"quoted"}, "odd \xff", 'plain, =x',
);
my @jobs = map { $spawn->spawn([ '/bin/sh', '-c', 'exit 3', "two\nlines\t\x01\xff" ], label => $_, context => { user => '=u', vhost => 'www.example' }) } @labels;
$_->wait(60) for @jobs;
my ($answer, @rows);
ok wait_until(sub { ($answer, @rows) = rows('&outcome=failed&sort=oldest'); @rows == @jobs }, 60), 'all of them';
is $answer->{headers}{'content-type'}, 'text/csv; charset=utf-8; header=present', 'its type';
is $answer->{headers}{'content-disposition'}, 'attachment; filename="jobs.csv"', 'it is kept as a file';
is $answer->{headers}{link}, undef, 'there are no more';
is_deeply [ map { $_->{id} } @rows ], [ map { $_->id } @jobs ], 'their ids';
is_deeply [ map { $_->{label} } @rows ], [
    q{'=1+1}, q{'+1}, q{'-1}, q{'@SUM(A1)}, q{ '=1}, q{a;'=cmd()}, q{"'=1}, '"quoted"', 'odd \xff', q{plain, '=x},
    ],
    'no label is a formula, or more than a line';
is_deeply [ @{ $rows[0] }{qw(state outcome exit_code signal user vhost dead argv_cut)} ], [ 'done', 'exited', 3, '', q{'=u}, 'www.example', '', '' ], 'what else is told';
like $rows[0]{command}, qr{^/bin/sh -c 'exit 3' .*two.*lines.*\\xff}, 'the command, in one line';
like $rows[0]{elapsed}, qr/^\d+\.\d{6}$/, 'how long it took, in seconds';
like $rows[0]{submitted_at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'when';

my @paged;
my $query = '&outcome=failed&sort=oldest&rows=4&q=exit+3';
while (defined $query) {
    ($answer, @rows) = rows($query);
    push @paged, map { $_->{id} } @rows;
    ($query) = ($answer->{headers}{link} || '') =~ /^<\?view=jobs&format=csv(&[^>]+)>; rel="next"$/;
}
is_deeply \@paged, [ map { $_->id } @jobs ], 'page by page';

# long ones: the rest is on the next page
$spawn->spawn([ '/bin/true', "\xff" x 4000 ], queue => 'long', delay => 3600) for 1 .. 700;
my ($first, @first) = rows('&queue=long&rows=700');
cmp_ok length $first->{content}, '<', 9 << 20, 'a page has a most of bytes';
cmp_ok scalar @first, '<', 700, '... and not all rows then';
($query) = $first->{headers}{link} =~ /^<\?view=jobs&format=csv(&[^>]+)>; rel="next"$/;
my (undef, @rest) = rows($query);
is @first + @rest, 700, '... the others are on the next one';
isnt $rest[0]{id}, $first[-1]{id}, '... and none is on both';

my $page = $httpd->get('/spawn-status?view=jobs&outcome=failed')->{content};
like $page, qr/<a href="\?view=jobs&amp;outcome=failed&amp;format=csv">As CSV</, 'the page has a link to it';
$answer = $httpd->get('/spawn-status?view=jobs&format=csv&since=x');
is "$answer->{status} $answer->{headers}{'content-type'}", '400 text/plain; charset=utf-8', 'a fault is no CSV';
is $answer->{headers}{'content-disposition'}, undef, '... and no file';
is $httpd->get('/spawn-status?format=csv')->{status}, 404, 'the overview has none';
is $httpd->get('/spawn-status?view=jobs&format=csv&rows=5001')->{status}, 400, 'there is a most';
done_testing;
