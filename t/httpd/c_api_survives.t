#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Events around a module in C that uses the API: many threads at once, a process
# that its handler forks, an httpd child that is killed after a submit, a client
# that goes away during a wait, restarts that load mod_spawn anew, one process
# that is all of httpd. No descriptor is left over; in the parent nothing is
# submitted.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use IO::Socket::INET ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::CApi;

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::CApi->new(mpm => $mpm, conf => "SpawnSubmitTimeout 30s\n")->start;

        my $parent = $httpd->capi('parent');
        is $parent->{code}, 'unreachable', 'the parent submits nothing';
        like $parent->{message}, qr/only from httpd's children/, 'and is told why';

        is $httpd->capi('threads/12', '/bin/cat')->{bad}, 0, 'each of many threads has its own answers';

        my $forked = $httpd->capi('forked', '/bin/sh', '-c', 'exit 7');
        is $forked->{forked}, 7, 'a forked process has its own';
        is $forked->{exit_code}, 7, 'and the handler that forked it';

        my $left = $httpd->capi('fds/20', '/bin/echo', 'text');
        is $left->{good}, 21, 'a descriptor stays open here, and is gone with job and caller';
        cmp_ok $left->{more}, '<=', 0, 'none is left over';

        # a child that is killed
        my $mark = $httpd->work . '/mark';
        my $gate = SpawnTest::Gate->new($httpd, 'dies');
        my $child = $httpd->get($httpd->capi_path('dies', '/bin/sh', '-c', 'read x <"$1"; echo ran >"$2"', 'sh', $gate->path, $mark));
        ok !$child->{success}, 'an httpd child is killed';
        $gate->let;
        ok wait_until(sub { -s $mark }, 30), 'its job runs on';

        # a client that goes
        $gate = SpawnTest::Gate->new($httpd, 'client');
        unlink $mark;
        my $client = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $httpd->port) or die "connect: $!\n";
        my $path = $httpd->capi_path('submit/3/-1', '/bin/sh', '-c', 'echo began >"$2"; read x <"$1"; echo ran >>"$2"',
            'sh', $gate->path, $mark);
        print {$client} "GET $path HTTP/1.0\r\n\r\n";
        ok wait_until(sub { -s $mark }, 30), 'a job runs, and its handler waits';
        close $client or die "close: $!\n";
        $gate->let;
        ok wait_until(sub { open my $in, '<', $mark or return 0; local $/ = undef; return <$in> eq "began\nran\n" }, 30),
            'its client goes, and it runs to its end';

        for my $how (qw(graceful restart)) {
            $httpd->$how;
            is $httpd->capi('submit/3/-1', '/bin/echo', $how)->{out}, $how, "after a $how it is found anew";
        }
        unlike $httpd->error_log, qr/exit signal (?!Killed)/, 'nothing has crashed';
    }
);

subtest 'httpd -X' => sub {
    my $httpd = SpawnTest::CApi->new(mpm => (SpawnTest::mpms())[0], single => 1)->start;
    is $httpd->capi('submit/3/-1', '/bin/echo', 'one process')->{out}, 'one process', 'a parent that is its own child';
};

subtest 'without mod_spawn' => sub {
    my $httpd = SpawnTest::CApi->new(mpm => (SpawnTest::mpms())[0], spawn => 0)->start;
    is $httpd->get('/capi/parent')->{status}, 503, 'the module is loaded, and finds nothing';
};
done_testing;
