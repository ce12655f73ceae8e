#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The object of a Perl job is made when somebody asks for it, and is right whoever asks,
# and whenever: a hook, a process that the function has forked, an END block, a handler of
# a signal, a destructor. Nothing is made for a function that does not ask.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use FakeSpawner ();

plan skip_all => "no syscall numbers for this machine" if !FakeSpawner::can_run();

my $dir = FakeSpawner::files('My.pm' => <<'END', 'hook.pl' => <<'HOOK', 'My/Late.pm' => <<'LATE');
package My;
use strict; use warnings;
use Apache2::Spawn::Current ();
our ($hook, $kept);
sub job { return Apache2::Spawn::Current->job }
sub about { my $j = shift || job(); return [map { $j->$_ } qw(id function queue label attempt template)], $j->context }
sub is_made { return defined $Apache2::Spawn::Current::current ? 'made' : 'not made' }
sub late { my $before = is_made(); my $j = job(); return ($before, is_made(), $j == job() ? 'one object' : 'two', about($j)) }
sub of_hook { return ($hook == job() ? 'one object' : 'two', about($hook)) }
sub below {
    pipe my $in, my $out; my $pid = fork; die if !defined $pid;
    if (!$pid) { print {$out} join ' ', job()->id, job()->pid == getppid() ? 'parent' : job()->pid, job()->pid == $$ ? 'mine' : 'not mine'; close $out; require POSIX; POSIX::_exit(0) }
    close $out; my $said = readline $in; waitpid $pid, 0;
    return ($said, job()->pid == $$ ? 'mine' : 'not mine');
}
sub by_class { return [Apache2::Spawn::Current->id, Apache2::Spawn::Current->fh(5) ? 'a handle' : 'none'] }
sub in_handler { my $id; local $SIG{USR1} = sub { $id = Apache2::Spawn::Current->id }; kill 'USR1', $$; return $id }
sub tangled { local $_ = 'topic'; local ($@, $!) = ('error', 2); my ($b, $a) = (2, 1); 'xyz' =~ /(y)/; job()->context; return [$_, $@, $!+0, $1, $a, $b] }
sub in_sort { return join ' ', sort { job()->id; $a <=> $b } @_ }
sub at_end { require My::Late; Apache2::Spawn::Current->run_end_blocks; return 1 }
sub destroyed { bless [], 'My::Dying'; return 1 }
sub My::Dying::DESTROY { print 'dying ', Apache2::Spawn::Current->id, "\n" }
sub context_is_own { job()->context->{user} = 'changed'; return job()->context->{user} }
1;
END
Apache2::Spawn::Template::after_fork(sub { $My::hook = Apache2::Spawn::Current->job });
1;
HOOK
package My::Late;
END { print 'end of ', Apache2::Spawn::Current->id, "\n" }
1;
LATE
my @with = (queue => 'reports', label => 'monthly', context => ['user=ann', 'uri=/a?b=c'], want => 'list');
my $t = FakeSpawner->start(preload => ['My'], inc => [$dir], name => 'app');
sub about { my ($job, $function) = @_; return [$job->{text_id}, $function, 'reports', 'monthly', 1, 'app'], { user => 'ann', uri => '/a?b=c' } }

my $job = $t->call('My::late', [], @with);
is_deeply $job->{returned}, ['not made', 'made', 'one object', about($job, 'My::late')], 'asked in the middle of a function';
is_deeply $t->call('My::is_made', [], @with)->{returned}, ['not made'], 'nobody asks: it is not made';
$job = $t->call('My::below', [], @with);
is_deeply $job->{returned}, ["$job->{text_id} parent not mine", 'mine'], 'asked in a forked process first';
open my $handle, '<', '/dev/null' or die $!;
$job = $t->call('My::by_class', [], fds => { 5 => $handle });
is_deeply $job->{returned}[0], [$job->{text_id}, 'a handle'], 'by the class';
$job = $t->call('My::in_handler', []);
is $job->{returned}[0], $job->{text_id}, 'in a handler of a signal';
is_deeply $t->call('My::tangled', [], @with)->{returned}[0], ['topic', 'error', 2, 'y', 1, 2], 'it disturbs no variable';
is $t->call('My::in_sort', [3, 1, 2])->{returned}[0], '1 2 3', 'nor a sort';
$job = $t->call('My::at_end', []);
is $job->{said}, "end of $job->{text_id}\n", 'in an END block';
$job = $t->call('My::destroyed', []);
is $job->{said}, "dying $job->{text_id}\n", 'in a destructor';
is $t->call('My::context_is_own', [], @with)->{returned}[0], 'changed', 'there is one in a job';
$job = $t->call('My::late', [], @with);
is_deeply $job->{returned}[4], { user => 'ann', uri => '/a?b=c' }, 'the next job has one of its own';

$t = FakeSpawner->start(preload => ['My'], inc => [$dir], require => "$dir/hook.pl", name => 'app');
$job = $t->call('My::of_hook', [], @with);
is_deeply $job->{returned}, ['one object', about($job, 'My::of_hook')], 'asked in a hook';

done_testing;
