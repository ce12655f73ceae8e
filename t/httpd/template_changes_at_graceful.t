#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Templates that come, go and are renamed at a graceful restart; a call of one
# that is not there says which ones are.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(is_error wait_until);
use SpawnTest::Templates ();

my $work = 'exec inc=@INC@ preload=My::Work';
my $queue = "SpawnMaxJobs 1\n<SpawnQueue q>\nSpawnTemplate %s\n</SpawnQueue>\n<SpawnQueue gone>\nSpawnTemplate app\n</SpawnQueue>\n";
my $t = SpawnTest::Templates->new(templates => '', conf => '')->start;
my $httpd = $t->httpd;
my $spawn = $t->spawn;

sub refused {
    my ($rx, $name, @options) = @_;
    my $ok = eval { $spawn->call('My::Work::echo', [1], @options); 1 };
    ok !$ok, $name;
    is ref $@ && $@->code . ' ' . $@->step, 'invalid check', '... as invalid';
    like "$@", $rx, '... saying what there is';
    return;
}

refused(qr/template 'nowhere' is not configured; configured: app/, 'a template that nobody defined is refused',
    template => 'nowhere');

$t->configure("SpawnTemplate one $work\nSpawnTemplate two $work", sprintf $queue, 'one');
$httpd->graceful;
refused(qr/template 'nowhere' is not configured; configured: app, one, two/, 'with others, too', template => 'nowhere');
my $one = $spawn->call('My::Work::parent', [], queue => 'q');
is_deeply [ $t->pids('one') ], [$one], 'a queue\'s template serves';
isnt $spawn->call('My::Work::parent', [], queue => 'q', template => 'two'), $one, 'the job\'s own word counts more';

# one goes while jobs of it run and wait
my $gate = SpawnTest::Gate->new($httpd, 'a');
my @args = ('My::Work::at_gate', [ $gate->path, 'ran' ]);
my $runs = $spawn->spawn_call(@args, queue => 'q');
ok $t->all_at_gate($runs), 'a job runs';
my $named = $spawn->spawn_call(@args, queue => 'q', template => 'one');
my $follows = $spawn->spawn_call(@args, queue => 'q');
$t->configure("SpawnTemplate two $work", sprintf $queue, 'two');
my $from = length $httpd->error_log;
$httpd->graceful;
ok $httpd->wait_for_log(qr/MS0511: template one is not configured any more; Perl jobs that wait for it in queue q stay/,
    20, $from), 'its template is taken away: said';
ok wait_until(sub { !$t->pids('one') }, 20), 'and gone';
$gate->let;
is $runs->result(30), 'ran', 'what ran goes on';
$gate->let;
is $follows->result(30), 'ran', 'what waited by its queue takes the queue\'s new one';
is $named->status->{state}, 'queued', 'what had named it waits';

$t->configure("SpawnTemplate two $work\nSpawnTemplate one $work", sprintf $queue, 'two');
$httpd->graceful;
$gate->let;
is $named->result(30), 'ran', 'until it is there again';

# changed rules
$t->configure('SpawnTemplate two exec inc=@INC@ preload=My::Work,Digest::MD5', sprintf $queue, 'two');
$httpd->graceful;
ok wait_until(
    sub { eval { $spawn->call('Digest::MD5::md5_hex', [''], template => 'two') } },
    30
    ),
    'what a template has to load now, it has';
ok wait_until(sub { $t->pids('two') == 1 }, 30), 'and only one is left';

done_testing();
