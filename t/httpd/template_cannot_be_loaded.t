#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A template that cannot be loaded, in every way: the error log and each caller
# are told why; programs and other templates do not care; it is tried again;
# and at a graceful restart the old one serves on.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Templates ();

my %broken = (
    dies   => [ 'preload=My::Dies',   qr/preload My::Dies: no licence found/ ],
    syntax => [ 'preload=My::Syntax', qr/preload My::Syntax: .*syntax error/s ],
    absent => [ 'preload=My::Absent', qr{preload My::Absent: Can't locate My/Absent\.pm} ],
    exits  => [ 'require=@INC@/exits.pl', qr{require \S+/exits\.pl: it called exit\(3\)} ],
    killed => [ 'require=@INC@/killed.pl', qr/it was killed by signal 9/ ],
    noperl => [ 'perl=@INC@/noperl', qr/it could not be started: interpreter: No such file or directory \(the one that its first line names\)/ ],
);
my $t = SpawnTest::Templates->new(
    templates => join("\n", 'SpawnTemplate app exec inc=@INC@ preload=My::Work',
        map { "SpawnTemplate $_ exec inc=\@INC\@ $broken{$_}[0]" } sort keys %broken),
    files => {
        'My/Dies.pm'   => "package My::Dies; print STDERR qq(looking for a licence\\n); die qq(no licence found\\n);\n",
        'My/Syntax.pm' => "package My::Syntax; sub {{ 1;\n",
        'exits.pl'     => "exit 3;\n",
        'killed.pl'    => "kill KILL => \$\$; select undef, undef, undef, 60;\n",
        'noperl'       => "#!/nowhere/perl\n",
    },
);
chmod 0755, $t->inc . '/noperl';
$t->start;
my $httpd = $t->httpd;
my $spawn = $t->spawn;

# By a call, or because it waited when the template failed: the same words.
for my $name (sort keys %broken) {
    my $error;
    eval { $spawn->call('My::Work::echo', [1], template => $name); 1 } or $error = $@;
    is $error && $error->code, 'start_failed', "$name: a call fails";
    is $error && $error->step, 'template', '... at the template';
    like "$error", qr/template $name cannot be loaded: .*$broken{$name}[1]/s, '... and is told why';
    ok $httpd->wait_for_log(qr/MS0601: template $name cannot be loaded; another try follows in \d+ s: .*$broken{$name}[1]/),
        '... as the log is';
}
ok $httpd->wait_for_log(qr/template dies stderr: looking for a licence/), 'what it prints is in the log';
is $spawn->call('My::Work::echo', ['fine']), 'fine', 'another template is not touched';
is $spawn->run(['/bin/echo', 'fine'], stdout => 'capture')->stdout, "fine\n", 'nor are programs';

# posted: nobody waits, the store tells
my $job = $spawn->spawn_call('My::Work::echo', [1], template => 'dies', reply => 'posted');
ok wait_until(sub { my $s = eval { $job->status }; $s && $s->{state} eq 'done' }, 20), 'a posted one ends too';
is $job->status->{outcome}, 'start_failed', '... as start failed';
ok !eval { $job->result(5); 1 }, '... it has no result';
like "$@", qr/template dies cannot be loaded: .*no licence found/, '... and the reason is kept';

# mended: the next try, which comes by itself
$t->file('My/Dies.pm', "package My::Dies; sub lives { return 'mended' } 1;\n");
ok wait_until(sub { eval { $spawn->call('My::Dies::lives', [], template => 'dies') eq 'mended' } }, 30),
    'when it is mended, a later try loads it';

# broken at a graceful restart
my $old = $spawn->call('My::Work::parent');
my $from = length $httpd->error_log;
$t->file('My/Work.pm', "package My::Work; die qq(half edited\\n);\n");
$httpd->graceful;
ok $httpd->wait_for_log(qr/MS0601: template app cannot be loaded; .*until then jobs are forked from the old one: .*half edited/,
    20, $from), 'broken at a graceful restart: said';
is $spawn->call('My::Work::parent'), $old, 'and the old one serves on';
$t->new_version(2);
$httpd->graceful;
ok wait_until(sub { $spawn->call('My::Work::version') == 2 }, 30), 'mended and graceful again: the new code is there';
ok $t->new_pid('app', $old), 'and the old one has gone';

done_testing();
