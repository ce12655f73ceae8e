#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# docs/getting-started.md does what it says: its handler and its httpd.conf are copied, and what it
# types is typed.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(build_dir mpms root_dir wait_until);

my $page = do {
    open my $in, '<', root_dir() . '/docs/getting-started.md' or die "docs/getting-started.md: $!\n";
    local $/ = undef;
    <$in>;
};

my %copied;
while ($page =~ /^<!-- file: (\S+) -->\n\n((?:(?: {4}.*)?\n)+)/mg) {
    my ($file, $text) = ($1, $2);
    $copied{$file} = $text =~ s/^ {4}//mgr;
}
is_deeply [ sort keys %copied ], [ 'My/Hello.pm', 'httpd.conf' ], 'a configuration and a handler to copy';
my @typed;
while ($page =~ /^<!-- run: (.*?) -->\n\n {4}(.*)\n/mg) {
    push @typed, [ $2, $1 ];
}
cmp_ok scalar @typed, '>=', 3, 'commands to type';

my $httpd = SpawnTest::Httpd->new(mpm => (mpms())[0], spawn => 0, handlers => 0);
my $dir = $httpd->dir;
mkdir "$dir/perl/My" or die "$dir/perl/My: $!\n";
chmod 0755, "$dir/perl/My" or die "$dir/perl/My: $!\n";
$httpd->file('../perl/My/Hello.pm', $copied{'My/Hello.pm'});
my $conf = $copied{'httpd.conf'};
ok $conf =~ s{(?<=-I)/srv/perl\b}{$dir/perl}, 'the library is ours';
my $here = build_dir();
# Every httpd of a distribution has it, for Require local. A busy machine needs more than
# the page's 2 s for an answer.
chomp(my $modules = `apxs -q LIBEXECDIR`);
$httpd->{conf} = "LoadModule authz_host_module $modules/mod_authz_host.so\nLoadModule spawn_module $here/mod_spawn.so\nSpawnSubmitTimeout 60\nPerlModule Apache2::Spawn\n$conf";
$httpd->start;

local $ENV{PATH} = "$here:$ENV{PATH}";
local $ENV{SPAWN_SOCKET} = $httpd->socket;
my $port = $httpd->port;
for (@typed) {
    my ($command, $want) = @{$_};
    $command =~ s{http://127\.0\.0\.1/}{http://127.0.0.1:$port/};
    my $said = q{};
    ok wait_until(sub { $said = `$command 2>&1`; $? == 0 && $said =~ /$want/ }, 30), $command or diag $said, $httpd->tail;
}
like $httpd->get('/spawn-status')->{content}, qr/slow/, 'the page shows the queue';
ok $httpd->wait_for_log(qr/job [0-9a-f-]{36} .*the address has 6 letters/, 30), 'and the log what the function said';
$httpd->clean;

done_testing;
