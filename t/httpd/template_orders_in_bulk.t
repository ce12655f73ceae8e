#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# More and bigger orders than a template's link takes at once, and a template
# that takes none for a while: all are carried out, each once, in their order.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Templates ();

my $t = SpawnTest::Templates->new(conf => "SpawnMaxJobs 400\nSpawnMaxQueued 2000\nSpawnSubmitTimeout 20",
    files => { 'My/Bulk.pm' => <<'END' }, templates => 'SpawnTemplate app exec inc=@INC@ preload=My::Work,My::Bulk')->start;
package My::Bulk;
sub ran {
    my ($file, $n, $data) = @_;
    open my $out, '>>', $file or die "$file: $!\n";
    syswrite $out, "$n\n";
    return "$n " . length $data;
}
1;
END
my $httpd = $t->httpd;
my $spawn = $t->spawn;
my $ran = $httpd->work . '/ran';

sub bulk {
    my ($name, $from, @sizes) = @_;
    my $n = $from;
    my @jobs = map { $spawn->spawn_call('My::Bulk::ran', [ $ran, $n++, 'x' x $_ ]) } @sizes;
    $n = $from;
    is_deeply [ map { my $job = $_; eval { $job->result(60) } || "$@" } @jobs ],
        [ map { $n++ . " $_" } @sizes ], $name;
    return;
}

bulk('200 orders of 60 kB, three of which fill the link', 1, (60_000) x 200);
bulk('ten orders of 4 MB',          201, (4_000_000) x 10);
bulk('300 small ones', 211, (10) x 300);

# takes no orders for a while, then never again
my ($template) = $t->pids('app');
kill STOP => $template or die "stop: $!\n";
my @jobs = map { $spawn->spawn_call('My::Bulk::ran', [ $ran, $_, 'x' x 50_000 ]) } 511 .. 550;
ok wait_until(sub { grep { $_->status->{state} eq 'starting' } @jobs }, 30), 'the template is stopped: orders wait in its link';
is $spawn->run(['/bin/true'])->exit_code, 0, 'programs pass';
kill CONT => $template;
is_deeply [ map { $_->result(60) } @jobs ], [ map {"$_ 50000"} 511 .. 550 ], 'it goes on: all run';

kill STOP => $template or die "stop: $!\n";
@jobs = map { $spawn->spawn_call('My::Bulk::ran', [ $ran, $_, 'x' x 50_000 ]) } 551 .. 590;
ok wait_until(sub { grep { $_->status->{state} eq 'starting' } @jobs }, 30), 'stopped again';
my $job = pop @jobs;
my $first = shift @jobs;
$first->kill;
ok $t->kill_template('app'), 'and killed';
is_deeply [ map { $_->result(60) } @jobs ], [ map {"$_ 50000"} 552 .. 589 ], 'the next template carries out the orders';
is $job->result(60), '590 50000', 'the last one too';
ok wait_until(sub { $first->status->{state} eq 'done' }, 20), 'the one that was cancelled meanwhile ends';
is $first->status->{outcome}, 'cancelled', '... as cancelled';

open my $in, '<', $ran or die "$ran: $!\n";
my %count;
$count{ $_ + 0 }++ for <$in>;
is_deeply [ grep { ($count{$_} || 0) != ($_ != 551) } 1 .. 590 ], [], 'each ran once, the cancelled one never';

done_testing();
