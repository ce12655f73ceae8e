#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Every fault of the configuration is found by `httpd -t`, with file, line and
# a text that says what is wrong and what is wanted. Starts nothing.
use strict;
use warnings;

use Cwd qw(abs_path);
use File::Spec ();
use File::Temp qw(tempdir);
use FindBin qw($Bin);
use Test::More;

our $httpd  = $ENV{HTTPD} || '/usr/sbin/apache2';
my $build  = abs_path($ENV{SPAWN_BUILD} || File::Spec->catdir($Bin, '..', '..', 'build'));
my $module = "$build/mod_spawn.so";
my $mods   = $ENV{HTTPD_MODULES} || '/usr/lib/apache2/modules';
my $dir    = tempdir(CLEANUP => 1);
my $file   = "$dir/httpd.conf";

plan skip_all => "$module is not built" if !-e $module;

my @head = (
    "ServerRoot $dir",
    'ServerName localhost',
    "LoadModule mpm_event_module $mods/mod_mpm_event.so",
    "LoadModule authz_core_module $mods/mod_authz_core.so",
    "LoadModule spawn_module $module",
    "PidFile $dir/pid",
    "DefaultRuntimeDir $dir",
    "ErrorLog $dir/error_log",
    'Listen 127.0.0.1:1',
);

# Exit code and output of -t on the head and these lines.
sub check {
    my @lines = @_;
    open my $out, '>', $file or die "$file: $!";
    print {$out} map { "$_\n" } @head, @lines;
    close $out or die "$file: $!";
    my $text = qx($httpd -t -f $file 2>&1);
    return ($? >> 8, $text);
}

sub accepted {
    my ($name, @lines) = @_;
    my ($code, $text) = check(@lines);
    ok($code == 0 && $text =~ /Syntax OK/, "taken: $name") or diag($text);
    return;
}

# The fault is in the line-th of these lines.
sub refused {
    my ($line, $rx, @lines) = @_;
    my ($code, $text) = check(@lines);
    my $number = @head + $line;
    isnt($code, 0, "refused: $lines[$line - 1]");
    like($text, qr/line \Q$number\E of \Q$file\E/, '... with file and line');
    like($text, $rx, '... and the reason');
    return;
}

my $long   = '/tmp/' . 's' x 103;
my $global = qr/cannot occur within <VirtualHost> section/;

accepted('nothing but LoadModule');
accepted(
    'everything, with a queue before the defaults',
    '<SpawnQueue images>', 'SpawnMaxJobs 4', 'SpawnTimeout none', '</SpawnQueue>',
    '<SpawnQueue "default">', 'SpawnMaxQueued 0', '</SpawnQueue>',
    'SpawnSocket other/socket', 'SpawnStore /var/lib/mod_spawn', 'SpawnSubmitTimeout 500ms',
    'SpawnMaxJobs 99996',       'SpawnMaxQueued 10000000',       'SpawnTimeout 5min',
    'SpawnHistory 0 7d',        'SpawnOnStop Kill'
);
accepted('1000 SpawnAccess, and none beside',
    ('SpawnAccess user=#61001 see') x 999, '<SpawnQueue q>', 'SpawnAccess group=#61001 all', '</SpawnQueue>', '<SpawnQueue p>', 'SpawnAccess none', '</SpawnQueue>');
refused(1002, qr/SpawnAccess: there are 1000 already, more are not allowed/,
    ('SpawnAccess user=#61001 see') x 1000, '<SpawnQueue q>', 'SpawnAccess group=#61001 all', '</SpawnQueue>');
refused(2, qr/SpawnAccess: 'none' must be the only one in its place/, @{$_})
    for [ 'SpawnAccess none', 'SpawnAccess user=#61001 see' ], [ 'SpawnAccess user=#61001 see', 'SpawnAccess none' ], [ ('SpawnAccess none') x 2 ];
accepted('times as in Perl and spawnctl', map { "SpawnTimeout $_" } '0', 'none', '5', '5s', '1.5s', '5m', '5min', '5M', '250ms', '1d');
accepted('the last one of two wins', 'SpawnMaxJobs 1', 'SpawnMaxJobs 2');
accepted('SpawnSubmitTimeout in a virtual host',
    '<VirtualHost *:1>', 'SpawnSubmitTimeout 1h', '</VirtualHost>');
accepted('a section in an <IfModule>',
    '<IfModule spawn_module>', '<SpawnQueue a.b-c_1>', '</SpawnQueue>', '</IfModule>');
accepted('a socket path of 107 bytes', 'SpawnSocket /tmp/' . 's' x 102);

refused(1, qr/108 bytes.*107/s,             "SpawnSocket $long");
refused(1, qr/is a directory/,              'SpawnSocket /tmp/');
refused(1, qr/takes one argument/,          'SpawnSocket ""');
refused(1, qr/takes one argument/,          'SpawnSocket a b');
accepted("SpawnSocketMode $_", "SpawnSocketMode $_") for qw(0660 600 0777 0200);
accepted("SpawnSocketGroup $_", "SpawnSocketGroup $_") for $< == 0 ? ('#0', '#4294967294', scalar getgrgid 0) : ('#' . ($) + 0));
refused(1, qr/SpawnSocketMode: '\Q$_\E' is not an octal mode/, "SpawnSocketMode $_")
    for qw(rw 0668 1777 -1 0660x 99999999999999999999);
