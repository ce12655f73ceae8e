#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# An error log that is a pipe is also httpd's, CGI scripts' and others'. Spawner
# and broker have it opened for themselves, such that no write of theirs can
# wait; httpd's own is left as it is. When somebody has filled it, jobs run.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Fcntl qw(O_NONBLOCK O_WRONLY);
use Test::More;

use SpawnTest qw(each_mpm wait_until);

sub slurp {
    my ($path) = @_;
    open my $in, '<', $path or return '';
    local $/ = undef;
    return scalar <$in>;
}

sub waits {
    my ($pid) = @_;
    my ($flags) = slurp("/proc/$pid/fdinfo/2") =~ /^flags:\s*(\d+)/m;
    return oct($flags) & O_NONBLOCK ? 0 : 1;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm);
        my $dir = $httpd->dir;
        $httpd->{conf} = qq{ErrorLog "|/bin/sh -c 'echo \$\$ >$dir/logger; exec /bin/cat >>$dir/piped_log'"\n};
        $httpd->{log} = sub { return slurp("$dir/piped_log") };
        $httpd->start;
        ok waits($httpd->{pid}), 'httpd waits for its log';
        SKIP: {
            skip 'only root sees the flags of what they have open', 2 if $<;
            ok !waits($_->[1]), "the $_->[0] does not" for [ spawner => $httpd->spawner_pid ], [ broker => $httpd->broker_pid ];
        }

        my $logger = slurp("$dir/logger");
        chomp $logger;
        kill 'STOP', $logger;
        sysopen my $log, "/proc/$httpd->{pid}/fd/2", O_WRONLY | O_NONBLOCK or die "the log: $!\n";
        my $n = 0;
        $n++ while syswrite $log, "\n" x 512;
        ok $n > 0, 'the log is full';
        my $id = $httpd->spawn([ '/bin/sh', '-c', 'echo said >&2' ], stderr => 'log', reply => 'finished')->{id};
        ok $id, 'a job that writes there has run';
        kill 'CONT', $logger;
        ok $httpd->wait_for_log(qr/job \Q$id\E stderr: said$/m), 'its line comes when there is room';
        close $log or die "the log: $!\n";
    }
);
done_testing;
