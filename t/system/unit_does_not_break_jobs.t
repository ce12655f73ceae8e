#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The bans of packaging/systemd/mod_spawn.service break no job: set-id programs work, Perl
# functions of both kinds of templates run, also in workers and frozen; the bounding set is
# the unit's; what jobs use is counted by the unit; a service that no httpd adopts ends.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use File::Copy qw(copy);
use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Calls ();
use SpawnTest::Systemd ();

SpawnTest::Systemd->begin;

my $httpd = SpawnTest::Calls->httpd(mpm => one_mpm(), kind => 'parent', handlers => 1, conf => <<'END');
SpawnSpawner external
SpawnTemplate own exec preload=SpawnTest::Functions memory=frozen inc=@INC@
<SpawnQueue workers>
    SpawnWorkers 1 1
    SpawnTemplate own
</SpawnQueue>
END
$httpd->{conf} =~ s/\@INC@/$httpd->{dir}\/perl/;
my $id = $httpd->dir . '/bin/id';
copy('/usr/bin/id', $id) or die "$id: $!\n";
chmod 04755, $id or die "$id: $!\n";
my $systemd = SpawnTest::Systemd->new($httpd);
$systemd->spawner_units($httpd);
$systemd->httpd_unit($httpd, $systemd->own_tmp($httpd));
is $systemd->ctl('start', 'mod_spawn.socket')->{code}, 0, 'the socket';

# ---- nobody comes ----
is $systemd->ctl('start', 'mod_spawn.service')->{code}, 0, 'the service by hand';
is $systemd->show('mod_spawn.service', 'StatusText'), 'waits for httpd', '... waits';
ok wait_until(sub { $systemd->show('mod_spawn.service', 'ActiveState') eq 'inactive' }, 60), '... not for ever';
is $systemd->show('mod_spawn.service', 'Result'), 'success', '... and ends in peace';

# ---- programs ----
is $systemd->ctl('start', 'httpd')->{code}, 0, 'httpd starts';
ok $httpd->wait_for_log(qr/resuming normal operations/, 60), '... and is up' or diag $httpd->tail;
like $httpd->error_log, qr/MS0299: httpd is in systemd's unit httpd[.]service, and so are the 'parent' templates \(app\) with their Perl jobs/,
    '... and says which jobs end with its unit';
my $status = $httpd->run([qw(/bin/cat /proc/self/status)])->{stdout};
like $status, qr/^NoNewPrivs:\s+0$/m, 'jobs may gain privileges';
my ($bounding) = $status =~ /^CapBnd:\s+([0-9a-f]+)$/m;
is hex(substr $bounding, -8) & 1 << 16, 0, '... but not CAP_SYS_MODULE';
isnt hex(substr $bounding, -8) & 1 << 7, 0, '... CAP_SETUID, if a program has it';
is $httpd->run([ $id, '-u' ])->{stdout}, "0\n", 'a set-user-id program has its user';

# ---- functions ----
for my $options (q(template => 'app'), q(template => 'own'), q(queue => 'workers')) {
    my $answer = SpawnTest::Calls->ask($httpd, "Apache2::Spawn->call('SpawnTest::Functions::echo', [ 1, 2 ], $options)");
    is_deeply $answer->{values}, [ 1, 2 ], "a function, $options" or diag explain $answer;
}

# ---- what they use ----
my $used = sub { return $systemd->show('mod_spawn.service', 'CPUUsageNSec') };
my $before = $used->();
is $httpd->run([ '/bin/sh', '-c', 'i=0; while [ $i -lt 1000000 ]; do i=$((i + 1)); done' ])->{exit_code}, 0, 'a job uses CPU';
cmp_ok $used->() - $before, '>', 50_000_000, '... which the unit counts';
is $systemd->show('mod_spawn.service', 'Delegate'), 'yes', 'the control group is delegated';
is $systemd->ctl('stop', 'httpd')->{code}, 0, 'httpd stops';
ok $httpd->pair_gone, '... and all of it has gone';
done_testing;
