#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A program that is httpd's error log ends with httpd, and jobs run on. Their
# lines after that are kept in the store, and stand in the log of the next httpd.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);

sub slurp {
    my ($path) = @_;
    open my $in, '<', $path or return '';
    local $/ = undef;
    return scalar <$in>;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm);
        my $dir = $httpd->dir;
        $httpd->{conf} = qq{ErrorLog "|/bin/sh -c 'exec /bin/cat >>$dir/piped_log'"\n};
        $httpd->{log} = sub { return slurp("$dir/piped_log") };
        $httpd->start;
        my $kept = "$dir/run/spawn/store/kept.log";
        is((stat $kept)[7], 0, 'nothing is kept while the log is there');
        is((stat $kept)[2] & 0777, 0600, 'by nobody else');

        my $gate = $httpd->work . '/gate';
        my $id = $httpd->spawn(
            [ '/bin/sh', '-c', "until [ -e $gate ]; do sleep 0.05; done; echo alone >&2; exit 3" ],
            stderr => 'log', reply => 'started')->{id};
        $httpd->stop;
        open my $out, '>', $gate or die "$gate: $!\n";
        close $out or die "$gate: $!\n";
        ok $httpd->pair_gone, 'the job runs to its end, and the pair leaves';
        like slurp($kept), qr/\[spawn:error\] \[pid \d+\] job \Q$id\E stderr: alone$/m, 'what it said is in the store';
        like slurp($kept), qr/\[spawn:warn\] \[pid \d+\] MS0682: job \Q$id\E exited with code 3 /m, 'and how it failed';
        unlike $httpd->error_log, qr/\Q$id\E/, 'the log had ended';

        $httpd->start;
        ok $httpd->wait_for_log(qr/MS0205: kept while .*: \[.*\] \[spawn:error\] \[pid \d+\] job \Q$id\E stderr: alone$/m),
            'the next httpd writes it';
        ok $httpd->wait_for_log(qr/MS0205: .* MS0682: job \Q$id\E exited with code 3 /m), 'all of it';
        is((stat $kept)[7], 0, 'and once');

        # A pair that goes on under the next httpd.
        unlink $gate;
        $id = $httpd->spawn(
            [ '/bin/sh', '-c', "echo begins >&2; until [ -e $gate ]; do sleep 0.05; done; echo between >&2;"
                . "until [ -e $gate.2 ]; do sleep 0.05; done; echo ends >&2" ],
            stderr => 'log', reply => 'started')->{id};
        $httpd->stop;
        open $out, '>', $gate or die "$gate: $!\n";
        close $out or die "$gate: $!\n";
        ok wait_until(sub { slurp($kept) =~ /\Q$id\E stderr: between$/m }, 20), 'kept again';
        $httpd->start;
        ok $httpd->wait_for_log(qr/MS0205: .* \Q$id\E stderr: between$/m), 'written by who adopts the pair';
        open $out, '>', "$gate.2" or die "$gate.2: $!\n";
        close $out or die "$gate.2: $!\n";
        ok $httpd->wait_for_log(qr/^\[[^]]+\] \[spawn:error\] \[pid \d+\] job \Q$id\E stderr: ends$/m),
            'the pair has the new log';
    }
);

# Neither a symbolic link in the file's place nor a second name of it is written
# to.
subtest 'a link in the place of the file' => sub {
    my $httpd = SpawnTest::Httpd->new->start;
    my $dir = $httpd->dir;
    $httpd->stop;
    $httpd->pair_gone;
    my $kept = "$dir/run/spawn/store/kept.log";
    my $other = $httpd->file('other', "untouched\n");
    unlink $kept;
    symlink $other, $kept or die "symlink: $!\n";
    $httpd->start;
    ok $httpd->wait_for_log(qr/MS0204: cannot use \Q$kept\E/), 'is told of';
    unlink $kept;
    link $other, $kept or die "link: $!\n";
    my $from = length $httpd->error_log;
    $httpd->graceful;
    ok $httpd->wait_for_log(qr/MS0204: cannot use \Q$kept\E/, 20, $from), 'a second name too';
    is slurp($other), "untouched\n", 'and its target left alone';
    unlink $kept;
};
done_testing;
