#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# exit in a Perl job, signals, END blocks and destructors.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use FakeSpawner ();

plan skip_all => "no syscall numbers for this machine" if !FakeSpawner::can_run();

my $dir = FakeSpawner::files(
    'My.pm' => <<'END',
package My;
use strict; use warnings;
my $kept = bless { name => 'template object' }, 'My::Guard';
our $global;
END { print "template END $?\n" }
sub exits    { my ($code) = @_; exit $code }
sub core     { my ($code) = @_; CORE::exit $code }
sub posix    { require POSIX; POSIX::_exit($_[0]) }
sub nested   { my $guard = bless { name => 'lexical' }, 'My::Guard'; my @list = sort { map { eval { exit 9 } } 1; 0 } 2, 1; return 1 }
sub callback { local $_ = 'x'; s/x/exit 8/e; return 1 }
sub dying    { $SIG{__DIE__} = sub { exit 6 }; die "x\n" }
sub guarded  { my $guard = bless { name => 'lexical' }, 'My::Guard'; return 1 }
sub holds    { $global = bless { name => 'global' }, 'My::Guard'; return 1 }
sub lets_go  { undef $kept; return 1 }
sub abort    { require POSIX; POSIX::abort() }
sub raise    { require POSIX; POSIX::raise(10); return 1 }
sub kills    { kill 'TERM', $$; return 1 }
sub loops    { $SIG{TERM} = 'IGNORE'; print "looping\n"; STDOUT->flush; 1 while 1 }
sub prints   { print 'unflushed'; return 1 }
sub leaves_open { open our $out, '>', $_[0] or die $!; print {$out} 'kept'; return 1 }
sub prints_and_exits { print 'unflushed'; exit 0 }
sub end      { my ($which, $how) = @_;
               Apache2::Spawn::Current->job->run_end_blocks($which);
               eval q{END { print "job END $?\n" }} or 1;
               exit 5 if $how eq 'exit';
               die "x\n" if $how eq 'die';
               return 1 }
sub end_changes { Apache2::Spawn::Current->job->run_end_blocks;
               eval q{END { print "first\n" } END { $? = 4; exit 3 }} or 1; return 1 }
sub end_bad  { Apache2::Spawn::Current->job->run_end_blocks('some') }
sub end_fork { Apache2::Spawn::Current->job->run_end_blocks(1);
               eval q{END { print "END\n" }} or 1;
               my $pid = fork; exit 0 if !$pid; waitpid $pid, 0; return $? }
package My::Guard; sub DESTROY { print "DESTROY $_[0]{name}\n" }
1;
END
    'My/Exits.pm' => 'package My::Exits; exit 11; 1;',
);
my $t = FakeSpawner->start(preload => ['My'], inc => [$dir]);

for my $case ([exits => 3], [exits => 0], [exits => 300, 44], [core => 4], [posix => 5]) {
    my ($how, $code, $seen) = @{$case};
    my $job = $t->call("My::$how", [$code]);
    is $job->{exit}, defined $seen ? $seen : $code, "$how($code)";
    is $job->{kind}, 0, 'no result';
    is $job->{said}, '', 'no END block, no destructor';
}
my $job = $t->call('My::nested');
is $job->{exit}, 9, 'exit inside of sort, map and eval';
is $job->{said}, "DESTROY lexical\n", 'what goes out of scope by it is destroyed, as ever';
is $t->call('My::callback')->{exit}, 8, 'exit inside of a substitution';
is $t->call('My::dying')->{exit}, 6, 'exit inside of a die handler';
is $t->call('My::Exits::f', [], load => 'My::Exits')->{exit}, 11, 'exit while a module is loaded';

is $t->call('My::guarded')->{said}, "DESTROY lexical\n", 'objects of the function are destroyed';
is $t->call('My::holds')->{said}, '', 'what stays in a global variable is not';
is $t->call('My::lets_go')->{said}, "DESTROY template object\n", 'an object of the template when the job drops it';
is $t->call('My::prints')->{said}, 'unflushed', 'what was printed is flushed';
is $t->call('My::prints_and_exits')->{said}, 'unflushed', 'with exit, too';
is $t->call('My::leaves_open', ["$dir/out"])->{exit}, 0, 'a file that was left open';
is -s "$dir/out", 4, 'is flushed';

is $t->call('My::abort')->{signal}, 6, 'abort';
is $t->call('My::raise')->{signal}, 10, 'raise';
is $t->call('My::kills')->{signal}, 15, 'kill';
$job = $t->order('My::loops');
$t->until_told($job, 'set_up');
is readline($job->{out}), "looping\n", 'a loop that ignores TERM';
kill 'TERM', $job->{pid};
kill 'KILL', -$job->{pid};
is $job->finish->{signal}, 9, 'is ended by KILL of its group';
is $job->{kind}, 0, 'without a result';

# END blocks when they are asked for
is $t->call('My::end', [0, 'return'])->{said}, '', 'no END block by default';
is $t->call('My::end', [1, 'return'])->{said}, "job END 0\n", 'those of the job, when asked for';
$job = $t->call('My::end', [1, 'exit']);
is $job->{said}, "job END 5\n", 'after exit';
is $job->{exit}, 5, 'with its code';
$job = $t->call('My::end', [1, 'die']);
is $job->{said}, "x\njob END 255\n", 'after die';
is $job->{kind}, 2, 'which stays what it is';
is $t->call('My::end', ['all', 'return'])->{said}, "job END 0\ntemplate END 0\n", 'those of the template, too';
$job = $t->call('My::end_changes');
is $job->{said}, "first\n", 'exit in one does not keep the next from running';
is $job->{exit}, 3, 'and changes the code';
like $t->call('My::end_bad')->{died}{text}, qr/\Arun_end_blocks: 'some' is not known; wanted: 0, 1 or 'all' at /, 'bad';
$job = $t->call('My::end_fork');
is $job->{said}, "END\n", 'not in a process that the job forked';

is $t->dismiss, 0, 'the template leaves';
is $t->said_now, '', 'without its END blocks and destructors';

done_testing;
