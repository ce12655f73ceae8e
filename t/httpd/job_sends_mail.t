#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Debian's own MTA in a job: exim4's `sendmail -t` accepts a mail and delivers
# it, with the privileges that its set-uid bit gives. It has its own
# configuration, spool and mailbox, in a mount namespace of this test's httpd.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);

my $exim = '/usr/sbin/exim4';
plan skip_all => 'exim4 is not installed' if !-x $exim;
plan skip_all => 'needs root' if $< != 0;
plan skip_all => 'no mount namespace can be made here'
    if system("unshare --mount true 2>/dev/null") != 0;

# The shell gets the directory when the server has one.
my $mount = <<'END';
for place in /etc/exim4 /var/spool/exim4 /var/log/exim4; do
    [ ! -d $place ] || mount --bind "$SPAWN_MAIL$place" $place || exit 1
done
exec "$@"
END
my $httpd = SpawnTest::Httpd->new(mpm => one_mpm());
my $mail = $httpd->dir . '/mail';
$httpd->{wrapper} = [ 'env', "SPAWN_MAIL=$mail", qw(unshare --mount sh -c), $mount, 'sh' ];

my ($uid, $gid) = (getpwnam 'Debian-exim')[2, 3];
plan skip_all => 'exim4 has no account here' if !defined $uid;
for my $place (qw(/etc/exim4 /var/spool/exim4 /var/log/exim4 /box)) {
    system('mkdir', '-p', "$mail$place") == 0 or die "$mail$place\n";
    chown $uid, $gid, "$mail$place" if $place ne '/etc/exim4';
}
chown $httpd->uid, $httpd->gid, "$mail/box";
open my $out, '>', "$mail/etc/exim4/exim4.conf" or die "exim4.conf: $!\n";
print {$out} <<"END";
primary_hostname = spawn.test
qualify_domain = spawn.test
local_interfaces = 127.0.0.1
spool_directory = /var/spool/exim4
log_file_path = /var/log/exim4/%slog
never_users =
begin routers
all:
  driver = accept
  transport = box
begin transports
box:
  driver = appendfile
  file = $mail/box/mail
  user = ${\$httpd->user}
  group = ${\scalar getgrgid $httpd->gid}
END
close $out or die "exim4.conf: $!\n";
$httpd->start;

my $result = $httpd->run([ '/bin/sh', '-c',
        'printf "To: someone@spawn.test\nSubject: from a job\n\nthe text\n" | ' . "$exim -t -odi" ],
    stdout => 'capture', stderr => 'capture', timeout => 30);
is $result->{exit_code}, 0, 'sendmail accepts the mail' or diag explain $result;
my $box = "$mail/box/mail";
ok wait_until(sub { -s $box }, 30), 'and it arrives' or do {
    for my $log (glob "$mail/var/log/exim4/*") {
        open my $in, '<', $log or next;
        diag $log, ': ', $_ while <$in>;
    }
};
if (open my $in, '<', $box) {
    like join('', <$in>), qr/^Subject: from a job\n.*^the text$/ms, 'as it was sent';
    is((stat $in)[4], $httpd->uid, 'to a file of the user');
}
is_deeply [ glob "$mail/var/spool/exim4/input/*" ], [], 'nothing waits in the queue';
done_testing;
