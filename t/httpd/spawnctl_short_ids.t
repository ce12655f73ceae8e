#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# An id may be cut to its beginning or its end, as long as one job only can be
# meant; if not, nothing is done to any.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes ();

use SpawnTest qw(one_mpm);

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm())->start;
my $ctl = SpawnTest::Ctl->new($httpd);
my $gate = SpawnTest::Gate->new($httpd, 'a');

# Three ids of this moment, as the broker wants them: the first two with the
# same beginning and ends of their own, the third with the end of the second.
my $now = sprintf '%012x', 1000 * Time::HiRes::time();
my $before = sprintf '%012x', 1000 * Time::HiRes::time() - 1000;
my $begin = substr($now, 0, 8) . '-' . substr $now, 8;
my $other = substr($before, 0, 8) . '-' . substr $before, 8;
my ($one, $two, $three) = ("$begin-7000-8000-0000deadbeef", "$begin-7000-8000-0000cafecafe",
    "$other-7111-8000-1111cafecafe");
for my $id ($one, $two, $three) {
    my $ran = $ctl->run(qw(run --reply started --id), $id, '--', @{ $gate->job('exit 0') });
    like $ran->{out}, qr/\A\Q$id\E [0-9]+\n\z/, "a job: $id";
}

my ($job) = $ctl->json('show', '0000deadbeef');
is $job->{id}, $one, 'an end';
($job) = $ctl->json('show', 'DEADBEEF');
is $job->{id}, $one, 'the shortest end, in capitals';
($job) = $ctl->json('show', "$other-7111");
is $job->{id}, $three, 'a beginning';

for my $text ($begin, 'cafecafe') {
    my $ran = $ctl->run('kill', $text);
    is $ran->{code}, 125, "$text: exit code" or diag explain $ran;
    like $ran->{err}, qr/'\Q$text\E' may mean more than one job:/, "$text: why";
    my @both = $text eq $begin ? ($one, $two) : ($two, $three);
    like $ran->{err}, qr/^  \Q$_\E$/m, "$text: names $_" for @both;
}
like $ctl->run('ps')->{out}, qr/^\Q$_\E  running/m, "nothing was done to $_" for $one, $two, $three;

my $ran = $ctl->run('show', '12345678aaaa');
is $ran->{code}, 1, 'unknown: exit code';
like $ran->{err}, qr/no job's id begins or ends with '12345678aaaa'\n.*spawnctl ps/, 'unknown: why';
$ran = $ctl->run('show', '01900000-0000-7000-8000-000000000000');
is $ran->{code}, 1, 'a whole one that is unknown: exit code';
is $ctl->run('wait', 'eeeeeeeeeeee')->{code}, 125, 'wait: a code that no job can have set';
for my $text ('deadbee', 'nonsense-word', "$one-", '') {
    $ran = $ctl->run('show', $text);
    is $ran->{code}, 125, "'$text': wrong use";
    like $ran->{err}, qr/'\Q$text\E' is not an id; wanted: .* 8 characters/, "'$text': why";
}
is $ctl->run('kill', $one, 'eeeeeeeeeeee', 'no')->{code}, 125, 'of many the highest code';
is $ctl->run('wait', $one)->{code}, 128 + 15, 'and the others are done';
$gate->let(2);
done_testing;
