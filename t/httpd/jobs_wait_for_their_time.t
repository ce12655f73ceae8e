#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Jobs with delay and at start when their time has come and not before it,
# whatever is killed, reloaded or stopped meanwhile; they are listed and can be
# killed; and they take no place of those that wait in the queue.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(time);

use SpawnTest qw(each_mpm is_error wait_until);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm,
            conf => "SpawnMaxQueued 1\n<SpawnQueue few>\nSpawnMaxDelayed 1\n</SpawnQueue>\n")->start;
        my $ran = $httpd->work . '/ran';
        my @argv = ('/bin/sh', '-c', "date +%s.%N >>$ran.\$0; echo >>$ran.\$0", 'job');
        my $began = sub {
            my ($name) = @_;
            open my $in, '<', "$ran.$name" or return;
            my @lines = <$in>;
            return @lines == 2 ? $lines[0] : undef;
        };
        my $job = sub {
            my ($name, %options) = @_;
            my $made = $httpd->spawn([ @argv[ 0 .. 2 ], $name ], %options);
            is $made->{error}, undef, "$name is accepted" or diag explain $made;
            return $made->{id};
        };

        my $first = time;
        my %due = (delay => $first + 3, posted => $first + 3, at => $first + 5);
        my $delayed = $job->('delay', delay => 3);
        my $took = time - $first;
        $job->('posted', delay => '3s', reply => 'posted');
        $job->('at', at => strftime('%Y-%m-%dT%H:%M:%S+00:00', gmtime $due{at} + 1));
        my $long = $job->('long', delay => '1h', expires => '2h');
        $job->('past', at => 1);

        my $now = $httpd->status($delayed);
        is $httpd->status($long)->{state}, 'delayed', 'the state of one that waits';
        cmp_ok $now->{due_at}, '>=', $due{delay}, 'and when it is due';
        cmp_ok $now->{due_at}, '<', $due{delay} + 2 + $took, '... not later';
        cmp_ok abs($httpd->status($long)->{expires_at} - $first - 7200), '<', 10, 'when another one expires';

        # the process that dies, and the one that comes again
        my $old = $httpd->kill_pair('broker');
        ok $httpd->new_pid('broker', $old), 'the broker was killed and came again';
        $httpd->graceful;
        is $httpd->status($long)->{state}, 'delayed', 'after a graceful restart it waits';
        $old = $httpd->kill_pair('spawner');
        ok $httpd->new_pid('spawner', $old), 'the spawner was killed and came again';
        is wait_until(sub { ($httpd->status($long)->{state} || '') eq 'delayed' }, 20), 1, 'it waits on';
        ok $httpd->stop, 'httpd stops';
        ok $httpd->pair_gone, 'delayed jobs do not keep the pair';
        $httpd->start;

        for my $name (qw(delay posted at)) {
            is wait_until(sub { $began->($name) }, 30), $began->($name), "$name: it ran, once";
            cmp_ok $began->($name) || 0, '>=', $due{$name}, 'and not before its time';
        }
        ok $began->('past'), 'a time that is past is now';
        is $httpd->wait($delayed)->{exit_code}, 0, 'its end is told';

        # listed, limited, killed
        my $ctl = SpawnTest::Ctl->new($httpd);
        like $ctl->run('ps')->{out}, qr/ delayed +default +- +in 59m\d\ds /, 'spawnctl ps';
        like $ctl->run(qw(ps --state delayed))->{out}, qr/long/, 'spawnctl ps --state';
        unlike $ctl->run(qw(ps --state queued))->{out}, qr/long/, 'it is not queued';
        like $ctl->run('show', $long)->{out}, qr/state +delayed\n.*due +.*, in 59m\d\ds\n +expires +/s,
            'spawnctl show';
        is $httpd->do('kill', id => $long)->{done}, 1, 'it is killed';
        is $httpd->wait($long)->{outcome}, 'cancelled', 'and cancelled';
        $job->('one', delay => '1h', queue => 'few');
        my $refused = $httpd->spawn(['/bin/true'], delay => '1h', queue => 'few');
        is_error($refused, 'queue_full', 'queue', undef, 'one more than SpawnMaxDelayed');
        like $refused->{error}{text}, qr/SpawnMaxDelayed/, 'which is named';

        # times that make no sense
        is_error($httpd->spawn(['/bin/true'], delay => 1, at => time + 60), 'invalid', 'options', undef,
            'both');
        is_error($httpd->spawn(['/bin/true'], at => '2030-01-31T17:30:00'), 'invalid', 'options', undef,
            'no zone');
        is_error($httpd->run(['/bin/true'], delay => 1), 'invalid', 'options', undef, 'run');

        # from the command line, which waits for it
        my $start = time;
        my $shell = $ctl->run(qw(run --delay 1s -- /bin/echo later));
        is $shell->{out}, "later\n", 'spawnctl run --delay';
        cmp_ok time - $start, '>=', 1, 'waits';
    }
);
done_testing;
