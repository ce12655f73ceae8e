#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SpawnWorkerMaxMemory counts what a worker shares with its template, frozen or not:
# with the same limit a worker of either kind stays when it copies what the template
# has, stays when it grows a little, and is replaced when it is over. spawnctl
# templates shows what is frozen as the template's.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(not_sanitized);
use SpawnTest::Ctl ();
use SpawnTest::Templates ();

not_sanitized('a sanitizer\'s memory is not moved');
my $t = SpawnTest::Templates->new(
    templates => <<'CONF', conf => <<'QUEUES',
SpawnTemplate app   exec inc=@INC@ preload=My::Big
SpawnTemplate plain exec inc=@INC@ preload=My::Big memory=shared
CONF
<SpawnQueue frozen>
    SpawnWorkers 1
    SpawnWorkerMaxMemory 90M
</SpawnQueue>
<SpawnQueue plain>
    SpawnTemplate plain
    SpawnWorkers 1
    SpawnWorkerMaxMemory 90M
</SpawnQueue>
<SpawnQueue small>
    SpawnWorkers 1
    SpawnWorkerMaxMemory 45M
</SpawnQueue>
QUEUES
    files => { 'My/Big.pm' => <<'END' })->start;
package My::Big;
our $text = 'x' x 50_000_000;
my @more;
sub pid { return $$ }
sub copies { substr $text, $_ * 4096, 1, 'y' for 0 .. 12_000; return $$ }
sub grows { push @more, 'z' x ($_[0] << 20); return $$ }
1;
END
my $spawn = $t->spawn;
sub call {
    my ($queue, $function, @args) = @_;
    return $spawn->call("My::Big::$function", \@args, queue => $queue);
}

for my $queue (qw(frozen plain)) {
    my $pid = call($queue, 'pid');
    is call($queue, 'copies'), $pid, "$queue: a worker copies what its template has";
    is call($queue, 'grows', 10), $pid, '... is still there, and grows';
    is call($queue, 'pid'), $pid, '... and is still there';
    is call($queue, 'grows', 40), $pid, '... until it grows over the limit';
    isnt call($queue, 'pid'), $pid, '... then there is another one';
}
isnt call('small', 'pid'), call('small', 'pid'), 'a limit below what the template has: each call has another worker';

# ---- who has what ----

my $ctl = SpawnTest::Ctl->new($t->httpd);
my ($list) = $ctl->json('templates');
my %row = map { join(q{/}, grep { defined } @{$_}{qw(template queue)}) => $_ } grep { $_->{pid} } @{$list};
my $mb = 1 << 20;
for my $name (qw(app plain)) {
    cmp_ok $row{$name}{rss}, '>', 50 * $mb, "spawnctl: the size of template $name";
    cmp_ok $row{$name}{rss}, '<', 80 * $mb, '... and no more';
}
cmp_ok $row{app}{pss}, '>', 48 * $mb, 'what is frozen is the template\'s';
my $worker = $row{'app/frozen'};
cmp_ok $worker->{rss}, '>', 50 * $mb, 'its worker has it resident, too';
cmp_ok $worker->{pss}, '<', 20 * $mb, '... and not for a part of its own';
cmp_ok $worker->{private}, '<', 10 * $mb, '... but what it wrote';
call('frozen', 'copies');
($list) = $ctl->json('templates');
($worker) = grep { ($_->{queue} || '') eq 'frozen' } @{$list};
cmp_ok $worker->{private}, '>', 45 * $mb, 'which grows with what it writes';
cmp_ok $worker->{rss}, '<', 80 * $mb, '... and is not counted twice';
done_testing;
