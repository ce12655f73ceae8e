#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job's surroundings, seen from inside: nothing that nobody asked for. Own
# session and group, the spawner as parent, /dev/null, no other descriptor, a
# small environment, default signals, httpd's User without any right.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Errno ();
use File::Temp ();
use POSIX ();
use Test::More;

use SpawnTest qw(each_mpm);

sub own {
    my ($file, $pattern) = @_;
    open my $in, '<', "/proc/self/$file" or die "/proc/self/$file: $!\n";
    my ($line) = map { /$pattern/ ? $1 : () } <$in>;
    return split ' ', $line;
}

sub file_limit {
    my ($soft, $hard) = own('limits', qr/^Max open files\s+(\S+\s+\S+)/);
    return [ map { $_ eq 'unlimited' ? -1 : 0 + $_ } $soft, $hard ];
}

# Those of httpd's User, or our own.
sub groups_of {
    my ($httpd) = @_;
    my %groups;
    if ($< == 0) {
        $groups{ $httpd->gid } = 1;
        setgrent;
        while (my ($name, undef, $gid, $members) = getgrent) {
            $groups{$gid} = 1 if grep { $_ eq $httpd->user } split / /, $members;
        }
    } else {
        %groups = map { $_ => 1 } own('status', qr/^Groups:\s*(.*)/);
    }
    return [ sort { $a <=> $b } keys %groups ];
}

sub look {
    my ($httpd, $report, @options) = @_;
    my $path = $httpd->work . "/$report.json";
    my $job = $httpd->spawn([ $httpd->probe, $path, 'two words' ],
        reply => 'started', @options);
    is $job->{error}, undef, 'started' or diag explain $job;
    my $seen = $httpd->report($path) or die "no report from the job\n" . $httpd->tail;
    return ($job, $seen);
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm)->start;
        my ($job, $seen) = look($httpd, 'plain', env => { GIVEN => "a b\n\"c" });
        my $pid = $seen->{pid};

        is $seen->{sid}, $pid, 'own session';
        is $seen->{pgid}, $pid, 'own process group';
        is $seen->{ppid}, $httpd->spawner_pid, 'the spawner is its parent';
        is $job->{pid}, $pid, 'the caller was told its pid';

        is_deeply $seen->{fds}, { map { $_ => '/dev/null' } 0 .. 2 },
            'stdin, stdout, stderr are /dev/null and nothing else is open';
        isnt $seen->{fd_flags}{0} & 3, POSIX::O_WRONLY(), 'stdin can be read';
        isnt $seen->{fd_flags}{$_} & 3, POSIX::O_RDONLY(), "descriptor $_ can be written"
            for 1, 2;

        my %env = map { split /=/, $_, 2 } @{ $seen->{env} };
        is_deeply [ sort keys %env ],
            [qw(GIVEN HOME LANG LOGNAME PATH SPAWN_JOB_ID SPAWN_QUEUE USER)],
            'the environment has the documented names and what was given';
        is $env{GIVEN}, "a b\n\"c", 'a given variable';
        is $env{PATH}, '/usr/local/bin:/usr/bin:/bin', 'PATH';
        is $env{USER}, $httpd->user, 'USER';
        is $env{LOGNAME}, $httpd->user, 'LOGNAME';
        my $home = (getpwnam $httpd->user)[7];
        is $env{HOME}, -d $home ? $home : '/', 'HOME';
        is $env{SPAWN_JOB_ID}, $job->{id}, 'SPAWN_JOB_ID';
        is $env{SPAWN_QUEUE}, 'default', 'SPAWN_QUEUE';

        is $seen->{cwd}, '/', 'directory';
        is $seen->{umask}, '0022', 'umask';
        is_deeply [ @{ $seen->{argv} }[0, 2] ], [ $httpd->probe, 'two words' ], 'arguments';

        my $none = '0' x 16;
        is $seen->{status}{SigBlk}, $none, 'no signal blocked';
        is $seen->{status}{SigIgn}, $none, 'no signal ignored';
        is $seen->{status}{SigCgt}, $none, 'no signal caught';

        is $seen->{scheduler}, 0, 'ordinary scheduling';
        is $seen->{nice}, getpriority(0, 0), 'nice';
        is $seen->{no_new_privs}, 0, 'set-id programs work (sendmail)';
        ok !$seen->{subreaper}, 'no subreaper';
        is $seen->{dumpable}, 1, 'can be debugged by its user';
        is_deeply $seen->{limits}{files}, file_limit(),
            'the file limit that httpd was started with';

        is $seen->{$_}, $httpd->uid, $_ for qw(uid euid);
        is $seen->{$_}, $httpd->gid, $_ for qw(gid egid);
        is_deeply [ sort { $a <=> $b } @{ $seen->{groups} } ], groups_of($httpd), 'groups';
        is $seen->{status}{$_}, $none, "no capability in $_" for qw(CapInh CapPrm CapEff CapAmb);

        my $end = $httpd->wait($job->{id});
        is $end->{outcome}, 'exited', 'outcome';
        is $end->{exit_code}, 0, 'exit code';
    }
);
done_testing;
