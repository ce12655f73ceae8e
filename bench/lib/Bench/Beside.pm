# SPDX-License-Identifier: Apache-2.0
#
# The suite's C programs, run beside httpd: the load, the peer of bare messages,
# the loops that show the machine's limit. Runs in bench/run; ends what it
# started, by the pid that it got.

package Bench::Beside;

use strict;
use warnings;

use Exporter 'import';
use POSIX ();

use Bench::Cpu ();
use SpawnTest ();

our @EXPORT_OK = qw(program output peer starter forker begin end_peers load);

my @peers;

sub program { return SpawnTest::build_dir() . "/bench/$_[0]" }

# output($cpus, @argv): runs it to its end on these CPUs; what it printed.
sub output {
    my ($cpus, @argv) = @_;
    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        exec 'taskset', '-c', $cpus, @argv or POSIX::_exit(127);
    }
    my $text = do { local $/ = undef; <$out> };
    close $out or die "$argv[0] failed: $?\n";
    return $text;
}

# begin(@argv): starts a program that stays until end_peers; its pid.
sub begin {
    my (@argv) = @_;
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        delete @SIG{qw(INT TERM HUP PIPE)};
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', '/dev/null';
        exec @argv or POSIX::_exit(127);
    }
    push @peers, $pid;
    return $pid;
}

# peer($path, $cpus, $next): starts one, which passes all on to $next if there is one;
# the path.
sub peer {
    my ($path, $cpus, @next) = @_;
    return _listens($path, 'taskset', '-c', $cpus, program('peer'), $path, @next);
}

# starter($path, $httpd): starts a process that starts programs as httpd's account; the
# path.
sub starter {
    my ($path, $httpd) = @_;
    return _listens($path, program('starter'), $path, $httpd->uid, $httpd->gid);
}

# forker($path, $megabytes): starts a process of this size that forks itself for each
# Perl call; the path.
sub forker {
    my ($path, $megabytes) = @_;
    return _listens($path, program('fork_frozen'), $megabytes, SpawnTest::root_dir() . '/bench/lib', $path);
}

sub _listens {
    my ($path, @argv) = @_;
    begin(@argv);
    SpawnTest::wait_until(sub { -S $path }, 30) or die "$path: nobody listens there\n";
    return $path;
}

sub end_peers {
    for my $pid (splice @peers) {
        kill TERM => $pid;
        waitpid $pid, 0;
    }
    return;
}

# One run of the load program: answers per second, latencies and what the
# handlers measured inside of themselves, in ns.
#   connections, seconds, rate (0 or none: closed loop), port when it is not httpd's
sub load {
    my ($httpd, $path, %how) = @_;
    my $text = output(join(',', Bench::Cpu::all()), program('load'), $how{port} || $httpd->port, $path,
        $how{connections}, $how{seconds}, $how{rate} || 0);
    my %got = (latency => [], body => []);
    for my $line (split /\n/, $text) {
        my ($one, $other) = split / /, $line;
        if ($one =~ /[a-z]/) {
            $got{$one} = $other;
        } else {
            push @{ $got{latency} }, $one;
            push @{ $got{body} }, $other if $other >= 0;
        }
    }
    die "$path: $got{failed} requests failed\n" . $httpd->tail if $got{failed};
    $got{rate} = (@{ $got{latency} } - $got{unfinished}) / $got{seconds};
    return \%got;
}

END {
    my $status = $?;
    end_peers();
    $? = $status;    ## no critic (RequireLocalizedPunctuationVars)
}

1;
