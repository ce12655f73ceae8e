#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A virtual host with an ErrorLog of its own has in it what its jobs say and how
# they failed, before and after a rotation, and when the broker was killed.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use IO::Socket::INET ();
use JSON::PP ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::SystemLog;

my $conf = <<'END';
<VirtualHost *>
    ServerName 127.0.0.1
</VirtualHost>
<VirtualHost *>
    ServerName shop.example
    ErrorLog DIR/shop_log
</VirtualHost>
<VirtualHost *>
    ServerName blog.example
    ErrorLog "|/bin/sh -c 'exec /bin/cat >>DIR/blog_log'"
</VirtualHost>
END

# Has a job submitted by a request to this virtual host; returns its id.
sub submit {
    my ($httpd, $vhost, $script) = @_;
    my $body = JSON::PP->new->encode(
        { argv => [ '/bin/sh', '-c', $script ], options => { stdout => 'log', stderr => 'log' } });
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $httpd->port) or die "connect: $@\n";
    print {$socket} "POST /do/request_spawn HTTP/1.0\r\nHost: $vhost\r\nContent-Type: application/json\r\n",
        'Content-Length: ', length $body, "\r\n\r\n$body";
    local $/ = undef;
    my ($answer) = <$socket> =~ /\r\n\r\n(.*)/s;
    return JSON::PP->new->decode($answer)->{id};
}

sub has {
    my ($path, $pattern) = @_;
    return wait_until(
        sub {
            open my $in, '<', $path or return;
            local $/ = undef;
            return <$in> =~ $pattern;
        },
        20
    );
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm);
        my $dir = $httpd->dir;
        ($httpd->{conf} = $conf) =~ s/DIR/$dir/g;
        $httpd->start;

        my $shop = submit($httpd, 'shop.example', 'echo of the shop >&2; echo out; exit 3');
        ok has("$dir/shop_log", qr/\[spawn:error\] \[pid \d+\] job \Q$shop\E(?: \(request \S+\))? stderr: of the shop$/m), 'what it says';
        ok has("$dir/shop_log", qr/job \Q$shop\E(?: \(request \S+\))? stdout: out$/m), 'on both streams';
        ok has("$dir/shop_log", qr/\[spawn:warn\] \[pid \d+\] MS0682: job \Q$shop\E exited with code 3 /m),
            'and how it failed';
        my $blog = submit($httpd, 'blog.example', 'echo of the blog >&2; exit 4');
        ok has("$dir/blog_log", qr/job \Q$blog\E(?: \(request \S+\))? stderr: of the blog$/m), 'another one, whose log is a program';
        ok has("$dir/blog_log", qr/MS0682: job \Q$blog\E exited with code 4 /m), 'the same';
        my $main = submit($httpd, 'elsewhere.example', 'echo of the server >&2; exit 5');
        ok $httpd->wait_for_log(qr/job \Q$main\E(?: \(request \S+\))? stderr: of the server$/m), 'the main log has the rest';
        unlike $httpd->error_log, qr/\Q$shop\E|\Q$blog\E/, 'and nothing of those';
        ok !has_now("$dir/shop_log", qr/\Q$main\E|\Q$blog\E/), 'nor have they of each other';

        # While a job runs: the broker is killed, and the log rotated.
        my $gate = $httpd->work . '/gate';
        my $id = submit($httpd, 'shop.example', "echo first >&2; until [ -e $gate ]; do sleep 0.05; done; echo last >&2");
        ok has("$dir/shop_log", qr/\Q$id\E(?: \(request \S+\))? stderr: first$/m), 'one that runs on';
        my $broker = $httpd->kill_pair('broker');
        ok $httpd->new_pid(broker => $broker), 'another broker';
        my $fifth = submit($httpd, 'shop.example', 'echo for the new one >&2');
        ok has("$dir/shop_log", qr/\Q$fifth\E(?: \(request \S+\))? stderr: for the new one$/m), 'which has the logs too';
        rename "$dir/shop_log", "$dir/shop_log.1" or die "rename: $!\n";
        $httpd->graceful;
        open my $out, '>', $gate or die "$gate: $!\n";
        close $out or die "$gate: $!\n";
        ok has("$dir/shop_log", qr/\Q$id\E(?: \(request \S+\))? stderr: last$/m), 'its end stands in the new log';
        ok !has_now("$dir/shop_log.1", qr/\Q$id\E(?: \(request \S+\))? stderr: last$/m), 'and not in the old one';
    }
);

# As has, without waiting.
sub has_now {
    my ($path, $pattern) = @_;
    open my $in, '<', $path or return 0;
    local $/ = undef;
    return <$in> =~ $pattern;
}

SKIP: {
    my $why = SpawnTest::SystemLog->missing;
    skip $why, 1 if $why;
    subtest "a virtual host's syslog" => sub {
        my $httpd = SpawnTest::Httpd->new;
        my $dir = $httpd->dir;
        my $log = SpawnTest::SystemLog->new("$dir/dev");
        $httpd->{wrapper} = $log->wrapper;
        ($httpd->{conf} = $conf) =~ s{ErrorLog DIR/shop_log}{ErrorLog syslog:mail:shop};
        $httpd->{conf} =~ s/DIR/$dir/g;
        $httpd->start;
        my $id = submit($httpd, 'shop.example', 'echo of the shop >&2');
        ok wait_until(sub { $log->text =~ /^<19>.* shop\[\d+\]: \[spawn:error\] .* \Q$id\E(?: \(request \S+\))? stderr: of the shop$/m }, 20),
            'beside a main log that is a file';
        unlike $httpd->error_log, qr/\Q$id\E/, 'which does not have it';
    };
}
done_testing;
