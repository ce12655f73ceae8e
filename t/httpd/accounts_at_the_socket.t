#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SpawnAccess: accounts, named by their own name, a number or a group, come to the socket
# and do there what they may, in the queues where they may: submit, see, kill, control. A
# request beyond that is refused, in their error and in the log, and nothing comes of it:
# no job runs, ends or is shown. A graceful restart changes who may what.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Ctl ();

plan skip_all => 'only root can become another account' if $< != 0;
my ($nobody, $nogroup) = (getpwnam 'nobody')[ 2, 3 ];
plan skip_all => 'there is no account nobody' if !defined $nobody;

my ($backup, $ops, $stranger) = (61_001, 61_003, 61_005);

sub rights {
    my ($httpd) = @_;
    my ($mode, $gid) = (lstat $httpd->socket)[ 2, 5 ];
    return sprintf '%04o %d', $mode & 07777, $gid;
}

# spawnctl as an account: exit code, output and errors.
sub as {
    my ($ctl, $uid, @words) = @_;
    my $ran = $ctl->run({ uid => $uid }, @words);
    return wantarray ? ($ran->{code}, $ran->{out}, $ran->{err}) : $ran->{code};
}

sub refused {
    my ($httpd, $ctl, $uid, $right, $queue, @words) = @_;
    my ($code, $out, $err) = as($ctl, $uid, @words);
    is $code, 125, "uid $uid, @words: is refused" or diag "$out$err";
    is $out, '', '... and shown nothing';
    my $place = $words[0] =~ /\A(?:show|kill|wait)\z/ ? 'the queue of this job' : $words[0] eq 'cron' ? 'the queue of this recurring job' : $queue;
    like $err, qr/uid $uid (?:\(\S+\) )?has not the right '$right' in $place: SpawnAccess/, '... and told which right it has not';
    ok $httpd->wait_for_log(qr/MS0547: a request \(pid \d+\) is refused: uid $uid .*'$right' in $queue/), '... and so is the log';
    return;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, conf => <<"END")->start;
SpawnAccess user=nobody submit
SpawnAccess group=#$ops all
<SpawnQueue nightly>
    SpawnAccess user=#$backup submit,see
    SpawnAccess user=#$backup kill
</SpawnQueue>
<SpawnQueue closed>
    SpawnAccess none
