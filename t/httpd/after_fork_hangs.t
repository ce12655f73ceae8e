#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A hook of after_fork that does not return has a time-out of its own: its job
# ends, its caller is told which hook it was, and a queue with workers serves
# again when the hook does; also when it hangs where Perl's alarm does not
# reach it. A hook that is in time is left alone.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Templates ();
use SpawnTest::Wait qw(now);

# In C: in a lock that another process has; in Perl: in a loop.
my $t = SpawnTest::Templates->new(
    conf  => "<SpawnQueue rpc>\nSpawnWorkers 0 2\n</SpawnQueue>\n",
    files => { 'My/Hook.pm' => <<'END' }, templates => 'SpawnTemplate app exec inc=@INC@ preload=My::Work,My::Hook');
package My::Hook;
use Apache2::Spawn ();
use Apache2::Spawn::Template ();
use Fcntl qw(LOCK_EX);
my ($flag) = __FILE__ =~ m{\A(.*)/My/};
our $alarms = 0;
Apache2::Spawn->after_fork(sub { $alarms = 0; local $SIG{ALRM} = sub { $alarms++ }; alarm 1; select undef, undef, undef, 5 },
    timeout => 20) if -e "$flag/slow";
Apache2::Spawn::Template::after_fork(sub {
    if (-e "$flag/lock") {
        open my $in, '<', "$flag/lock" or die;
        flock $in, LOCK_EX;
    }
    1 while -e "$flag/loop";
}, timeout => 1.5);
sub alarms { return $alarms }
1;
END
$t->start;
my $httpd = $t->httpd;
my $spawn = $t->spawn;

is $spawn->call('My::Work::echo', [1]), 1, 'a hook that returns';

sub fails {
    my ($what, $pattern, @options) = @_;
    my $began = now();
    my $error = eval { $spawn->call('My::Work::echo', [1], timeout => 30, @options) } ? 'nothing' : $@;
    my $took = now() - $began;
    like "$error", $pattern, $what;
    cmp_ok $took, '>', 1.4, "$what: not before its time";
    cmp_ok $took, '<', 12, "$what: soon after ($took s)";
    return;
}
my $which = qr/after_fork: the hook of \S+\/My\/Hook\.pm line \d+ has not returned within 1\.5 s/;

$t->file('lock', 'x');
open my $lock, '<', $t->inc . '/lock' or die "lock: $!\n";
flock $lock, 2 or die "flock: $!\n";
fails('in a lock', $which);
fails('a worker, in a lock', qr/no worker of template app could get ready: $which/, queue => 'rpc');
unlink $t->inc . '/lock' or die "unlink: $!\n";
close $lock;
is $spawn->call('My::Work::echo', [2]), 2, 'when it returns again, calls are served';
ok wait_until(sub { eval { $spawn->call('My::Work::echo', [3], queue => 'rpc') } }, 30), 'of workers, too';

$t->file('loop', 'x');
fails('in a loop', $which);
my $job = $spawn->spawn_call('My::Work::echo', [1], stderr => 'capture');
my $end = $job->wait(20);
is $end->exit_code, 255, 'a job that nobody waits for ends with code 255';
like $end->stderr, $which, 'and says so on its stderr';
unlink $t->inc . '/loop' or die "unlink: $!\n";
is $spawn->call('My::Work::echo', [4]), 4, 'calls are served';

# the hook's alarm is the hook's, and its time is over when it has returned
$t->file('slow', 'x');
$httpd->graceful;
ok wait_until(sub { eval { ($spawn->call('My::Hook::alarms') || 0) == 1 } }, 30), 'alarm rings in a hook';

done_testing;
