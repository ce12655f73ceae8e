#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A template that cannot be frozen serves as it is, and the log says why, once for
# all its processes: below a filter that forbids memfd_create, with RLIMIT_FSIZE, with a
# library that has a malloc of its own. Its neighbour is frozen. With sanitizers none is, and that is told too.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(build_dir wait_until);
use SpawnTest::Frozen qw(frozen functions memory_of);
use SpawnTest::Templates ();

if (SpawnTest::sanitized()) {
    my $t = SpawnTest::Templates->new->start;
    ok $t->spawn->call('My::Work::pid'), 'with a sanitizer: jobs run';
    ok $t->httpd->wait_for_log(qr/MS0691: template app \(pid \d+\) .*: it runs with a sanitizer/),
        '... and the log says why the template is not frozen';
    done_testing;
    exit 0;
}
my $deny = build_dir() . '/t/deny';
my $library = build_dir() . '/t/inner_malloc.so';
my $t = SpawnTest::Templates->new(
    files => {
        'My/Frozen.pm' => functions(),
        'My/Inner.pm' => "package My::Inner; require DynaLoader; DynaLoader::dl_load_file('$library') or die DynaLoader::dl_error(); 1;\n",
        'filtered' => "#!/bin/sh\nexec $deny 38 memfd_create $^X \"\$\@\"\n",
        'limited'  => "#!/bin/sh\nulimit -f 1\nexec $^X \"\$\@\"\n",
    });
chmod 0755, map { $t->inc . "/$_" } qw(filtered limited);
my $perl = $t->inc;
$t->configure(<<"CONF");
SpawnTemplate app      exec inc=\@INC\@ preload=My::Work,My::Frozen
SpawnTemplate filtered exec inc=\@INC\@ preload=My::Work,My::Frozen max_jobs=2 perl=$perl/filtered
SpawnTemplate limited  exec inc=\@INC\@ preload=My::Work,My::Frozen perl=$perl/limited
SpawnTemplate inner    exec inc=\@INC\@ preload=My::Work,My::Frozen,My::Inner
CONF
$t->start;
my $spawn = $t->spawn;
my %why = (
    filtered => qr/memfd_create: Function not implemented; it has huge pages where that can be/,
    inner    => qr/inner_malloc\.so has a malloc of its own \(je_malloc\); it has huge pages where that can be/,
    limited  => qr/ftruncate of a memfd: File too large; it has huge pages where that can be/,
);

for my $name (sort keys %why) {
    ok $spawn->call('My::Frozen::unchanged', [], template => $name), "$name: its jobs run";
    is_deeply [ frozen(memory_of($t->pids($name))) ], [], '... it is not frozen';
    ok $t->httpd->wait_for_log(qr/MS0691: template $name \(pid \d+\) .*: $why{$name}/), '... and the log says why';
}
my ($pid) = $t->pids('filtered');
for (1 .. 3) {
    $spawn->call('My::Work::pid', [], template => 'filtered');
}
ok wait_until(sub { my @now = $t->pids('filtered'); return @now && $now[-1] != $pid }, 20), 'another process follows one';
is $spawn->call('My::Work::echo', ['x'], template => 'filtered'), 'x', '... and serves';
ok $t->httpd->wait_for_log(qr/MS0604: template filtered.*MS0604: template filtered/s), "... as the log says";
my @told = $t->httpd->error_log =~ /MS0691: template (\w+)/g;
is_deeply [ sort @told ], [ sort keys %why ], 'it was told once for each template';
cmp_ok scalar(() = frozen(memory_of($t->pids('app')))), '>', 5, 'their neighbour is frozen';
done_testing;
