#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Below a filter of system calls, as containers and service managers have it:
# what has another way goes that way (scheduling class, splice, close_range,
# execveat, eventfd, inotify), and what has none keeps httpd from starting with a line that says
# what is missing and what to do.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Errno qw(ENOSYS EPERM);
use Test::More;

use SpawnTest qw(each_mpm one_mpm build_dir);
use SpawnTest::Calls ();

my @with_another_way = qw(sched_setscheduler splice close_range execveat eventfd2 inotify_init1);

sub deny {
    my ($errno, @calls) = @_;
    return wrapper => [ build_dir() . '/t/deny', $errno, join ',', @calls ];
}

sub jobs_run {
    my ($httpd) = @_;
    my $path = $httpd->work . '/report.json';
    my $result = $httpd->run([ $httpd->probe, $path ]);
    is $result->{outcome}, 'exited', 'a job runs' or diag explain $result;
    my $seen = $httpd->report($path, 5) || {};
    cmp_ok $seen->{status}{Seccomp} || 0, '==', 2, 'below the filter';
    is_deeply [ sort keys %{ $seen->{fds} || {} } ], [ 0 .. 2 ], '... with no descriptor that it did not ask for';
    is $seen->{scheduler}, 0, '... in the ordinary class';

    # More than a pipe holds, with each byte there is.
    my $all = 'print pack(q{C*}, 0 .. 255) x 1000; print STDERR q{e} x 70_000';
    $result = SpawnTest::Calls->ask($httpd, <<'END', $all)->{values}[0];
my $r = Apache2::Spawn->run([ '/usr/bin/perl', '-e', $_[0] ], stdout => 'capture', stderr => 'capture');
return { out => $r->stdout eq pack('C*', 0 .. 255) x 1000 ? 'all' : length $r->stdout, err => length $r->stderr };
END
    is_deeply $result, { out => 'all', err => 70_000 }, 'captured output is whole';
    $result = $httpd->run([ '/usr/bin/perl', '-e', 'print q{x} x 300_000' ],
        stdout => 'capture', capture_limit => 100_000);
    is length $result->{stdout}, 100_000, 'up to its limit' or diag explain $result->{error};

    for my $template (qw(app tools)) {
        my $answer = SpawnTest::Calls->ask($httpd,
            'Apache2::Spawn->call("SpawnTest::Functions::sum", [ 1 .. 4 ], template => $_[0])', $template);
        is_deeply $answer->{values}, [10], "a function of template $template" or diag explain $answer;
    }
    return;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(
            mpm => $mpm,
            templates => "SpawnTemplate tools exec preload=SpawnTest::Functions inc=\@INC@\n"
                . "PerlModule SpawnTest::Functions\n",
            deny($mpm eq 'prefork' ? EPERM : ENOSYS, @with_another_way)
        )->start;
        jobs_run($httpd);
    }
);

sub refuses {
    my ($name, $pattern, @options) = @_;
    my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), @options);
    my ($code, $said) = $httpd->start_refused;
    isnt $code, 0, "$name: httpd does not start" or return;
    like $said, $pattern, '... and says what is missing, and what to do';
    ok $httpd->pair_gone, '... and leaves nothing';
    return;
}

refuses($_, qr/MS0271: $_ does not work.*allow it there/, deny(EPERM, $_)) for qw(memfd_create pidfd_open);
refuses('signalfd', qr/MS0350: the spawner cannot read signals \(signalfd\).*allow it there/,
    deny(ENOSYS, 'signalfd4'));

SKIP: {
    my @alone = qw(unshare --mount);
    skip 'no mount namespace can be made here', 3
        if $< != 0 || system("@alone sh -c 'mount -t tmpfs none /proc' 2>/dev/null") != 0;
    refuses('/proc', qr{MS0272: /proc/self/fd is not there: mount /proc},
        wrapper => [ @alone, 'sh', '-c', 'mount -t tmpfs none /proc && exec "$@"', 'sh' ]);
}
done_testing;
