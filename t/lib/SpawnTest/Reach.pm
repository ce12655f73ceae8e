# SPDX-License-Identifier: Apache-2.0
#
# For tests of what keeps processes apart: a program that says what it can do to another
# process and to files, run as a job. Runs in test scripts; the program runs in jobs.

package SpawnTest::Reach;

use strict;
use warnings;

# It looks before it signals: what has been killed cannot be looked at. The kernel asks for the
# same right when mem is opened and when a process is traced; it reads nothing at address 0.
my $program = <<'END';
use strict;
use warnings;
my ($pid, $signals, @paths) = @ARGV;
my ($in, $out, $dir);
for my $name (qw(environ maps io)) {
    print "$name\n" if open($in, '<', "/proc/$pid/$name") && sysread $in, my $byte, 1;
}
print "mem\n" if open $in, '<', "/proc/$pid/mem";
print "fd\n" if opendir $dir, "/proc/$pid/fd";
for my $name (qw(cwd root exe)) {
    print "$name\n" if defined readlink "/proc/$pid/$name";
}
my $ptrace = { x86_64 => 101, aarch64 => 117 }->{ (split ' ', `uname -m`)[0] };
print "trace\n" if $ptrace && syscall($ptrace, 0x4206, $pid + 0, 0, 0) == 0;    # PTRACE_SEIZE, until we end
for my $signal (split /,/, $signals) {
    print "signal $signal\n" if kill $signal, $pid;
}
for my $path (@paths) {
    print "read $path\n" if open $in, '<', $path;
    print "write $path\n" if open $out, '>>', $path;
    print "list $path\n" if opendir $dir, $path;
    print "make in $path\n" if -d $path && mkdir "$path/made";
}
END

# Its words for a process that it may look into, on this machine.
sub of_its_own {
    my ($self) = @_;
    my @may = sort qw(environ maps io fd cwd root exe), $self->_traces;
    return @may;
}

sub new {
    my ($class, $httpd) = @_;
    return bless { httpd => $httpd, path => $httpd->script('reach', "#!$^X\n$program") }, $class;
}

# The rights of a job of this queue over the process and the files: a list of
# words.
#   signals  which to try, after all else
sub can {
    my ($self, $queue, $pid, %options) = @_;
    my $is = $self->{httpd}->run([ $self->{path}, $pid, $options{signals} || '0', @{ $options{paths} || [] } ],
        queue => $queue, timeout => 60);
    die "a job of $queue could not try: $is->{stderr}\n" if !defined $is->{exit_code} || $is->{exit_code};
    return [ sort split /\n/, $is->{stdout} ];
}

# Its words for the right to trace: yama and filters of system calls take it also from
# processes of the same account.
sub _traces {
    my ($self) = @_;
    if (open my $yama, '<', '/proc/sys/kernel/yama/ptrace_scope') {
        return if readline($yama) > 0;
    }
    my $pid = open my $sleeps, '-|', '/bin/sleep', 600 or die "sleep: $!\n";
    my @said = split /\n/, `$self->{path} $pid KILL`;
    close $sleeps;
    return grep { $_ eq 'mem' || $_ eq 'trace' } @said;
}

1;
