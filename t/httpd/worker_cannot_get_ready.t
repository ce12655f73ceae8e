#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Workers that cannot get ready: callers are told why and do not wait, the log
# tells it once for each try, and when the cause is gone calls are served.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Templates ();

my $t = SpawnTest::Templates->new(
    conf  => "<SpawnQueue rpc>\nSpawnWorkers 0 2\n</SpawnQueue>\n<SpawnQueue other>\nSpawnTemplate bad\nSpawnWorkers 1 2\n</SpawnQueue>\n",
    files => { 'My/Hook.pm' => <<'END' }, templates => <<'CONF');
package My::Hook;
use Apache2::Spawn::Template ();
my ($flag) = __FILE__ =~ m{\A(.*)/My/};
Apache2::Spawn::Template::after_fork(sub { die "no database\n" if -e "$flag/flag" });
1;
END
SpawnTemplate app exec inc=@INC@ preload=My::Work,My::Hook
SpawnTemplate bad exec inc=@INC@ preload=My::NotThere
CONF
$t->file('flag', 'x');
$t->start;
my $spawn = $t->spawn;

my $error = eval { $spawn->call('My::Work::echo', [1], queue => 'rpc') } ? 'nothing' : $@;
is $error->code, 'start_failed', 'the caller is told';
like $error->message, qr/no worker of template app could get ready: after_fork: no database/, 'with the reason';
ok $t->httpd->wait_for_log(qr/MS0610: no worker of queue rpc could get ready; another try follows in \d+ s: after_fork: no database/),
    'so is the log';
$error = eval { $spawn->call('My::Work::echo', [1], queue => 'rpc') } ? 'nothing' : $@;
like $error->message, qr/no database/, 'the next one at once';
$error = eval { $spawn->call('My::Work::echo', [1], queue => 'other') } ? 'nothing' : $@;
like $error->message, qr/template bad cannot be loaded: preload My::NotThere/, 'of a template that cannot be loaded';

unlink $t->inc . '/flag' or die "flag: $!\n";
ok wait_until(sub { eval { $spawn->call('My::Work::echo', [5], queue => 'rpc') } }, 30),
    'when the cause is gone calls are served';
done_testing;
