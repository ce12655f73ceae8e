#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Set-uid programs and programs with file capabilities work in jobs as they do
# below httpd itself (a CGI script that calls sendmail, ping, sudo): jobs have
# the bounding set that httpd was started with, programs and Perl functions of
# both kinds of template. SpawnBoundingSet makes it smaller for all of them.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use File::Copy qw(copy);
use Test::More;

use SpawnTest qw(each_mpm one_mpm build_dir);
use SpawnTest::Calls ();

use constant { KILL => 5, SETGID => 6, SETUID => 7, SETPCAP => 8, NET_RAW => 13 };

plan skip_all => 'needs root: others cannot give a file away' if $< != 0;

sub status_of {
    my ($pid, $name) = @_;
    open my $in, '<', "/proc/$pid/status" or die "/proc/$pid/status: $!\n";
    my ($value) = map { /^\Q$name\E:\s*(.*)/ ? $1 : () } <$in>;
    return $value;
}

sub set { my $set = 0; $set |= 1 << $_ for @_; return sprintf '%016x', $set }

# Copies of the probe: with root's set-uid bit, with a file capability.
sub probes {
    my ($httpd) = @_;
    my %probe = map { $_ => $httpd->dir . "/bin/probe-$_" } qw(uid cap);
    for my $path (values %probe) {
        copy($httpd->probe, $path) or die "$path: $!\n";
    }
    chmod 04755, $probe{uid} or die "chmod: $!\n";
    chmod 0755, $probe{cap} or die "chmod: $!\n";
    my $status = system build_dir() . '/t/filecap', $probe{cap}, NET_RAW;
    return if $status >> 8 == 1;    # this file system has none
    die "filecap (make probe): $status\n" if $status != 0;
    # A file system that is mounted nosuid takes both and gives nothing.
    my $report = $httpd->work . '/nosuid.json';
    system 'setpriv', '--reuid=' . $httpd->uid, '--clear-groups', $probe{uid}, $report;
    my $seen = $httpd->report($report, 5) or return;
    return if $seen->{euid} != 0;
    return %probe;
}

# The report of the probe at that path, in a job of that kind.
sub seen_by {
    my ($httpd, $kind, $path) = @_;
    my $report = $httpd->work . "/$kind-" . ($path =~ /(\w+)\z/)[0] . '.json';
    if ($kind eq 'program') {
        $httpd->run([ $path, $report ]);
    } else {
        my $answer = SpawnTest::Calls->ask($httpd,
            'Apache2::Spawn->call("SpawnTest::Functions::runs", [@_[1, 2]], template => $_[0])',
            $kind, $path, $report);
        diag explain $answer if !$answer->{values};
    }
    return $httpd->report($report, 5) || {};
}

sub httpd {
    my (%options) = @_;
    return SpawnTest::Calls->httpd(
        templates => "SpawnTemplate tools exec preload=SpawnTest::Functions inc=\@INC@\n"
            . "PerlModule SpawnTest::Functions\n",
        %options
    )->start;
}

my @kinds = qw(program app tools);
each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = httpd(mpm => $mpm);
        my %probe = probes($httpd) or do {
            plan skip_all => 'set-uid bits and file capabilities do not count in ' . $httpd->dir;
        };
        my $all = status_of($httpd->pid, 'CapBnd');
        for my $kind (@kinds) {
            my $seen = seen_by($httpd, $kind, $httpd->probe);
            is $seen->{status}{CapBnd}, $all, "$kind: the bounding set of httpd";
            is $seen->{status}{CapPrm}, set(), "$kind: no capability by itself";
            is $seen->{no_new_privs}, 0, "$kind: exec may give more";
            $seen = seen_by($httpd, $kind, $probe{uid});
            is $seen->{euid}, 0, "$kind: a set-uid program is root";
            is $seen->{status}{CapEff}, $all, "$kind: ... with all that root has";
            $seen = seen_by($httpd, $kind, $probe{cap});
            is $seen->{status}{CapEff}, set(NET_RAW), "$kind: a file's capability counts";
        }
        is status_of($httpd->spawner_pid, $_), set(KILL, SETGID, SETUID, SETPCAP), "spawner: $_"
            for qw(CapPrm CapEff);
        is status_of($httpd->spawner_pid, 'CapInh'), set(), 'spawner: nothing to be inherited';
        is status_of($httpd->broker_pid, 'CapPrm'), set(), 'broker: no capability';
        is status_of($httpd->broker_pid, 'NoNewPrivs'), 1, 'broker: exec would give it none';
    }
);

subtest 'SpawnBoundingSet' => sub {
    my $httpd = httpd(mpm => one_mpm(), conf => "SpawnBoundingSet NET_RAW CAP_KILL\n");
    my %probe = probes($httpd) or do {
        plan skip_all => 'set-uid bits and file capabilities do not count in ' . $httpd->dir;
    };
    for my $kind (@kinds) {
        my $seen = seen_by($httpd, $kind, $probe{uid});
        is $seen->{status}{CapBnd}, set(NET_RAW, KILL), "$kind: what it names is left";
        is $seen->{status}{CapEff}, set(NET_RAW, KILL), "$kind: ... for set-uid programs too";
        $seen = seen_by($httpd, $kind, $probe{cap});
        is $seen->{status}{CapEff}, set(NET_RAW), "$kind: a file's capability counts";
    }

    # Each restart decides anew: what the spawner kept for it is not lost.
    $httpd->{conf} =~ s/^SpawnBoundingSet.*/SpawnBoundingSet none/m or die;
    $httpd->graceful;
    is seen_by($httpd, $_, $httpd->probe)->{status}{CapBnd}, set(), "$_: none after a graceful"
        for 'program';
    $httpd->{conf} =~ s/^SpawnBoundingSet.*/SpawnBoundingSet all/m or die;
    $httpd->graceful;
    is seen_by($httpd, 'program', $probe{uid})->{status}{CapBnd}, status_of($httpd->pid, 'CapBnd'),
        'program: and all after another one';
};

subtest 'an httpd of an ordinary user cannot keep SpawnBoundingSet' => sub {
    my $httpd = SpawnTest::Httpd->new(
        mpm => one_mpm(), as => 'www-data', conf => "SpawnBoundingSet none\n");
    my ($code, $said) = $httpd->start_refused;
    isnt $code, 0, 'it does not start';
    like $said, qr/MS0270\b.*\bline [0-9]+ of \S+: SpawnBoundingSet needs/, '... and says why';
};
done_testing;