refused(1, qr/not even the owner could connect/, "SpawnSocketMode $_") for qw(0 0060 0466);
refused(1, qr/there is no group 'no-such-group'/, 'SpawnSocketGroup no-such-group');

# an account that is not root can give the socket only to groups of its own
SKIP: {
    skip 'the module cannot be read by another account', 3
        if $< == 0 && system('perl', '-e', '$) = "65534 65534"; $( = 65534; ($<, $>) = (65534, 65534); exit !-r shift', $module) != 0;
    chmod 0755, $dir or die "$dir: $!";
    local $httpd = qq{perl -e '\$) = "65534 65534"; \$( = 65534; (\$<, \$>) = (65534, 65534); exec \@ARGV' $httpd} if $< == 0;
    refused(1, qr/uid \d+ is not in group '#0' and cannot give the socket to it/, 'SpawnSocketGroup #0');
    accepted('a group of its own', 'SpawnSocketGroup #' . ($< == 0 ? 65534 : $) + 0));
}
refused(1, qr/'@{[ $_ ]}' is not a whole number/, "SpawnSocketGroup #$_") for qw(x -1 4294967295);
refused(1, qr/takes one argument/, "$_ \"\"") for qw(SpawnSocketMode SpawnSocketGroup);
refused(1, qr/107/,                         'SpawnSocket r/' . 's' x 104);
refused(1, qr/takes one argument/,          'SpawnStore ""');
refused(1, qr/4100 bytes, 4000 are allowed/, 'SpawnStore /' . 's' x 4099);

# httpd leaves out an empty argument, and what stands behind it
refused(1, qr/an argument is empty/, $_)
    for 'SpawnHistory 10 ""', 'SpawnTemplate ""', 'SpawnTemplate a exec ""',
    'SpawnCleanupHandler ""', 'SpawnCleanupHandler My::A "" My::B',
    'SpawnBoundingSet ""', 'SpawnBoundingSet KILL ""';
refused(1, qr/takes 1 or more arguments/, 'SpawnCleanupHandler');
refused(1, qr/'none' stands alone/, "SpawnCleanupHandler $_") for 'none My::A', 'My::A none';
refused(1, qr/needs a name/,              '<SpawnQueue "">', '</SpawnQueue>');
refused(2, qr/an argument is empty/, '<SpawnQueue q>', $_, '</SpawnQueue>')
    for 'SpawnTemplate ""', 'SpawnWorkers 1 ""';
refused(2, qr/takes one argument/, '<SpawnQueue q>', "$_ \"\"", '</SpawnQueue>')
    for qw(SpawnTimeout SpawnMaxJobs SpawnMaxQueued SpawnWorkerMaxJobs SpawnWorkerMaxMemory SpawnWorkerIdle);
refused(1, qr/takes one argument/, "$_ \"\"") for qw(SpawnSubmitTimeout SpawnOnStop);

for my $bad ('0', '1hour', '61min', '-1', 'soon', '1.5x', '99999999999999999999') {
    refused(1, qr/SpawnSubmitTimeout: '\Q$bad\E' is not/, "SpawnSubmitTimeout $bad");
}
for my $bad ('0', '100001', '-1', 'many', '1k') {
    refused(1, qr/SpawnMaxJobs: '\Q$bad\E' is not a whole number from 1 to 100000/,
        "SpawnMaxJobs $bad");
}
refused(1, qr/from 0 to 10000000/, 'SpawnMaxQueued 10000001');
refused(1, qr/or 'none'/,          "SpawnTimeout $_") for '367d', 'never', '0x5';
refused(1, qr/from 0 to 100000000/, 'SpawnHistory -1');
refused(1, qr/'old' is not a time/, 'SpawnHistory 10 old');
refused(1, qr/'256M' stands where the age does: a size comes after it \(jobs none 256M\)/, 'SpawnHistory 10 256M');
accepted('SpawnHistory without an age', map { "SpawnHistory 10 $_" } '0', 'none', '10m', '0 2M');
refused(1, qr/takes 1-3 arguments/, $_) for 'SpawnHistory', 'SpawnHistory 1 1d 1M 1';
refused(1, qr/'\Q$_\E' is not a size from 1M to 1024G/, "SpawnHistory 10 none $_") for qw(0 1 1023K 1025G big 5MB);
accepted('SpawnHistory in a queue', '<SpawnQueue q>', "SpawnHistory $_", '</SpawnQueue>') for '0', '10', '10 7d', '10 none';
refused(2, qr/SpawnHistory: a size is for all queues together, outside of <SpawnQueue>/, '<SpawnQueue q>', 'SpawnHistory 10 none 1M', '</SpawnQueue>');
refused(2, qr/from 0 to 100000000/, '<SpawnQueue q>', 'SpawnHistory -1', '</SpawnQueue>');
accepted('SpawnHistory with a size and no age', 'SpawnHistory 10 none 1M');
refused(1, qr/neither 'linger' nor 'kill'/, 'SpawnOnStop wait');
refused(1, qr/'elsewhere' is neither 'internal' nor 'external'/, 'SpawnSpawner elsewhere');
refused(1, qr{'internal /x' is neither 'internal' nor 'external'}, 'SpawnSpawner internal /x');
refused(1, qr/'run\/control' is not an absolute path of at most 107 bytes/, 'SpawnSpawner external run/control');
refused(1, qr{SpawnCgroup: 'jobs' is neither 'auto', 'none' nor an absolute path of at most 4000 bytes}, 'SpawnCgroup jobs');
accepted('SpawnCgroup', "SpawnCgroup $_") for 'auto', 'None';
accepted('limits of all processes of a job', 'SpawnLimit tree-memory=1G tree-cpu=150 tree-processes=unlimited');
accepted('SpawnBoundingSet', "SpawnBoundingSet $_") for 'all', 'NONE', 'net_raw CAP_KILL';
refused(1, qr/'NET_RAWW' is neither 'all' nor 'none' nor the name of a capability/, 'SpawnBoundingSet KILL NET_RAWW');
refused(1, qr/'none' stands alone/,            'SpawnBoundingSet KILL none');
refused(1, qr/takes 1 or more arguments: 'all', 'none' or names/, 'SpawnBoundingSet');

