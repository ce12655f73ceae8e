#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job of httpd's own template that somebody has stopped (kill -STOP) is ended with all that
# it has started: others of its process group, and what has left that, also a daemon. They
# have TERM once, and KILL when the grace is over; another job of the template
# has nothing of it. The same on a kernel that cannot signal a group by a pidfd (before
# Linux 6.9): there all get their signals one by one.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Errno qw(EINVAL);
use Test::More;

use SpawnTest qw(each_mpm wait_until build_dir);
use SpawnTest::ParentTemplate qw(httpd_with_functions connection templates_of);
use SpawnTest::Process qw(alive state_of);

# Writes down who they are, then who gets TERM.
my $functions = <<'END';
package My::Tree;
use strict;
use warnings;
use POSIX ();
sub note { my ($file, @words) = @_; open my $out, '>>', $file or return; syswrite $out, "@words\n"; close $out; return }
sub stay { my ($file, $who, $deaf) = @_; $SIG{TERM} = sub { note($file, 'TERM', $who); POSIX::_exit(0) if !$deaf }; note($file, $who, $$); sleep 1 while 1 }
sub tree {
    my ($file, $deaf) = @_;
    if (!fork) { stay($file, 'member', $deaf) }
    if (!fork) { POSIX::setsid(); stay($file, 'session', $deaf) }
    if (!fork) { POSIX::setsid(); POSIX::_exit(0) if fork; stay($file, 'daemon', $deaf) }
    stay($file, 'leader', $deaf);
}
1;
END

my @who = qw(daemon leader member session);

sub lines_of {
    my ($file) = @_;
    open my $in, '<', $file or return;
    return map { [ split ' ' ] } grep { /\n\z/ } <$in>;
}

# A job of four processes: the job, { who => pid }, its file.
sub tree {
    my ($httpd, $name, $deaf, @options) = @_;
    my $file = $httpd->work . "/tree-$name";
    my $job = connection($httpd)->spawn_call('My::Tree::tree', [ $file, $deaf ], @options);
    my %pid;
    wait_until(sub { %pid = map { @{$_} } grep { $_->[0] ne 'TERM' } lines_of($file); return keys %pid == @who }, 60)
        or die "$name: not all of it runs\n";
    wait_until(sub { SpawnTest::Process::parent_of($pid{daemon}) == SpawnTest::Process::parent_of($pid{leader}) }, 60)
        or die "$name: its daemon has a parent\n";
    return { name => $name, job => $job, pid => \%pid, file => $file };
}

sub all_have_ended { my ($tree) = @_; return wait_until(sub { !grep { alive($_) } values %{ $tree->{pid} } }, 60) }
sub terms_of { my ($tree) = @_; return join ' ', sort map { $_->[1] } grep { $_->[0] eq 'TERM' } lines_of($tree->{file}) }

sub are_ended {
    my ($mpm, $kernel, @options) = @_;
    my $httpd = httpd_with_functions(mpm => $mpm, @options);
    $httpd->{perl} .= $functions;
    $httpd->start;
    my $polite = tree($httpd, 'polite', 0);
    my $killed = tree($httpd, 'killed', 1);
    my $other = tree($httpd, 'other', 0);
    my $late = tree($httpd, 'late', 1, timeout => 10, grace => 6);
    my ($template) = templates_of($httpd, 'app');
    kill STOP => $template or die "$template: $!\n";
    wait_until(sub { state_of($template) eq 'T' }, 30) or die "$template is not stopped\n";

    $polite->{job}->kill('TERM');
    ok all_have_ended($polite), "$kernel: TERM ends all of the job";
    is terms_of($polite), "@who", '... each got it once';
    $killed->{job}->kill('KILL');
    ok all_have_ended($killed), "$kernel: KILL ends all of it";
    is terms_of($killed), '', '... without TERM';
    ok wait_until(sub { terms_of($late) eq "@who" }, 60), "$kernel: of one whose time is over all get TERM" or diag terms_of($late);
    ok all_have_ended($late), '... and KILL when its grace is over';
    is scalar(grep { alive($_) } values %{ $other->{pid} }), 4, 'another job of it has nothing of that';

    # it is killed when it leaves its jobs unreaped for 30 s
    kill CONT => $template if grep { $_ == $template } templates_of($httpd, 'app');
    for my $tree ($polite, $killed, $late) {
        my $end = $tree->{job}->wait(60);
        like $end && $end->outcome, qr{\A(?:exited|cancelled|timed_out|code_unknown)\z}, "the end is told, when the template goes on: $tree->{name}";
    }
    is terms_of($_), "@who", "nobody had TERM twice: $_->{name}" for $polite, $late;
    $other->{job}->kill('TERM');
    ok all_have_ended($other), 'and the other job is ended';
    unlike $httpd->error_log, qr/MS0372|MS0330/, 'no signal is refused';
    return;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        are_ended($mpm, 'this kernel');
        are_ended($mpm, 'one before 6.9', wrapper => [ build_dir() . '/t/deny', EINVAL, 'pidfd_send_signal:3=4' ]);
    }
);
done_testing;
