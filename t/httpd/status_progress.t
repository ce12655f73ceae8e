#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The status page has a bar for the progress of a job that runs, on its own page and in the list:
# when the job tells two numbers. Words are shown as they are, and what has ended has no bar.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Calls ();

my $httpd = SpawnTest::Calls->httpd(mpm => one_mpm(), kind => 'parent', conf => <<'END')->start;
SpawnSubmitTimeout 30s
<Location /spawn-status>
    SetHandler spawn-status
</Location>
END
my $gates = 0;
my $job = sub {
    my ($function, @arguments) = @_;
    my $gate = SpawnTest::Gate->new($httpd, 'gate' . ++$gates);
    my $id = SpawnTest::Calls->ask($httpd, 'my $job = $r->spawn_call(@_); $job->id', "SpawnTest::Functions::$function", [ $gate->path, @arguments ])->{values}[0];
    return ($id, $gate);
};
my $content = sub { return $httpd->get("/spawn-status?$_[0]")->{content} };
my $bar = qr/<svg class="bar busy told"[^>]*>(?:(?!<\/svg>).)*class="fill" width="([0-9.]+)"/s;
my $told = sub {
    my ($id, $text) = @_;
    ok wait_until(sub { $content->("job=$id") =~ /<dt>Progress<\/dt><dd>\Q$text\E/ }, 60), "it says '$text'";
    return $content->("job=$id") =~ $bar ? $1 : 'none';
};

my ($id, $gate) = $job->('waits_at', 'through');
is $told->($id, '3 of 10: row 3'), '30.0', 'three of ten are 30 %';
like $content->('view=jobs'), qr/<span class="soft">3 of 10: row 3[^<]*$bar/, 'in the list, too';
$gate->let(1);
ok wait_until(sub { $content->("job=$id") =~ /<dt>Result</ }, 60), 'it has ended';
is $told->($id, '3 of 10: row 3'), 'none', '... and has no bar';

for my $case (
    [ '1', '4', '25.0' ], [ '1.5', '3', '50.0' ], [ '7', '4', '100.0' ], [ '0', '4', '0.0' ], [ '1', '100000', '2.0' ],
    [ 'x', 'y', 'none' ], [ '1', '0', 'none' ], [ '-1', '4', 'none' ], [ '1', 'inf', 'none' ], [ '1', 'nan', 'none' ], [ '0x1', '4', 'none' ],
    [ '1.2.3', '4', 'none' ], [ '.', '4', 'none' ], [ '1', '', 'none' ], [ '"><b>', '4', 'none' ]) {
    my ($done, $of, $want) = @{$case};
    ($id, $gate) = $job->('says_of', $done, $of);
    my $text = $of eq '' ? $done : "$done of $of";
    is $told->($id, $text =~ s/</&lt;/gr =~ s/>/&gt;/gr =~ s/"/&quot;/gr), $want, "$text: $want";
    $gate->let(1);
}
done_testing;
