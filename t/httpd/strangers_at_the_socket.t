#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Strangers are not let in: an account of its own cannot reach the socket,
# unless SpawnSocketMode says so; and then it cannot hold up the broker with
# packets before HELLO, connections that do not close among it.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(time);

use SpawnTest qw(each_mpm);
use SpawnTest::Strangers ();

use constant AT_ONCE => 15;   # seconds; the connections take a minute to close

plan skip_all => 'only root can become another account' if $< != 0;
my ($nobody, $nogroup) = (getpwnam 'nobody')[2, 3];
plan skip_all => 'there is no account nobody' if !defined $nobody;

sub goes_on {
    my ($httpd, $name) = @_;
    my $since = time;
    is $httpd->run([qw(/bin/echo here)])->{stdout}, "here\n", "$name: others are served";
    cmp_ok time - $since, '<', AT_ONCE, "$name: at once";
    return;
}

sub rights {
    my ($httpd) = @_;
    my ($mode, $uid, $gid) = (lstat $httpd->socket)[2, 4, 5];
    return sprintf '%04o %d %d', $mode & 07777, $uid, $gid;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm)->start;
        my $strangers = SpawnTest::Strangers->new($httpd);
        my $group = $httpd->gid;

        is rights($httpd), "0660 0 $group", 'the socket is for root and the group of httpd';
        is_deeply [ $strangers->comes($nobody, 'submit', 'tcp') ],
            ['not connected: Permission denied'], 'a stranger cannot connect';
        is(($strangers->comes($httpd->uid, 'submit', '/dev/null'))[2], 'accepted ', 'the user of httpd can');

        $httpd->{conf} = "SpawnSocketMode 0626\nSpawnSocketGroup #$nogroup\n";
        $httpd->graceful;
        is rights($httpd), "0626 0 $nogroup", 'other rights after a graceful restart';
        goes_on($httpd, 'other rights');

        my $broker = $httpd->broker_pid;
        my @said = $strangers->comes($nobody, 'submit', 'tcp');
        is $said[0], 'refused not_permitted', 'a stranger is refused' or diag explain \@said;
        goes_on($httpd, 'after a refusal');
        @said = $strangers->comes($nobody, 'early', 'tcp');
        ok @said, 'a stranger sends connections before HELLO' or diag explain \@said;
        goes_on($httpd, "they were $said[0]");
        @said = $strangers->comes($httpd->uid, 'empty', 'tcp', 'nowhere');
        is $said[0], 'welcome ', 'who is let in sends one behind an empty packet' or diag explain \@said;
        goes_on($httpd, 'behind an empty packet');
        is $httpd->broker_pid, $broker, 'the broker is the same';
    }
);
done_testing;