# which queues requests may use
for my $where ([], [ '<VirtualHost *:1>', '</VirtualHost>' ], [ '<Location /a>', '</Location>' ], [ '<Directory /a>', '</Directory>' ]) {
    my ($open, $shut) = @{$where};
    my $in = sub { return grep { defined } $open, $_[0], $shut };
    my $line = $open ? 2 : 1;
    my @later = ('<SpawnQueue later>', '</SpawnQueue>');
    accepted("$_ in " . ($open || 'server'), $in->($_), @later)
        for 'SpawnDefaultQueue later', 'SpawnDefaultQueue default', 'SpawnQueueAccess all', 'SpawnQueueAccess None',
        'SpawnQueueAccess later default';
    refused($line, qr/SpawnDefaultQueue: queue 'no' is not configured; configured: default, later/, $in->('SpawnDefaultQueue no'), @later);
    refused($line, qr/SpawnQueueAccess: queue 'no' is not configured/, $in->('SpawnQueueAccess later no'), @later);
    refused($line, qr/SpawnQueueAccess: '$_' stands alone/, $in->("SpawnQueueAccess later $_"), @later) for qw(all none);
    refused($line, qr/: '-x' is not a queue's name/, $in->("$_ -x")) for qw(SpawnDefaultQueue SpawnQueueAccess);
    refused($line, qr/(?:takes one argument|is empty)/, $in->("$_ \"\"")) for qw(SpawnDefaultQueue SpawnQueueAccess);
    refused($line, qr/takes 1 or more arguments/, $in->('SpawnQueueAccess'));
}
refused(2, qr/is not allowed in <SpawnQueue>/, '<SpawnQueue q>', $_, '</SpawnQueue>') for 'SpawnDefaultQueue q', 'SpawnQueueAccess q';

# how long visitors wait for their jobs
accepted("SpawnJobWait $_", "SpawnJobWait $_") for 'off', 'OFF', '20', '500ms', '10min', '20s 1', 'off 5', '20s 4096';
refused(1, qr/SpawnJobWait: '\Q$_\E' is not a time.*or 'off'/, "SpawnJobWait $_") for qw(0 -1 x none 11min);
refused(1, qr/SpawnJobWait: '\Q$_\E' is not a whole number from 1 to 4096/, "SpawnJobWait 20s $_") for qw(0 -1 x 4097);
refused(1, qr/SpawnJobWait takes 1-2 arguments/, "SpawnJobWait$_") for '', ' 20s 5 5';
refused(1, qr/an argument is empty/, 'SpawnJobWait 20s ""');
refused(2, qr/is not allowed in <SpawnQueue>/, '<SpawnQueue q>', 'SpawnJobWait 20s', '</SpawnQueue>');

# defaults that queues give to their jobs, outside and inside
for my $where ([], ['<SpawnQueue q>', '</SpawnQueue>']) {
    my ($open, $shut) = @{$where};
    my @line = $open ? 2 : 1;
    my $in = sub { return grep { defined } $open, $_[0], $shut };
    my $place = $open ? 'in a queue' : 'outside';
    accepted("$_, $place", $in->($_))
        for 'SpawnGrace 0', 'SpawnGrace 1ms', 'SpawnGrace 2min', 'SpawnNice 0', 'SpawnNice 19', 'SpawnIONice Idle',
        'SpawnIONice best-effort', 'SpawnIONice best-effort:7', 'SpawnDirectory /no/such/directory', 'SpawnEnv A b',
        'SpawnEnv A "b c"', 'SpawnEnv A ""', 'SpawnEnv !A', 'SpawnPassEnv PATH HOME', 'SpawnOutput log', 'SpawnOutput NULL',
        'SpawnOutput /no/such/file', 'SpawnOutput >>/no/such/file', 'SpawnLeftovers keep', 'SpawnLeftovers Kill',
        'SpawnLimit cpu=1 memory=1G files=10 processes=5 core=0 filesize=unlimited',
        'SpawnOnFailure My::Ops::failed', 'SpawnOnFailure None', 'SpawnOnFailure /no/such/program', 'SpawnOnFailure /bin/echo "a b" c',
        'SpawnEnv A ' . 'x' x 16_380;
    refused(@line, qr/SpawnOnFailure: '\Q$_\E' is not allowed; wanted: the full name of a Perl function/, $in->("SpawnOnFailure $_"))
        for 'failed', 'My::Ops::failed now', 'none at all', 'bin/echo', 'My-Ops::failed';
    refused(@line, qr/SpawnOnFailure: program and arguments have \d+ bytes, 4000 are allowed/, $in->('SpawnOnFailure /bin/echo ' . 'x' x 3_991));
    refused(@line, qr/SpawnOnFailure.*(?:takes 1 or more|is empty)/, $in->($_)) for 'SpawnOnFailure', 'SpawnOnFailure ""';
    refused(@line, qr/SpawnGrace: '\Q$_\E' is not a time.*or 0/, $in->("SpawnGrace $_")) for qw(-1 none 367d 5x);
    refused(@line, qr/SpawnNice: '\Q$_\E' is not a whole number from 0 to 19/, $in->("SpawnNice $_")) for qw(-1 20 x);
    refused(@line, qr/SpawnIONice: '\Q$_\E' is not allowed; wanted: idle, best-effort/, $in->("SpawnIONice $_"))
        for qw(realtime best-effort:8 2);
    refused(@line, qr/SpawnDirectory: '\Q$_\E' is not allowed; wanted: an absolute path/, $in->("SpawnDirectory $_")) for qw(tmp ./a);
    refused(@line, qr/SpawnDirectory: the path has 4097 bytes, 4095 are allowed/, $in->('SpawnDirectory /' . 'x' x 4096));
    refused(@line, qr/SpawnEnv: wanted: NAME value/, $in->($_)) for 'SpawnEnv A', 'SpawnEnv', 'SpawnEnv A b c', 'SpawnEnv !A b';
    refused(@line, qr/SpawnEnv: '\Q$_\E' is not the name of a variable/, $in->("SpawnEnv $_ x")) for 'A=b';
    refused(@line, qr/SpawnEnv: '' is not the name of a variable/, $in->($_)) for 'SpawnEnv !', 'SpawnEnv "" x';
    refused(@line, qr/: $_ is filled in for each job/, $in->("SpawnEnv $_ x"), $in->("SpawnPassEnv $_"))
        for qw(SPAWN_JOB_ID SPAWN_REQUEST_ID SPAWN_SOCKET);
    refused(@line, qr/SpawnEnv: with A the variables of this place have 16385 bytes, 16384/, $in->('SpawnEnv A ' . 'x' x 16_382));
    refused(@line, qr/SpawnPassEnv.*(?:takes 1 or more|is empty)/, $in->($_)) for 'SpawnPassEnv', 'SpawnPassEnv A ""';
    refused(@line, qr/SpawnOutput: '\Q$_\E' is not allowed; wanted: log, null or an absolute path/, $in->("SpawnOutput $_"))
        for qw(capture stdout out >/tmp/x);
    refused(@line, qr/SpawnLeftovers: '\Q$_\E' is not allowed; wanted: keep or kill/, $in->("SpawnLeftovers $_")) for qw(on 1);
    refused(@line, qr/SpawnLimit: '\Q$_\E' is not allowed; wanted: cpu=seconds, memory=size/, $in->("SpawnLimit core=0 $_"))
        for qw(cpu cpu= cpu=x nothing=1 =1 memory=1T memory=-1 timeout=1);
    # a queue may let its jobs have more than 100, the default that they may ask for anyway
    accepted("$_, $place", $in->($_)) for map { "SpawnLimit tree-weight=$_" } 1, 100, 101, 10_000, 'unlimited';
    refused(@line, qr/SpawnLimit: '\Q$_\E' is not allowed; .* tree-weight=1 to 10000, or 'unlimited'/, $in->("SpawnLimit $_"))
        for map { "tree-weight=$_" } 0, 10_001, -1, '11K', 'much', '';
    refused(@line, qr/SpawnLimit takes 1 or more arguments/, $in->('SpawnLimit'));
    accepted("$_, $place", $in->($_))
        for 'SpawnAllow all', 'SpawnAllow None', 'SpawnAllow /usr/bin/convert', 'SpawnAllow /opt/*/bin/[ab]? !/opt/x/** My::App::*',
        'SpawnAllow "/a b"', 'SpawnAllow *', 'SpawnAllow !My::App::drop_all';
    refused(@line, qr/SpawnAllow: '\Q$_\E' is not allowed: wanted: the absolute path of a program, the full name/, $in->("SpawnAllow /a $_"))
        for qw(convert ./x bin/x My-App::f);
    refused(@line, qr/SpawnAllow: '\Q$_\E' is not allowed: its '\[' has no '\]'/, $in->("SpawnAllow $_")) for qw(/a[b My::[a);
    refused(@line, qr/SpawnAllow: '$_' stands alone/, $in->("SpawnAllow $_ /bin/true")) for qw(all none);
    accepted("$_, $place", $in->($_))
        for 'SpawnAccess none', 'SpawnAccess user=#61001 submit', 'SpawnAccess USER=nobody All', 'SpawnAccess group=#61003 see,kill control',
        "SpawnAccess user=#61001 see\nSpawnAccess user=#61001 submit";
    refused(@line, qr/SpawnAccess: '\Q$_\E' is neither user=name nor group=name; wanted/, $in->("SpawnAccess $_ see"))
        for 'nobody', '@ops', 'all', '#61001', 'uid=1';
    refused(@line, qr/SpawnAccess: '\Q$_\E' is no right; wanted: submit, see, kill, control/, $in->("SpawnAccess user=#61001 see $_"))
        for qw(none run submit;see Sees);
    refused(@line, qr/SpawnAccess: '' is no right; wanted/, $in->("SpawnAccess user=#61001 $_")) for ',', 'see,', ',see', 'see,,kill';
    refused(@line, qr/SpawnAccess: 'user=#61001' is given no right; wanted/, $in->('SpawnAccess user=#61001'));
    refused(@line, qr/SpawnAccess: there is no account 'nobodyatall'; make it/, $in->('SpawnAccess user=nobodyatall see'));
    refused(@line, qr/SpawnAccess: there is no group 'nogroupatall'; make it/, $in->('SpawnAccess group=nogroupatall see'));
    refused(@line, qr/SpawnAccess: '$_' is root, which has all rights/, $in->("SpawnAccess user=$_ see")) for 'root', '#0';
    refused(@line, qr/SpawnAccess: '\Q$_\E' is not a whole number/, $in->("SpawnAccess user=#$_ see")) for qw(x -1 4294967295);
    refused(@line, qr/SpawnAccess: the name has \d+ bytes, 1 to 64/, $in->("SpawnAccess user=$_ see")) for '', 'x' x 65;
    refused(@line, qr/SpawnAccess.*(?:takes 1 or more|is empty)/, $in->($_)) for 'SpawnAccess', 'SpawnAccess ""';
    refused(@line, qr/SpawnAllow.*(?:takes 1 or more|is empty)/, $in->($_)) for 'SpawnAllow', 'SpawnAllow ""';
    refused(@line, qr/SpawnAllow: the patterns of this place have \d+ bytes, 16384 are allowed/,
        $in->('SpawnAllow ' . join ' ', map { '/' . 'x' x 1000 } 1 .. 17));
    refused(@line, qr/takes one argument/, $in->("$_ \"\"")) for qw(SpawnGrace SpawnNice SpawnIONice SpawnDirectory SpawnOutput SpawnLeftovers);
}
{
    my ($code, $text) = check('SpawnPassEnv NO_SUCH_VARIABLE_HERE');
    is $code, 0, 'a variable that is missing is no error';
    like $text, qr/MS0113: line \d+ of \Q$file\E: SpawnPassEnv: httpd was started without the variable NO_SUCH_VARIABLE_HERE/, '... and is told';
    ($code, $text) = check('SpawnLimit files=99999999999');
    is $code, 0, 'a limit above what httpd has is no error';
    like $text, qr/MS0114: line \d+ of \Q$file\E: SpawnLimit: files=99999999999: httpd was started with \d+/, '... and is told';
    # 1000 queues with the variables of outside
    ($code, $text) = check('SpawnEnv A ' . 'x' x 10_000, map { ("<SpawnQueue q$_>", '</SpawnQueue>') } 1 .. 300);
    isnt $code, 0, 'too much for all queues together';
    like $text, qr/MS0109: .* of all 301 queues together have \d+ bytes, 2097152 are possible/, '... and is told';
}

for my $only (
    'SpawnSocket a',    'SpawnStore a',     'SpawnMaxJobs 1', 'SpawnMaxQueued 1',
    'SpawnSocketMode 0660', 'SpawnSocketGroup #0',
    'SpawnTimeout 1',   'SpawnHistory 1',   'SpawnOnStop kill',
    'SpawnGrace 1', 'SpawnNice 1', 'SpawnIONice idle', 'SpawnDirectory /', 'SpawnEnv A b', 'SpawnPassEnv PATH',
    'SpawnOutput log', 'SpawnLeftovers kill', 'SpawnLimit core=0', 'SpawnAllow all', 'SpawnOnFailure none'
    )
{
    refused(2, $global, '<VirtualHost *:1>', $only, '</VirtualHost>');
}
refused(2, $global, '<VirtualHost *:1>', '<SpawnQueue a>', '</SpawnQueue>', '</VirtualHost>');
refused(2, qr/not allowed in <(?:Directory|Location)> context|not allowed here/, "<Directory $dir>", 'SpawnMaxJobs 1', '</Directory>');
refused(2, qr/not allowed in <(?:Directory|Location)> context|not allowed here/, '<Location /a>', '<SpawnQueue a>', '</SpawnQueue>', '</Location>');

refused(1, qr/needs a name/, '<SpawnQueue>', '</SpawnQueue>');
refused(1, qr/missing closing '>'/, '<SpawnQueue a', '</SpawnQueue>');
refused(1, qr/one name is wanted, 'b'/, '<SpawnQueue a b>', '</SpawnQueue>');
for my $bad ('.a', '-a', 'a/b', '"a b"', 'q' x 65) {
    refused(1, qr/is not a queue's name/, "<SpawnQueue $bad>", '</SpawnQueue>');
}
{
    my ($code, $text) = check('SpawnMaxJobs 50000', '<SpawnQueue a>', '</SpawnQueue>',
        '<SpawnQueue b>', 'SpawnMaxJobs 1', '</SpawnQueue>');
    isnt $code, 0, 'refused: more jobs at once in all queues than a spawner can have';
    like $text, qr/SpawnMaxJobs of all queues together is 100001, 100000 are possible/,
        '... with the sum';
    like $text, qr/'default' 50000/, '... and the queue that has most of it';
}
my $first = @head + 1;
refused(
    4, qr/already has a section, on line $first of/,
    '<SpawnQueue a>', '</SpawnQueue>', '# between', '<SpawnQueue a>', '</SpawnQueue>'
);
refused(3, qr/SpawnMaxJobs: '0'/,
    '<SpawnQueue a>', 'SpawnTimeout 1', 'SpawnMaxJobs 0', '</SpawnQueue>');
for my $bad ('SpawnOnStop kill', 'SpawnSubmitTimeout 1', 'Timeout 5', 'SpawnNothing 1') {
    refused(2, qr/is not allowed in <SpawnQueue>/, '<SpawnQueue a>', $bad, '</SpawnQueue>');
}
refused(2, qr/<SpawnQueue> is not allowed in <SpawnQueue>/,
    '<SpawnQueue a>', '<SpawnQueue b>', '</SpawnQueue>', '</SpawnQueue>');
refused(1, qr/was not closed/, '<SpawnQueue a>', 'SpawnMaxJobs 1');

# ---- templates ----

open my $startup, '>', "$dir/startup.pl" or die "$dir/startup.pl: $!";
close $startup or die "$dir/startup.pl: $!";

accepted('a template with nothing set, and a queue that takes the default one',
    'SpawnTemplate a.b-c_1 exec', '<SpawnQueue q>', 'SpawnTemplate app', '</SpawnQueue>');
accepted(
    'a template with everything, named by a queue before it',
    '<SpawnQueue q>', 'SpawnTemplate report', '</SpawnQueue>',
    'SpawnTemplate report Exec preload=My::Report,My::Other preload=POSIX require=startup.pl'
        . " inc=$dir \"inc=$dir\" perl=$^X max_jobs=1000 max_age=1h memory=huge spares=16"
);
refused(1, qr/needs a name/,                       'SpawnTemplate');
refused(1, qr/kind is missing/,                    'SpawnTemplate a');
refused(1, qr/'other' is not a kind .* 'exec' and 'parent' are/, 'SpawnTemplate a other');
refused(1, qr/kind parent .* takes no 'preload=A'/, 'SpawnTemplate a parent preload=A');
refused(1, qr/kind parent .* takes no 'max_jobs=1'; memory= and spares= it takes/, 'SpawnTemplate a parent memory=frozen max_jobs=1');
accepted('the memory of templates', 'SpawnTemplateMemory Huge', 'SpawnTemplate a parent memory=Frozen',
    'SpawnTemplate b exec memory=shared');
accepted('spares of templates', 'SpawnTemplate a parent spares=0', 'SpawnTemplate b exec spares=1');
for my $bad ('', '-1', '17', 'many', '2.5') {
    refused(1, qr/SpawnTemplate a: spares: '$bad' is not a whole number from 0 to 16/, "SpawnTemplate a exec spares=$bad");
}
for my $bad ('', 'frozen,huge', 'yes') {
    refused(1, qr/SpawnTemplate a: memory: '$bad' is not known here; wanted: frozen, huge or shared/,
        "SpawnTemplate a exec memory=$bad");
}
refused(1, qr/SpawnTemplateMemory: 'cold' is not known here; wanted: frozen, huge or shared/, 'SpawnTemplateMemory cold');
refused(1, qr/SpawnTemplateMemory takes one argument/, 'SpawnTemplateMemory frozen huge');
refused(2, $global, '<VirtualHost *:1>', 'SpawnTemplateMemory shared', '</VirtualHost>');
refused(2, qr/not allowed in <SpawnQueue>/, '<SpawnQueue q>', 'SpawnTemplateMemory shared', '</SpawnQueue>');
refused(1, qr/'preload=A' is not a kind/,          'SpawnTemplate a preload=A');
for my $bad ('.a', 'a/b', '"a b"', 't' x 65) {
    refused(1, qr/is not a template's name/, "SpawnTemplate $bad exec");
}
for my $bad ('color=red', 'preload', 'Preload=A', '=A', 'maxjobs=1') {
    refused(1, qr/SpawnTemplate a: '\Q$bad\E' is not known here; wanted: preload=/,
        "SpawnTemplate a exec $bad");
}
for my $bad ('A-B', '::A', 'A::', 'A;B', '1A') {
    refused(1, qr/preload: '\Q$bad\E' is not the name of a module/,
        "SpawnTemplate a exec preload=POSIX,$bad");
}
refused(1, qr/no module is named/,           'SpawnTemplate a exec preload=');
refused(1, qr/require: '.*none.pl' is not there/, 'SpawnTemplate a exec require=none.pl');
refused(1, qr/require: '.*' is not a file/,  "SpawnTemplate a exec require=$dir");
refused(1, qr/require: stands twice/,
    'SpawnTemplate a exec require=startup.pl require=startup.pl');
refused(1, qr/require: '' is not a usable path/,  'SpawnTemplate a exec require=');
refused(1, qr/inc: '.*' is not there/,       'SpawnTemplate a exec inc=/nowhere/at/all');
refused(1, qr/inc: '.*' is not a directory/, 'SpawnTemplate a exec inc=startup.pl');
refused(1, qr/perl: '.*' is not there/,      'SpawnTemplate a exec perl=/nowhere/perl');
refused(1, qr/perl: '.*' cannot be executed/, 'SpawnTemplate a exec perl=startup.pl');
accepted('a template without limits', 'SpawnTemplate a exec max_jobs=none max_age=0', 'SpawnTemplate b exec max_jobs=0 max_age=none');
refused(1, qr/max_jobs: '-1' is not a whole number from 1 to \d+, or 'none'/, 'SpawnTemplate a exec max_jobs=-1');
refused(1, qr/max_age: 'old' is not a time/, 'SpawnTemplate a exec max_age=old');
refused(1, qr/more than 8000 bytes/, 'SpawnTemplate a exec ' . join ' ', map { 'preload=' . "A$_" x 800 } 1 .. 5);
my $defined = @head + 1;
refused(3, qr/already there, on line $defined of/, 'SpawnTemplate a exec', '# between', 'SpawnTemplate a exec');
refused(31, qr/30 templates already/, map { "SpawnTemplate t$_ exec" } 1 .. 31);
refused(2, $global, '<VirtualHost *:1>', 'SpawnTemplate a exec', '</VirtualHost>');
refused(2, qr/takes the name of a template and no more; 'exec'/, '<SpawnQueue q>', 'SpawnTemplate a exec', '</SpawnQueue>');
refused(
    3, qr/queue 'q' names the template 'b', which no SpawnTemplate defines; defined: a, c/,
    'SpawnTemplate a exec', '<SpawnQueue q>', 'SpawnTemplate b', '</SpawnQueue>', 'SpawnTemplate c exec'
);

my $deep = "$dir/" . 'd' x 100;
mkdir $deep or die "$deep: $!";
my ($code, $text) = check("DefaultRuntimeDir $deep");
isnt($code, 0, 'refused: a DefaultRuntimeDir that makes the socket too long');
like($text, qr/no SpawnSocket given: .*107/s, '... and the reason');

# ---- workers ----

accepted('workers', '<SpawnQueue q>', 'SpawnWorkers 0 4', 'SpawnWorkerMaxJobs none', 'SpawnWorkerMaxMemory 100M',
    'SpawnWorkerIdle 5min', '</SpawnQueue>', '<SpawnQueue p>', 'SpawnWorkerMaxJobs 5', 'SpawnWorkers 2', '</SpawnQueue>');
accepted('workers without limits', '<SpawnQueue q>', 'SpawnWorkers 1', 'SpawnWorkerMaxJobs 0', 'SpawnWorkerMaxMemory 0', '</SpawnQueue>');
refused(1, qr/SpawnWorkers belongs into a <SpawnQueue>/,         'SpawnWorkers 1 2');
refused(1, qr/SpawnWorkerIdle belongs into a <SpawnQueue>/,      'SpawnWorkerIdle 5s');
for (
    [ 'SpawnWorkers 0',             qr/'0' is not a whole number from 1 to 1000/ ],
    [ 'SpawnWorkers 4 2',           qr/the most \(2\) is less than the least \(4\)/ ],
    [ 'SpawnWorkers 1 1001',        qr/'1001' is not a whole number from 1 to 1000/ ],
    [ 'SpawnWorkers x',             qr/'x' is not a whole number/ ],
    [ 'SpawnWorkerMaxJobs -1',      qr/'-1' is not a whole number from 1 to \d+, or 'none'/ ],
    [ 'SpawnWorkerMaxMemory 100',   qr/'100' is not a size from 1M on/ ],
    [ 'SpawnWorkerMaxMemory much',  qr/'much' is not a size/ ],
    [ 'SpawnWorkerIdle 0',          qr/'0' is not a time from 1ms to 366d/ ],
    [ 'SpawnWorkerIdle soon',       qr/'soon' is not a time/ ],
    )
{
    refused(2, $_->[1], '<SpawnQueue q>', $_->[0], '</SpawnQueue>');
}
refused(2, qr/queue 'q' has settings for workers and no SpawnWorkers; add SpawnWorkers, or take them away/, '<SpawnQueue q>', 'SpawnWorkerIdle 5s', '</SpawnQueue>');
refused(3, qr/5 workers, but SpawnMaxJobs of queue 'q' lets 4 run/,
    '<SpawnQueue q>', 'SpawnMaxJobs 4', 'SpawnWorkers 1 5', '</SpawnQueue>');

# ---- what confines httpd's children and not jobs ----

($code, $text) = check((-e "$mods/mod_unixd.so" ? "LoadModule unixd_module $mods/mod_unixd.so" : ()), "ChrootDir $dir");
isnt($code, 0, 'refused: a ChrootDir');
like($text, qr{MS0241: ChrootDir \Q$dir\E: jobs would run outside}, '... and the reason');

# ---- SpawnCron ----

accepted('recurring jobs',
    'SpawnCron "*/5 * * * *" name=a queue=q tz=Europe/Berlin catch_up=one overlap=yes timeout=5m My::Module::function a "b c"',
    'SpawnCron @daily /usr/bin/true x=y',
    'SpawnCron "0 4 1,15 jan-mar mon-fri" timeout=none -- /bin/echo name=x',
    'SpawnCron @hourly name=r retry=3 retry_on=failed,lost,7 backoff=exponential:1:60 expires=10m priority=-5 durable=yes /bin/true',
    '<SpawnQueue q>', '</SpawnQueue>');
refused(1, qr/takes 2 or more arguments/,                                    'SpawnCron @daily');
accepted($_, '<SpawnQueue q>', 'SpawnAllow /bin/true My::f', '</SpawnQueue>', $_)
    for 'SpawnCron @daily queue=q /bin/true', 'SpawnCron @daily queue=q /usr/bin/true', 'SpawnCron @daily queue=q My::f', 'SpawnCron @daily /bin/sh';
refused(4, qr/MS0116: .*SpawnCron: queue 'q' does not run '\Q$_\E'; its SpawnAllow: \/bin\/true My::f/,
    '<SpawnQueue q>', 'SpawnAllow /bin/true My::f', '</SpawnQueue>', "SpawnCron \@daily queue=q $_") for qw(/bin/sh My::g /no/such/file);
refused(1, qr/MS0116: .*SpawnCron: queue 'default' does not run '\/bin\/sh'/, 'SpawnCron @daily /bin/sh', 'SpawnAllow none');
refused(1, qr/SpawnCron: schedule: minute: 61 is out of range; allowed: 0-59/, 'SpawnCron "61 * * * *" /bin/true');
refused(1, qr/SpawnCron: schedule: month: 'foo' is not understood; allowed: 1-12 or jan-dec/, 'SpawnCron "* * * foo *" /bin/true');
refused(1, qr/SpawnCron: schedule: 1 of five fields.*quote the five/,        'SpawnCron * * * * * /bin/true');
refused(1, qr/SpawnCron: schedule: \@reboot is not known here.*\@daily/,     'SpawnCron @reboot /bin/true');
refused(1, qr/SpawnCron: schedule: it never comes/,                          'SpawnCron "0 0 30 2 *" /bin/true');
refused(1, qr/SpawnCron: name: 'a b' is not a name: 1 to 64 letters/,        'SpawnCron @daily "name=a b" /bin/true');
refused(1, qr/SpawnCron: name: the value is missing/,                        'SpawnCron @daily name= /bin/true');
refused(1, qr/SpawnCron: name stands twice/,                                 'SpawnCron @daily name=a name=b /bin/true');
refused(1, qr/SpawnCron: queue: '.x' is not a queue's name/,                 'SpawnCron @daily queue=.x /bin/true');
refused(1, qr/SpawnCron: tz: 'Nowhere' is not a time zone of this machine; allowed: .*Europe\/Berlin/, 'SpawnCron @daily tz=Nowhere /bin/true');
refused(1, qr/SpawnCron: tz: '..\/..\/etc\/localtime' is not a time zone/,   'SpawnCron @daily tz=../../etc/localtime /bin/true');
refused(1, qr/SpawnCron: catch_up: 'some' is not allowed; wanted: none, one or all/, 'SpawnCron @daily catch_up=some /bin/true');
refused(1, qr/SpawnCron: overlap: 'maybe' is not allowed; wanted: yes or no/, 'SpawnCron @daily overlap=maybe /bin/true');
refused(1, qr/SpawnCron: timeout: 'long' is not a time/,                     'SpawnCron @daily timeout=long /bin/true');
refused(1, qr/SpawnCron: 'retries' is not an option; name, queue, tz/,       'SpawnCron @daily retries=3 /bin/true');
refused(1, qr/SpawnCron: retry: 'often' is not allowed; wanted: a whole number/, 'SpawnCron @daily retry=often /bin/true');
refused(1, qr/SpawnCron: retry: 101 .*0 to 100/,                             'SpawnCron @daily retry=101 /bin/true');
refused(1, qr/SpawnCron: retry_on: 'cancelled' is not allowed; wanted: failed, lost/, 'SpawnCron @daily retry=1 retry_on=cancelled /bin/true');
refused(1, qr/SpawnCron: backoff and retry_on belong to retry/,              'SpawnCron @daily backoff=5 /bin/true');
refused(1, qr/SpawnCron: expires: '2030-01-01T00:00:00Z' is a moment, .*10m/, 'SpawnCron @daily expires=2030-01-01T00:00:00Z /bin/true');
refused(1, qr/SpawnCron: priority: 101 is not allowed; wanted: -100 to 100/, 'SpawnCron @daily priority=101 /bin/true');
refused(1, qr/SpawnCron: durable: 'maybe' is not allowed; wanted: 0 or 1/,   'SpawnCron @daily durable=maybe /bin/true');
refused(1, qr/SpawnCron: durable stands twice/,                              'SpawnCron @daily durable=1 durable=0 /bin/true');
refused(1, qr/SpawnCron: 'unique' is not an option; name, queue, tz.* and on_failure/, 'SpawnCron @daily unique=x /bin/true');
refused(1, qr/SpawnCron: 'limits' is not an option; name, queue, tz/,        'SpawnCron @daily limits=cpu=9 /bin/true');
refused(1, qr/SpawnCron: what is to be run is missing: a Perl function/,     'SpawnCron @daily name=a');
refused(1, qr/SpawnCron: 'true' is neither a Perl function with its package .* nor the absolute path/, 'SpawnCron @daily true');
refused(1, qr/SpawnCron: '\/bin\/' gives it no name; give it one: name=/,    'SpawnCron @daily /bin/');
refused(2, qr/SpawnCron: a recurring job 'true' is already there, on line \d+ of /, 'SpawnCron @daily /bin/true', 'SpawnCron @hourly /bin/true');
refused(1, qr/SpawnCron: queue: 'images' is not configured; configured: default/, 'SpawnCron @daily queue=images /bin/true');
refused(1, qr/SpawnCron: user: 'nobody-here' cannot be had; allowed: /,      'SpawnCron @daily user=nobody-here /bin/true', $< == 0 ? ('User www-data', 'Group www-data') : ());
refused(2, $global,                                                          '<VirtualHost *:1>', 'SpawnCron @daily /bin/true', '</VirtualHost>');
refused(2, qr/SpawnCron is not allowed in <SpawnQueue>/,                     '<SpawnQueue a>', 'SpawnCron @daily /bin/true', '</SpawnQueue>');

done_testing();
