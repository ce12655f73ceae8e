#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Somebody removes what the pair lives in while httpd runs: the socket, the
# spool, the store's database, the whole runtime directory. It is told at once,
# no job is lost, all is made anew without a restart, and another httpd on the
# same store is refused as before.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use File::Path qw(remove_tree);
use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::AfterHttpd;

use constant AT_ONCE => 9;     # seconds; by itself it looks every 30 s
use constant ANEW => 30;       # httpd's parent looks every 10 s

my $httpd = SpawnTest::AfterHttpd->new(
    mpm => one_mpm(),
    conf => "<SpawnQueue slow>\nSpawnMaxJobs 1\n</SpawnQueue>\n"
)->start;
my $dir = $httpd->dir . '/run/spawn';
my $ctl = SpawnTest::Ctl->new($httpd);
my $gate = SpawnTest::Gate->new($httpd, 'a');
my @pair = ($httpd->spawner_pid, $httpd->broker_pid);
my $done = $httpd->spawn(['/bin/true'])->{id};
$httpd->wait($done);
my $running = $httpd->spawn($gate->job('exit 3'), queue => 'slow', reply => 'started');
my $waiting = $httpd->spawn([qw(/bin/sh -c), 'exit 4'], queue => 'slow');

# Removes, and waits for the one line that says so, and the one that all is well.
sub removed {
    my ($name, $rx, @paths) = @_;
    my $from = length $httpd->error_log;
    # so that all of it is gone when the broker looks
    kill STOP => $pair[1] or die "broker: $!\n";
    remove_tree(@paths);
    kill CONT => $pair[1] or die "broker: $!\n";
    ok $httpd->wait_for_log(qr/MS0640: removed while httpd runs:$rx/, AT_ONCE, $from), "$name: told at once";
    ok $httpd->wait_for_log(qr/MS0641/, ANEW, $from), "$name: all is there again";
    my $log = substr $httpd->error_log, $from;
    is scalar(() = $log =~ /MS0640/g), 1, "$name: told once" or diag $log;
    unlike $log, qr/spawn:(?:crit|alert)/, "$name: nothing worse is said";
    is $ctl->run(qw(run /bin/echo new))->{out}, "new\n", "$name: new callers come through";
    is $httpd->run([qw(/bin/echo old)])->{stdout}, "old\n", "$name: old ones too";
    return;
}

# as a cleaner does, which spares what is new or open
removed('socket, lock and control', qr/ the socket \Q$dir\E\/socket, lock or control in \Q$dir\E\/store;/,
    "$dir/socket", "$dir/store/lock", "$dir/store/control");
is sprintf('%04o', (stat "$dir/socket")[2] & 07777), '0660', 'with its rights' if $< == 0;
removed('the database', qr/ the database in \Q$dir\E\/store;/, glob "$dir/store/jobs.db*");
is $httpd->status($_)->{id}, $_, 'a job is known' for $done, $running->{id}, $waiting->{id};
removed('the spool', qr/ the spool in \Q$dir\E\/store;/, "$dir/store/spool");
$httpd->after(jobs => [ [ $httpd->note('big'), { stdin_data => 'x' x 200_000 } ] ]);
ok $httpd->wait_for_ran(1, 20), 'what goes through the spool runs';
removed('all', qr/ the socket .*, the database in .*, lock or control in .*, the spool in /, $dir);
$httpd->after(jobs => [ [ $httpd->note('big'), { stdin_data => 'x' x 200_000 } ] ]);
ok $httpd->wait_for_ran(2, 20), 'what goes through the spool runs';

my @all = map { "$dir/$_" } qw(socket store/jobs.db store/lock store/broker.lock store/control store/spool);
is_deeply [ grep { -e } @all ], \@all, 'all is there';
unlink "$dir/store/broker.lock" or die "broker.lock: $!\n";
ok wait_until(sub { -e "$dir/store/broker.lock" }, AT_ONCE), 'the broker\'s mark alone is made anew, too';
is_deeply [ $httpd->spawner_pid, $httpd->broker_pid ], \@pair, 'the pair is the same';
is $httpd->status($done)->{exit_code}, 0, 'the history is kept';
is $httpd->status($waiting->{id})->{state}, 'queued', 'what waits waits';

my $second = SpawnTest::Httpd->new(mpm => one_mpm(), runtime => $httpd->dir . '/run');
my ($status, $log) = $second->start_refused;
ok $status, 'another httpd on this store is refused';
like $log, qr/MS0162/, 'by the pair that has it';

# The next broker finds the jobs of the database that was put back.
my $old = $httpd->kill_pair('broker');
ok $httpd->new_pid('broker', $old), 'another broker';
$gate->let(1);
is $httpd->wait($running->{id})->{exit_code}, 3, 'what ran is recorded';
is $httpd->wait($waiting->{id})->{exit_code}, 4, 'what waited runs';
is $httpd->status($done)->{exit_code}, 0, 'the history is there';
done_testing;
