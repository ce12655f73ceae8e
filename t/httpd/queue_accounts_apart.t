#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Jobs of queues with accounts of their own (SpawnUser) have nothing of each other: none
# can signal another one's, stop it, or read its memory, environment, descriptors or
# files; nor can any of them touch broker, spawner, the store, the spool, or an httpd child.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Httpd ();

plan skip_all => 'only root can give jobs other accounts' if $< != 0;

my $httpd = SpawnTest::Httpd->new(mpm => SpawnTest::one_mpm(), conf => <<'END')->start;
SpawnBrokerUser #61000 #61000
<SpawnQueue one>
    SpawnUser #61001
    SpawnGroup #61001
</SpawnQueue>
<SpawnQueue other>
    SpawnUser #61002
    SpawnGroup #61002
</SpawnQueue>
END

# Runs in a job: what it can do to a process, a word for each.
my $try = $httpd->script('try', "#!$^X\n" . <<'END');
use strict;
use warnings;
my ($pid, @paths) = @ARGV;
my ($in, $out, $dir);
for my $signal (0, 'TERM', 'STOP', 'KILL') {
    print "signal $signal\n" if kill $signal, $pid;
}
for my $name (qw(environ mem maps io)) {
    print "$name\n" if open($in, '<', "/proc/$pid/$name") && sysread $in, my $byte, 1;
}
print "fd\n" if opendir $dir, "/proc/$pid/fd";
for my $name (qw(cwd root exe)) {
    print "$name\n" if defined readlink "/proc/$pid/$name";
}
for my $path (@paths) {
    print "read $path\n" if open $in, '<', $path;
    print "write $path\n" if open $out, '>>', $path;
    print "list $path\n" if opendir $dir, $path;
    print "make in $path\n" if -d $path && mkdir "$path/made";
}
END

sub can {
    my ($queue, $pid, @paths) = @_;
    my $is = $httpd->run([ $try, $pid, @paths ], queue => $queue, timeout => 60);
    is $is->{exit_code}, 0, "a job of $queue tried" or diag explain $is;
    return $is->{stdout};
}

my %job = map { $_ => $httpd->spawn([ '/bin/sleep', 600 ], queue => $_, reply => 'started', env => { SECRET => 'x' }) }
    qw(one other default);
for my $queue (qw(one other)) {
    for my $of (grep { $_ ne $queue } qw(one other default)) {
        is can($queue, $job{$of}{pid}), '', "... and can do nothing to one of $of";
    }
}
is can('default', $job{one}{pid}), '', 'nor can one of httpd\'s User';
like can('one', $httpd->spawn([ '/bin/sleep', 600 ], queue => 'one', reply => 'started')->{pid}), qr/^signal TERM$/m,
    'of its own account it can';
is $httpd->status($job{$_}{id})->{state}, 'running', "the job of $_ runs on" for sort keys %job;

my $run = $httpd->dir . '/run/spawn';
my @paths = map { "$run/$_" } '', qw(store store/jobs.db store/spool store/control store/lock socket);
for my $queue (qw(one other)) {
    is can($queue, $httpd->broker_pid, @paths), '', '... and can do nothing to the broker, and nothing with its files';
    is can($queue, $httpd->spawner_pid), '', '... to the spawner';
    is can($queue, ($httpd->children)[0]), '', '... to an httpd child';
}
# httpd's User may list the directory of the socket, and connect
is can('default', $httpd->broker_pid, map { "$run/$_" } qw(store store/jobs.db store/spool store/control)), '',
    'httpd\'s User itself can do nothing to the broker, or to the store';
$httpd->stop;
done_testing;
