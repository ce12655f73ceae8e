#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A spawner that dies again and again, each time soon after its start, is started after
# pauses that grow, and the log says how long each may take. A job runs on meanwhile, and
# what was submitted is run by the first one that lives. The next death of that one is
# followed by another spawner at once.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Process qw(alive);
use SpawnTest::Wait qw(now);

use constant YOUNG => 10;    # seconds

# The pause before the next spawner, by the log: 'at once', or [ from, to ] seconds.
sub pause_after {
    my ($httpd, $pid) = @_;
    ok $httpd->wait_for_log(qr/MS0191: the spawner \(pid $pid\) .*; a new one is started /, 60), 'httpd notices';
    my ($when) = $httpd->error_log =~ /MS0191: the spawner \(pid $pid\) .*; a new one is started (.*)/;
    return $when && $when =~ /\Ain ([0-9]+) to ([0-9]+) s/ ? [ $1, $2 ] : $when;
}

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), conf => "SpawnSubmitTimeout 60\n" . SpawnTest::Httpd->rounds_are_short)->start;
my $gate = SpawnTest::Gate->new($httpd, 'a');
my $job = $httpd->spawn($gate->job('exit 3'), reply => 'started');
my $old = $httpd->spawner_pid;

# Each is killed as soon as it can be seen; on a busy machine one may be older than it
# looks, and then the row begins anew.
my ($deaths, $longest) = (0, 0);
while ($longest < 4 && $deaths++ < 12) {
    my $killed = now();
    $httpd->kill_pair('spawner');
    my $pause = pause_after($httpd, $old) or last;
    my $new = $httpd->new_process('spawner', $old, 90) or last;
    my $took = now() - $killed;
    if (ref $pause) {
        is $pause->[0], $longest ? 2 * $longest : 1, 'a pause, twice as long as the one before';
        is $pause->[1], $pause->[0] + 11, '... and how late it may be is told';
        cmp_ok $took, '>=', $pause->[0], '... and it was kept';
        $longest = $pause->[0];
    } else {
        is $pause, 'at once', 'the next one is started at once';
        $longest = 0;
    }
    $old = $new;
}
is $longest, 4, 'up to 4 s';

# ---- one that lives ----
ok alive($job->{pid}), 'the job runs on';
is $httpd->run([qw(/bin/echo yes)])->{stdout}, "yes\n", 'others run';
is $httpd->status($job->{id})->{state}, 'running', 'it is known';
my $since = now();
wait_until(sub { now() - $since > YOUNG + 1 }, YOUNG + 10);    # its age is what is tested
$httpd->kill_pair('spawner');
is pause_after($httpd, $old), 'at once', 'after one that lived another one is started at once';
ok $httpd->new_process('spawner', $old, 60), '... and is there';
$gate->let;
like $httpd->wait($job->{id})->{outcome}, qr/\A(?:exited|code_unknown)\z/, 'the job ends, which is told';
done_testing;
