#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Apache2::Spawn::Current: what a Perl job knows of itself; after_fork.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use FakeSpawner ();

plan skip_all => "no syscall numbers for this machine" if !FakeSpawner::can_run();

use Apache2::Spawn::Current ();

my $dir = FakeSpawner::files('My.pm' => <<'END', 'hooks.pl' => <<'HOOKS', 'bad.pl' => <<'BAD');
package My;
use strict; use warnings; use utf8;
our @seen;
sub job { return Apache2::Spawn::Current->job }
my $outside = defined job() ? 'job' : 'none';
sub all { my $job = job(); return { class => ref $job, outside => $outside, map { $_ => $job->$_ } qw(id queue label function context attempt template pid cancelled) } }
sub by_class { return [map { Apache2::Spawn::Current->$_ } qw(id queue template)] }
sub progress { my @steps = @_; job()->progress(@{$_}) for @steps; return 1 }
sub progress_waits { job()->progress(1, 3, 'begun'); my $in = job()->fh(3); my $go = <$in>; return job()->cancelled ? 'cancelled' : 'not' }
sub seen { return [@seen] }
sub in_child { my $pid = fork; if (!$pid) { job()->progress(7); require POSIX; POSIX::_exit(job()->pid == getppid() ? 0 : 1) } waitpid $pid, 0; return $? }
1;
END
use strict; use warnings;
my $first = 'first';
Apache2::Spawn::Template::after_fork(sub { push @My::seen, $first, Apache2::Spawn::Template::name(), Apache2::Spawn::Current->job->function });
Apache2::Spawn::Template->after_fork(sub { push @My::seen, 'second', $ENV{HOOK} || 'none' });
eval { Apache2::Spawn::Template::after_fork('no code') };
push @My::seen, $@ =~ /\A(after_fork: wanted: a code reference)/;
1;
HOOKS
Apache2::Spawn::Template::after_fork(sub { die "no connection\n" });
Apache2::Spawn::Template::after_fork(sub { print "not reached\n" });
1;
BAD
is(Apache2::Spawn::Current->job, undef, 'this process is no job');
eval { Apache2::Spawn::Current->id };
like $@, qr/\Athis process is no job at /, 'and has no id';

my $t = FakeSpawner->start(preload => ['My'], require => "$dir/hooks.pl", inc => [$dir], name => 'app');
my $job = $t->call('My::all', [], queue => 'reports', label => 'monthly', context => ['user=ann', 'uri=/a?b=c', 'empty=']);
is_deeply $job->{returned}[0], {
    class => 'Apache2::Spawn::Current', outside => 'none', id => $job->{text_id}, queue => 'reports', label => 'monthly',
    function => 'My::all', context => { user => 'ann', uri => '/a?b=c', empty => '' }, attempt => 1, template => 'app',
    pid => $job->{pid}, cancelled => '',
}, 'what a job knows';
is_deeply $t->call('My::all')->{returned}[0]{context}, {}, 'no context';
is $t->call('My::all')->{returned}[0]{label}, undef, 'no label';
$job = $t->call('My::by_class');
is_deeply $job->{returned}[0], [$job->{text_id}, 'default', 'app'], 'by the class';

# progress
is $t->call('My::all')->{progress}, undef, 'no progress';
sub progress { my $ended = $t->call('My::progress', [@_]); return $ended->{progress} || $ended->{died}{text} }
is_deeply progress([3, 10, 'pages']), ['3', '10', 'pages'], 'numbers and a text';
is_deeply progress([1, 2, 'old text'], [2.5]), ['2.5', '', ''], 'a number alone';
is_deeply progress([undef, undef, "\x{263A}" x 100]), ['', '', "\xE2\x98\xBA" x 85], 'a text is cut between characters';
is_deeply progress(['1' . '0' x 60]), ['1' . '0' x 30, '', ''], 'a number, too';
is_deeply progress([1, 2, "a\tb\0c"])->[2], "a\tb", 'a NUL ends a text';
like progress(['three']), qr/\Aprogress: done: 'three' is not a number at /, 'a bad number';
like progress([1, '10%']), qr/\Aprogress: of: '10%' is not a number at /, 'another';
is $t->call('My::in_child')->{returned}[0], 0, 'in a forked child';
is_deeply $t->call('My::in_child')->{progress}, ['7', '', ''], 'its progress counts';

# cancelled
for my $cancel (0, 1) {
    pipe my $read, my $write or die $!;
    $job = $t->order('My::progress_waits', [], fds => { 3 => $read });
    $t->until_told($job, 'set_up');
    $job->cancel if $cancel;
    syswrite $write, "go\n";
    $job->finish;
    is $job->{returned}[0], $cancel ? 'cancelled' : 'not', 'cancelled';
    is_deeply $job->{progress}, ['1', '3', 'begun'], 'progress stays';
}

# hooks
is_deeply $t->call('My::seen', [], env => ['HOOK=set'])->{returned}[0],
    ['after_fork: wanted: a code reference', 'first', 'app', 'My::seen', 'second', 'set'], 'hooks, in order, in the job';
is_deeply $t->call('My::seen')->{returned}[0][5], 'none', 'in each job anew';

$t = FakeSpawner->start(preload => ['My'], require => "$dir/bad.pl", inc => [$dir]);
$job = $t->call('My::all');
is $job->{died}{text}, "after_fork: no connection\n", 'a hook that dies is the end of the job';
is $job->{said}, "after_fork: no connection\n", 'before the next one';

done_testing;
