#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SpawnBrokerUser: the broker (and its scribe) has that account and no right; the store,
# the spool and the directory of the socket are its own, and what httpd's User owns is
# not taken for them. Httpd's children submit, post and spool as before, and root and
# httpd's User have spawnctl.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::AfterHttpd;
use SpawnTest::Ctl ();
use SpawnTest::Process qw(children_of);

plan skip_all => 'only root can give the broker another account' if $< != 0;

my ($uid, $gid) = (61_000, 61_003);
my $big = 'x' x 200_000;    # more than a post takes

sub rights {
    my ($path) = @_;
    my ($mode, $owner, $group) = (lstat $path)[ 2, 4, 5 ];
    return defined $mode ? sprintf('%04o %d %d', $mode & 07777, $owner, $group) : 'not there';
}

sub line_of {
    my ($pid, $name) = @_;
    open my $in, '<', "/proc/$pid/status" or return "$!";
    my ($value) = map { /^$name:\s*(.*?)\s*$/ ? $1 : () } <$in>;
    return $value;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::AfterHttpd->new(mpm => $mpm, conf => "SpawnBrokerUser #$uid #$gid\n")->start;
        my $run = "$httpd->{runtime}/spawn";
        my ($user, $group) = ($httpd->uid, $httpd->gid);

        my $broker = $httpd->broker_pid;
        is line_of($broker, 'Uid'), join("\t", ($uid) x 4), 'the broker has the account';
        is line_of($broker, 'Gid'), join("\t", ($gid) x 4), '... and its group';
        is line_of($broker, 'Groups'), $gid, '... and no other';
        like line_of($broker, $_), qr/^0+$/, "... and no $_" for qw(CapPrm CapEff CapInh);
        is line_of($broker, 'NoNewPrivs'), 1, '... and gets none by what it executes';
        is rights($run), "0711 $uid $gid", 'the directory of the socket is its own';
        is rights("$run/socket"), "0660 0 $group", 'the socket is for root and httpd\'s group';
        is rights("$run/store"), "0700 $uid $gid", 'the store is its own';
        is rights("$run/store/jobs.db"), "0600 $uid $gid", '... as the database';
        is rights("$run/store/spool"), "0730 $uid $group", 'httpd\'s group can put files into the spool';

        is $httpd->run([ '/usr/bin/id', '-u' ])->{stdout}, "$user\n", 'jobs have httpd\'s User';
        $httpd->after(jobs => [ [ $httpd->note('small'), {} ] ]);
        ok $httpd->wait_for_ran(1, 60), 'a post runs';
        kill STOP => $broker;
        my $id = $httpd->after(jobs => [ [ $httpd->note('big'), { stdin_data => $big } ] ])->{ids}[0];
        ok wait_until(sub { -e "$run/store/spool/$id" }, 30), 'one that is too big becomes a file';
        like rights("$run/store/spool/$id"), qr/^0644 $user /, '... of httpd\'s User';
        kill CONT => $broker;
        ok $httpd->wait_for_ran(2, 60), '... and runs';
        ok wait_until(sub { !-e "$run/store/spool/$id" }, 30), '... and goes';

        # ---- spawnctl ----

        my $ctl = SpawnTest::Ctl->new($httpd);
        for my $who (0, $user) {
            my $is = $ctl->run({ uid => $who }, 'run', '/usr/bin/id', '-u');
            is $is->{out}, "$user\n", "spawnctl of uid $who runs jobs" or diag explain $is;
            is $ctl->run({ uid => $who }, 'pause', 'default')->{code}, 0, '... and pauses a queue';
            is $ctl->run({ uid => $who }, 'resume', 'default')->{code}, 0, '... and lets it go on';
        }
        isnt $ctl->run({ uid => 61_009 }, 'ps')->{code}, 0, 'another account cannot';

        # ---- what stays ----

        ok $httpd->new_pid('broker', $httpd->kill_pair('broker')), 'another broker';
        is $httpd->run([ '/usr/bin/id', '-u' ])->{stdout}, "$user\n", '... works with all that';
        $httpd->graceful;
        is rights("$run/store/spool"), "0730 $uid $group", 'the spool stays as it is';

        # ---- a store of httpd's User ----

        $httpd->{conf} =~ s/SpawnBrokerUser.*//;
        $httpd->write_conf;
        my $from = length $httpd->error_log;
        $httpd->graceful;
        ok $httpd->wait_for_log(qr/MS0122: .*MS0178: /s, 30, $from), 'it is not taken away while httpd runs, and that is told';
        $broker = $httpd->broker_pid;
        ok $httpd->new_pid('broker', $httpd->kill_pair('broker')), 'even another broker';
        is line_of($httpd->broker_pid, 'Uid'), join("\t", ($uid) x 4), '... has the account that it had';
        is $httpd->run([ '/usr/bin/id', '-u' ])->{stdout}, "$user\n", '... and works';
        $httpd->stop;
        ok $httpd->pair_gone, 'the pair has gone';
        my ($code, $said) = $httpd->start_refused;
        isnt $code, 0, 'a start is refused';
        like $said, qr/MS0122: the store \S+ belongs to uid $uid .* must belong to uid $user /, '... with owner and what is wanted';
        system 'chown', '-R', "--from=$uid", $user, $run;
        $httpd->start;
        is $httpd->run([ '/usr/bin/id', '-u' ])->{stdout}, "$user\n", 'when it is given to httpd\'s User that starts';
        $httpd->stop;
        ok $httpd->pair_gone, 'the pair has gone';

        $httpd->{conf} = "SpawnBrokerUser #$uid #$gid\n$httpd->{conf}";
        ($code, $said) = $httpd->start_refused;
        isnt $code, 0, 'the other way round, too';
        like $said, qr/MS0274: the directory \S+ \(SpawnSocket\) belongs to uid $user .*with SpawnBrokerUser it must belong to that account \(uid $uid\)/,
            '... the directory of the socket';
        chown $uid, -1, $run or die "$run: $!\n";
        ($code, $said) = $httpd->start_refused;
        like $said, qr/MS0122: the store /, '... the store';
        system 'chown', '-R', "--from=$user", $uid, $run;
        $httpd->start;
        is $httpd->run([ '/usr/bin/id', '-u' ])->{stdout}, "$user\n", '... and when all is given to it, it starts';
        is rights("$run/store/spool"), "0730 $uid $group", '... and the spool has its rights';
        $httpd->stop;
    }
);
done_testing;
