#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The daemons of mod_cgid, mod_fcgid and mod_wsgi are forked from httpd's parent
# and execute nothing. They hold none of our descriptors: no link to the spawner,
# no socket that callers come to, no end of the post socket, no inbox. One that
# is forked anew when it died has what a child that serves requests has, and no
# more.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Process qw(children_of);

plan skip_all => 'only root sees into daemons of other accounts' if $< != 0;
chomp(my $modules = `apxs -q LIBEXECDIR`);

# Unix sockets of our type, by inode: no other module here has such.
sub packet_sockets {
    open my $in, '<', '/proc/net/unix' or die "/proc/net/unix: $!\n";
    my %found;
    while (my $line = <$in>) {
        my @field = split ' ', $line;
        $found{ $field[6] } = 1 if @field > 6 && $field[4] eq '0005';
    }
    return \%found;
}

# Our sockets, and files called so, that a process holds.
sub ours {
    my ($pid) = @_;
    my $sockets = packet_sockets();
    my @found;
    for my $fd (glob "/proc/$pid/fd/*") {
        my $what = readlink $fd;
        next if !defined $what;
        push @found, $what if $what =~ /spawn-inbox|spawn\/store/ || $what =~ /^socket:\[(\d+)\]/ && $sockets->{$1};
    }
    my @sorted = sort @found;
    return @sorted;
}

# Children of httpd that are no spawner: pid => [ what of ours they hold ]. One
# that is just being forked may still hold all: it is looked at again.
sub children {
    my ($httpd) = @_;
    my %spawner = map { $_ => 1 } $httpd->spawner_pids;
    return { map { $_ => [ ours($_) ] } grep { !$spawner{$_} } children_of($httpd->pid) };
}

# StartServers of prefork, and the daemon.
my $serving = 2;

sub look {
    my ($name, $conf) = @_;
    subtest $name => sub {
        plan skip_all => "$name is not installed" if !-e "$modules/$name.so";
        my $httpd = SpawnTest::Httpd->new(mpm => 'prefork', handlers => 0);
        (my $short = $name) =~ s/^mod_//;
        my $dir = $httpd->dir;
        $conf =~ s/\@DIR@/$dir/g;
        $httpd->{conf} = "LoadModule ${short}_module $modules/$name.so\n$conf";
        $httpd->start;

        my $children;
        my $settled = sub {
            $children = children($httpd);
            return keys %{$children} > $serving && !grep { @{$_} > 2 } values %{$children};
        };
        wait_until($settled, 20);
        is scalar(keys %{$children}), $serving + 1, 'a daemon is there beside the children' or diag explain $children;
        my ($daemon, @more) = grep { !@{ $children->{$_} } } keys %{$children};
        ok defined $daemon && !@more, 'and has nothing of ours' or diag explain $children;
        my @has = grep { @{$_} } values %{$children};
        is_deeply $has[0], $has[-1], 'a child that serves requests has two';
        is scalar @{ $has[0] }, 2, 'the sending end of the post socket and the spool' or diag explain $has[0];
        my @parent = ours($httpd->pid);
        cmp_ok scalar @parent, '>=', 5, 'where there is something to have';

        return if !defined $daemon;
        kill KILL => $daemon or die "$daemon: $!\n";
        my (@new, %found);
        wait_until(
            sub {
                my $now = children($httpd);
                @new = grep { !$children->{$_} } keys %{$now};
                $found{$_} = $now->{$_} for @new;
                return @new > 0 && !grep { @{ $found{$_} } > 2 } @new;
            },
            30
        );
        ok scalar @new, 'another is forked when it has died';
        my %allowed = map { $_ => 1 } map { @{$_} } @has;
        is_deeply [ grep { !$allowed{$_} } map { @{ $found{$_} } } @new ], [],
            'it has what they have at most'
            or diag explain { parent => \@parent, new => \%found };
        is $httpd->ended, 0, 'httpd runs';
    };
    return;
}

look('mod_cgid',  "ScriptSock \@DIR\@/run/cgisock\n");
look('mod_fcgid', "FcgidIPCDir \@DIR\@/run/fcgid\nFcgidProcessTableFile \@DIR\@/run/fcgid_shm\n");
look('mod_wsgi',  "WSGISocketPrefix \@DIR\@/run/wsgi\nWSGIDaemonProcess d user=nobody group=nogroup home=/\n");
done_testing;
