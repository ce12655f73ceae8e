#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Closing a handle can take as long as who passed it likes: a connection with
# SO_LINGER whose other end does not read, a terminal with output that nobody
# takes, a file whose file system does not answer (FUSE; NFS is the same, and
# needs a server that the tests cannot have). Broker and spawner wait for neither: others are answered at once, and
# their jobs run, while such a handle came with a job that is refused, that
# waits, that has run.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(time);

use SpawnTest qw(each_mpm);
use SpawnTest::Strangers ();

use constant AT_ONCE => 15;   # seconds; the handles take a minute, or for ever

my $httpd;

# Another caller, and a job of its own.
sub others_go_on {
    my ($name) = @_;
    my $since = time;
    my $ran = $httpd->run([qw(/bin/echo here)], timeout => 30);
    is $ran->{stdout}, "here\n", "$name: another job runs" or diag explain $ran;
    cmp_ok time - $since, '<', AT_ONCE, "$name: at once";
    return;
}

sub try_with {
    my ($kind, $what, $strangers, $hang) = @_;
    my @said = $strangers->comes($httpd->uid, 'submit', $what, 'nowhere');
    is_deeply [ @said[ 0, 1, 2 ] ], [ 'welcome ', 'sent', 'refused unknown_queue' ], "$kind: refused"
        or diag explain \@said;
    others_go_on("$kind: refused");

    my $gate = SpawnTest::Gate->new($httpd, $kind);
    my $first = $httpd->spawn($gate->job('exit 0'), queue => 'slow', reply => 'started');
    ok $first->{pid}, "$kind: its queue is busy" or diag explain $first;
    @said = $strangers->comes($httpd->uid, 'submit', $what, 'slow');
    is $said[2], 'accepted ', "$kind: it waits" or diag explain \@said;
    $hang->();
    others_go_on("$kind: held");
    $gate->let(1);
    is $httpd->wait($first->{id})->{exit_code}, 0, "$kind: its turn comes";
    others_go_on("$kind: run");
    others_go_on("$kind: later");
    return;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        $httpd = SpawnTest::Httpd->new(
            mpm => $mpm,
            conf => "<SpawnQueue slow>\nSpawnMaxJobs 1\n</SpawnQueue>\n"
        )->start;
        my $strangers = SpawnTest::Strangers->new($httpd);
        my @pair = ($httpd->spawner_pid, $httpd->broker_pid);

        try_with($_, $_, $strangers, sub { }) for qw(tcp tty);
        SKIP: {
            my ($file, $why) = $strangers->hanging_file;
            skip "no file system that hangs: $why", 1 if !defined $file;
            subtest 'fuse' => sub { try_with('fuse', $file, $strangers, sub { $strangers->hang }) };
        }
        # of one account only so many: more are not taken, all else is
        my @said = $strangers->comes($httpd->uid, 'many', 'tcp', 'nowhere');
        # 64 that wait, those that are being closed, what came before that was seen; and on
        # a busy machine those that closed at once, while the stranger still had a copy
        cmp_ok scalar(grep { $_ eq 'refused unknown_queue' } @said), '<', 2500, 'handles are taken up to a bound';
        like $said[-1], qr/\A(?:refused system|not sent: Operation not permitted)\z/, 'then no more';
        others_go_on('over the bound');
        is_deeply [ $httpd->spawner_pid, $httpd->broker_pid ], \@pair, 'the pair is the same';
    }
);
done_testing;
