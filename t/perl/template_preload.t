#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A template says that it is ready, or at which stage it failed and why.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use FakeSpawner ();

plan skip_all => "no syscall numbers for this machine" if !FakeSpawner::can_run();

use Config;

my $dir = FakeSpawner::files(
    'My/Good.pm'   => 'package My::Good; our $order = ++$main::order; sub order { "$order $main::order" } 1;',
    'My/Needs.pm'  => "package My::Needs;\nuse My::Gone;\n1;",
    'My/Syntax.pm' => "package My::Syntax;\nsub f {\n\$x = ;\n}\n1;",
    'My/False.pm'  => 'package My::False; 0;',
    'My/Dies.pm'   => "package My::Dies; warn qq{a warning\\n}; print qq{printed\\n}; die qq{no database\\n}; 1;",
    'My/Exits.pm'  => 'package My::Exits; exit 3; 1;',
    'My/Long.pm'   => 'package My::Long; die "x" x 9000; 1;',
    'My/Odd.pm'    => 'package My::Odd; die "a\0b\x{263A}\n"; 1;',
    'My/Handlers.pm' => 'package My::Handlers; $SIG{__DIE__} = sub { print STDERR "handler: $_[0]" }; eval { die "x\n" }; alarm 1; 1;',
    'startup.pl'   => 'use strict; $main::order++; our $ready = "@ARGV $0 " . __PACKAGE__; sub main::ready { $ready } 1;',
    'dies.pl'      => 'die { code => 1 };',
    # perl's own start of a thread is not safe against what the others do
    'thread.pl'    => 'use threads; pipe my $in, my $out; threads->create(sub { syswrite $out, "x"; sleep 60 })->detach; sysread $in, my $x, 1; 1;',
    'threads.pl'   => 'use threads; for (1, 2) { pipe my $in, my $out; threads->create(sub { syswrite $out, "x"; sleep 60 })->detach; sysread $in, my $x, 1 } 1;',
    'joined.pl'    => 'use threads; threads->create(sub { 1 })->join; 1;',
    # joined, and the kernel still has it for some looks
    'lingers.pl'   => 'my $looks = 0; no warnings "redefine"; *Apache2::Spawn::Template::_threads = sub { $looks++ < 3 ? qw(perl perl) : "perl" }; 1;',
    'forks.pl'     => 'my $pid = fork; if (!$pid) { exit 5 } waitpid $pid, 0; my $x = `echo x`; $? == 0;',
    'end.pl'       => 'END { print "END of the template\n" } 1;',
);

my $t = FakeSpawner->start(name => 'two words', preload => ['My::Good', 'My::Handlers'], require => "$dir/startup.pl", inc => [$dir]);
like $t->text, qr/\A\d+ modules, [1-9]\d+ kB\z/, 'ready, with the number of modules and the memory';
is $t->call('My::Good::order')->{returned}[0], '1 2', 'modules first, then the file';
is $t->call('main::ready')->{returned}[0], ' -e main', 'which runs as a file of its own';
is $t->dismiss, 0, 'it leaves';
is $t->said_now, "handler: x\n", 'a handler of its own does not matter';

for my $file (qw(joined.pl lingers.pl forks.pl)) {
    next if $file eq 'joined.pl' && !$Config{useithreads};
    $t = FakeSpawner->start(require => "$dir/$file");
    is $t->code, 0, "$file: ready";
    is $t->call('My::nope')->{kind}, 2, 'and serves';
    is $t->dismiss, 0, 'and leaves';
}
$t = FakeSpawner->start(require => "$dir/end.pl");
is $t->dismiss, 0, 'a template leaves';
is $t->said_now, '', 'without END blocks';

sub fails {
    my ($what, $text, $said, @with) = @_;
    my $template = FakeSpawner->start(inc => [$dir], may_fail => 1, @with);
    is $template->code, 12, "$what: start failed";
    like $template->text, $text, 'at its stage, with its message';
    is $template->wait_for_template, 1 << 8, "$what: it ends with 1";
    is $template->said, $said, $said eq '' ? 'and prints nothing' : 'what was printed is there';
    return $template->text;
}
fails('missing', qr{\Apreload My::Gone: Can't locate My/Gone.pm in \@INC}, '', preload => ['My::Good', 'My::Gone']);
fails('missing inside', qr{\Apreload My::Needs: Can't locate My/Gone.pm in \@INC .* at \S+/My/Needs.pm line 2}s, '', preload => ['My::Needs']);
fails('syntax', qr{\Apreload My::Syntax: syntax error at \S+/My/Syntax.pm line 3, near }, '', preload => ['My::Syntax']);
fails('false', qr{\Apreload My::False: My/False.pm did not return a true value}, '', preload => ['My::False']);
fails('dies', qr{\Apreload My::Dies: no database\z}, "a warning\nprinted\n", preload => ['My::Dies']);
fails('exits', qr{\Apreload My::Exits: it called exit\(3\)\z}, '', preload => ['My::Exits']);
is length fails('long', qr{\Apreload My::Long: x+\z}, '', preload => ['My::Long']), 4000, 'a long text is cut';
fails('odd', qr{\Apreload My::Odd: a b\xE2\x98\xBA\z}, '', preload => ['My::Odd']);
fails('no name', qr{\Apreload \.\./x: that is not the name of a module\z}, '', preload => ['../x']);
fails('startup', qr{\Arequire \Q$dir\E/dies.pl: HASH\(}, '', preload => ['My::Good'], require => "$dir/dies.pl");
fails('no startup', qr{\Arequire /nowhere/startup.pl: Can't locate /nowhere/startup.pl\z}, '', require => '/nowhere/startup.pl');
if ($Config{useithreads}) {
    fails('thread', qr{\Arequire \Q$dir\E/thread.pl: 1 thread that it started still runs \([^)]+\): a process with threads }, '', require => "$dir/thread.pl");
    fails('threads', qr{\Arequire \Q$dir\E/threads.pl: 2 threads that it started still run }, '', require => "$dir/threads.pl");
}

# Called by somebody else
my $libraries = ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl';
my $said = `$^X -I$libraries -MApache2::Spawn::Template -e 'Apache2::Spawn::Template::serve("name=x")' 2>&1 3<&-`;
like $said, qr/\Aserve: descriptor 3 is no link: a template is started by httpd/, 'not started by the spawner';
$said = `$^X -I$libraries -MApache2::Spawn::Template -e 'Apache2::Spawn::Template::serve("nome=x")' 2>&1`;
is $said, "serve: 'nome=x' is not known here; wanted: name=, memory=, spares=, preload= or require=\n", 'a bad argument';
$said = `$^X -I$libraries -MApache2::Spawn::Template -e 'Apache2::Spawn::Template::serve()' 2>&1`;
is $said, "serve: the template has no name: name= is missing\n", 'no name';

done_testing;
