#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# While a template loads, its Perl jobs wait in their queue, in their order, and
# keep nobody else waiting: programs and jobs of other templates pass them. A
# caller of one of them waits for as long as was said, and is told.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Templates ();

my $t = SpawnTest::Templates->new(
    templates => <<'END', conf => 'SpawnMaxJobs 1', files => { 'slow.pl' => <<'PERL' });
SpawnTemplate app  exec inc=@INC@ preload=My::Work
SpawnTemplate slow exec inc=@INC@ preload=My::Work require=@INC@/slow.pl
<SpawnQueue other>
    SpawnTemplate slow
</SpawnQueue>
END
open my $in, '<', "$ENV{HOME_OF_TEST}/gate-load" or die "gate: $!\n";
sysread $in, my $byte, 1;
package My::Slow;
sub note {
    my ($file, $n) = @_;
    open my $out, '>>', $file or die "$file: $!\n";
    syswrite $out, "$n\n";
    return $n;
}
1;
PERL
my $httpd = $t->httpd;
my $path = $httpd->dir;
(my $slow = do { open my $in, '<', $t->inc . '/slow.pl' or die; local $/ = undef; <$in> })
    =~ s/\$ENV\{HOME_OF_TEST\}/$path/;
$t->file('slow.pl', $slow);
my $load = SpawnTest::Gate->new($httpd, 'load');
$t->start;
my $spawn = $t->spawn;
my $file = $httpd->work . '/order';

my @waiting = map { $spawn->spawn_call('My::Slow::note', [ $file, $_ ], template => 'slow') } 1 .. 5;
my $by_queue = $spawn->spawn_call('My::Slow::note', [ $file, 'queue' ], queue => 'other');
is $spawn->call('My::Work::echo', ['passed'], timeout => 20), 'passed', 'a job of another template passes';
is $spawn->run(['/bin/echo', 'passed'], stdout => 'capture', timeout => 20)->stdout, "passed\n", 'and so does a program';
is $_->status->{state}, 'queued', 'those of the slow one wait' for @waiting, $by_queue;

my $value;
my $done = eval { $value = $spawn->call('My::Slow::note', [ $file, 6 ], template => 'slow', timeout => 0.1, grace => 0.1); 1 };
my $error = $@;
ok !$done, 'a call does not wait for ever';
is $error->code, 'timed_out', '... but as long as it may take';
like $error, qr/has not ended in time; it goes on, and the error's job tells of it/, '... and says what it left';
push @waiting, $error->job;
is $waiting[-1]->status->{state}, 'queued', '... which waits as the others do';

$httpd->kill_pair('broker');
ok wait_until(sub { eval { $waiting[0]->status->{state} eq 'queued' } }, 20), 'for the next broker they wait too';
is $spawn->call('My::Work::echo', ['passed']), 'passed', 'and are passed there';

$load->let;
is_deeply [ map { $_->result(30) } @waiting ], [ 1 .. 6 ], 'when it is loaded they run';
is $by_queue->result(30), 'queue', 'also the one that has it from its queue';
open my $in, '<', $file or die "$file: $!\n";
is join(' ', grep { !/queue/ } map { /(\S+)/ } <$in>), '1 2 3 4 5 6', 'in their order';

done_testing();