</SpawnQueue>
SpawnCron "0 0 1 1 *" name=yearly queue=closed /bin/true
END
        my $ctl = SpawnTest::Ctl->new($httpd);
        my $ran = $httpd->work . '/ran';
        my @touch = ('--', '/bin/sh', '-c', "echo ran >>$ran");
        my $touched = sub { my $was = -e $ran; unlink $ran; return $was };

        # ---- who comes in ----

        is rights($httpd), '0666 ' . $httpd->gid, 'everybody can connect';
        my ($code, $out, $err) = as($ctl, $stranger, 'ps');
        is $code, 125, 'who is not named is refused';
        like $err, qr/uid $stranger may not use this spawner: no SpawnAccess/, '... and told why';
        is as($ctl, $httpd->uid, 'ps', '--all'), 0, 'httpd\'s User may, as without';
        is as($ctl, $httpd->uid, $_, 'nightly'), 0, "... $_, too" for qw(pause resume);

        # ---- what they may ----

        is as($ctl, $nobody, 'run', @touch), 0, 'an account that may submit does';
        ok $touched->(), '... and its job runs';
        is as($ctl, $backup, 'run', '--queue', 'nightly', @touch), 0, 'one by its number in its queue';
        ok $touched->(), '... and its job runs';
        my $running = $ctl->detach('--queue', 'nightly', '--', '/bin/sleep', 100);
        like +(as($ctl, $backup, 'ps'))[1], qr/\Q$running\E/, '... it sees the jobs there';
        is as($ctl, $backup, 'kill', $running), 0, '... and kills one';
        is $httpd->wait($running)->{outcome}, 'cancelled', '... which ends by it';
        is as($ctl, $ops, $_, 'default'), 0, "one of a group may $_" for qw(pause resume);

        # ---- what they may not ----

        my $theirs = $ctl->detach('--', '/bin/sleep', 100);
        my $closed = $ctl->detach('--queue', 'closed', '--', '/bin/sleep', 100);
        refused($httpd, $ctl, $nobody, 'submit', q{queue 'nightly'}, 'run', '--queue', 'nightly', @touch);
        refused($httpd, $ctl, $nobody, 'submit', q{queue 'closed'}, 'run', '--queue', 'closed', @touch);
        refused($httpd, $ctl, $nobody, 'see', 'any queue', 'ps', '--all');
        refused($httpd, $ctl, $nobody, 'see', q{queue 'default'}, 'show', $theirs);
        refused($httpd, $ctl, $backup, 'submit', q{queue 'default'}, 'run', @touch);
        refused($httpd, $ctl, $backup, 'kill', q{queue 'default'}, 'kill', $theirs);
        refused($httpd, $ctl, $backup, 'see', q{queue 'default'}, 'wait', $theirs);
        refused($httpd, $ctl, $backup, 'control', q{queue 'nightly'}, 'pause', 'nightly');
        refused($httpd, $ctl, $ops, 'control', q{queue 'closed'}, 'pause', 'closed');
        refused($httpd, $ctl, $ops, 'submit', q{queue 'closed'}, 'cron', 'run', 'yearly');
        refused($httpd, $ctl, $ops, 'control', q{queue 'closed'}, 'cron', 'pause', 'yearly');
        ok !$touched->(), 'no job has run';
        is $httpd->status($_)->{state}, 'running', 'no job was ended' for $theirs, $closed;
        unlike +(as($ctl, $backup, 'ps', '--all'))[1], qr/\Q$theirs\E|\Q$closed\E/, 'no job of other queues is listed';
        my ($rows) = $ctl->json({ uid => $backup }, 'queues');
        is_deeply [ map { $_->{queue} } @{$rows} ], ['nightly'], '... nor another queue';
        is $rows->[0]{rules}{access}, "user=#$backup:submit,see;user=#$backup:kill", '... and who may what there';
        ($rows) = $ctl->json('queues');
        is_deeply [ map { $_->{rules}{access} } @{$rows} ],
            [ "user=nobody:submit;group=#$ops:submit,see,kill,control", $rows->[1]{rules}{access}, 'none' ],
            '... which is what stands outside where the queue says nothing';
        is_deeply [ map {"$_->{queue} $_->{state}"} @{$rows} ], [ 'default open', 'nightly open', 'closed open' ], 'no queue was changed';

        # ---- another broker ----

        my $broker = $httpd->broker_pid;
        kill KILL => $broker or die "kill: $!\n";
        wait_until(sub { my $pid = $httpd->broker_pid; $pid && $pid != $broker }, 20) or fail 'no other broker';
        is as($ctl, $nobody, 'run', @touch), 0, 'the broker after a killed one knows who may';
        ok $touched->(), '... and runs its job';
        is as($ctl, $stranger, 'run', @touch), 125, '... and who may not';
        is as($ctl, $nobody, 'run', '--queue', 'closed', @touch), 125, '... and where';
        ok !$touched->(), '... and runs no job';

        # ---- a graceful restart ----

        $httpd->{conf} = "SpawnAccess user=#$backup control\n";
        $httpd->graceful;
        is as($ctl, $backup, $_, 'default'), 0, "after a graceful restart: $_" for qw(pause resume);
        is as($ctl, $nobody, 'run', @touch), 125, '... and who was named before is refused';
        is as($ctl, $ops, 'ps'), 125, '... the group, too';
        ok !$touched->(), '... and nothing runs';

        # ---- httpd's User alone ----

        $httpd->{conf} = 'SpawnAccess user=' . $httpd->user . " see\n";
        $httpd->graceful;
        is rights($httpd), '0660 ' . $httpd->gid, 'where only httpd\'s User is named the socket is as without';

        # ---- who cannot connect is told of ----

        $httpd->{conf} = "SpawnAccess user=#$backup submit\nSpawnAccess group=#$nogroup see\nSpawnSocketGroup #$nogroup\n"
            . 'SpawnAccess user=' . $httpd->user . " see\n";
        $httpd->graceful;
        is rights($httpd), "0660 $nogroup", 'with a group of its own the socket is for that';
        ok $httpd->wait_for_log(qr/MS0119: line \d+ of \S+: SpawnAccess: user '#$backup' cannot connect: the socket has mode 0660/),
            'the log says who cannot connect';
        unlike $httpd->error_log, qr/SpawnAccess: group/, '... and of nobody else';
        ok $httpd->wait_for_log(qr/MS0125: line \d+ of \S+: SpawnAccess: '@{[ $httpd->user ]}' is httpd's User, which has all rights/),
            '... and that httpd\'s User has all rights';
        is as($ctl, $backup, 'run', @touch), 125, '... and it cannot';
        $ctl->run('kill', $_) for $theirs, $closed;
    }
);
done_testing;
