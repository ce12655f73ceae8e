# SPDX-License-Identifier: Apache-2.0
#
# prove's harness, and at the end, before its summary, what each file that failed
# said: its `not ok` lines and what it wrote to standard error. While tests run that
# stands between what all others say, and whoever shows the log of a run may keep
# only its head and its tail. Above that: what was left out and why, which prove
# counts as good. Runs in prove, which t/run starts; its verdict is prove's own.

package SpawnTest::Harness;

use strict;
use warnings;

use parent 'TAP::Harness';

use POSIX ();
use Time::HiRes qw(CLOCK_MONOTONIC clock_gettime);

use constant LINES => 240;       # of all files together, as long as each has its
use constant LEAST => 12;        # share, half from its beginning and half from its end
use constant MOST => 80;
use constant WIDTH => 300;       # of a line

sub new {
    my ($class, $options) = @_;
    return $class->SUPER::new({ %{ $options || {} }, parser_class => 'SpawnTest::Harness::Parser' });
}

# ---- those that hang ----

sub runtests {
    my ($self, @tests) = @_;
    pipe my $read, my $write or die "pipe: $!\n";
    my $pid = $ENV{TEST_LIMIT} ? fork : 0;
    die "fork: $!\n" if !defined $pid;
    if ($ENV{TEST_LIMIT} && $pid == 0) {
        close $write;
        _end_those_that_hang(getppid, $read, $ENV{TEST_LIMIT});
        POSIX::_exit(0);
    }
    close $read;
    my $result = $self->SUPER::runtests(@tests);
    close $write;
    waitpid $pid, 0 if $pid;
    return $result;
}

# As long as prove has the other end of this pipe.
sub _end_those_that_hang {
    my ($prove, $pipe, $limit) = @_;
    my $own = readlink "/proc/$prove/fd/1";
    my (%since, %output);
    while (1) {
        vec(my $is = '', fileno $pipe, 1) = 1;
        return if select $is, undef, undef, 1;
        my ($now, %of) = (clock_gettime(CLOCK_MONOTONIC));
        push @{ $of{ $_->{parent} } }, $_ for _processes();
        my %old = %since;
        %since = map { ("$_->{pid} $_->{start}" => $old{"$_->{pid} $_->{start}"} || $now) }
            grep { $_->{pid} != $$ } @{ $of{$prove} || [] };
        for (keys %since) {
            my ($test) = split / /;
            my $out = readlink "/proc/$test/fd/1";    # until it is exec'd it is prove's
            $output{$_}{pipe} = $out if $out && $out =~ /^pipe:/ && $out ne ($own || '');
            $output{$_}{what} = _command($test) || $output{$_}{what} || 'a test';
            my $most = $limit + _more($output{$_}{what});
            next if $now - $since{$_} < $most;
            print STDERR "t/run: ended after $most s (TEST_LIMIT): $output{$_}{what}\n";
            my @all = $test;
            for (my $i = 0; $i < @all; $i++) { push @all, map { $_->{pid} } @{ $of{ $all[$i] } || [] } }
            kill 'KILL', @all, grep { $_ != $prove && $_ != $$ } _holders($output{$_}{pipe});
        }
    }
    return;
}

# Seconds of a test file that has a line "# TEST_LIMIT: 300 s more".
my %more;

sub _more {
    my ($command) = @_;
    my ($path) = grep {/[.]t\z/} split / /, $command or return 0;
    return $more{$path} //= do {
        my $head = '';
        if (open my $in, '<', $path) { read $in, $head, 4096 }
        $head =~ /^# TEST_LIMIT: ([0-9]+) s more$/m ? $1 : 0;
    };
}

# Processes that a test has left behind may hold its output, which prove waits for.
sub _holders {
    my ($pipe) = @_;
    return if !$pipe;
    my %found;
    for my $path (glob '/proc/[0-9]*/fd/*') {
        my $file = readlink $path;
        $found{ (split m{/}, $path)[2] } = 1 if $file && $file eq $pipe;
    }
    return keys %found;
}

sub _command {
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/cmdline" or return;
    return do { local $/ = undef; <$in> } =~ tr/\0/ /r;
}

# All that there are: { pid, parent, start }.
sub _processes {
    my @found;
    for my $path (glob '/proc/[0-9]*/stat') {
        open my $in, '<', $path or next;
        my ($pid, $rest) = (<$in> || '') =~ /^([0-9]+) .*\) (.*)/s or next;
        my @rest = split / /, $rest;
        push @found, { pid => $pid, parent => $rest[1], start => $rest[19] };
    }
    return @found;
}

# ---- the end ----

sub summary {
    my ($self, $aggregate, @more) = @_;
    my %left_out;
    for my $parser ($aggregate->parsers($aggregate->descriptions)) {
        $left_out{$_}++ for @{ $parser->{spawn_left_out} || [] };
    }
    print "\nLeft out:\n" if %left_out;
    printf "%5d x %s\n", $left_out{$_}, $_ for sort keys %left_out;
    my @failed = grep { ($aggregate->parsers($_))[0]->has_problems } $aggregate->descriptions;
    my $share = @failed ? int LINES / @failed : 0;
    $share = $share < LEAST ? LEAST : $share > MOST ? MOST : $share;
    for my $name (@failed) {
        my ($parser) = $aggregate->parsers($name);
        print "\n---- $name said\n";
        print substr($_, 0, WIDTH) . "\n" for _shortened($share, $parser->said);
    }
    return $self->SUPER::summary($aggregate, @more);
}

sub _shortened {
    my ($share, @lines) = @_;
    my $over = @lines - $share;
    my $half = int $share / 2;
    splice @lines, $half, $over, "[... $over lines, which stand above ...]" if $over > 0;
    return @lines;
}

# ---- one test file ----

package SpawnTest::Harness::Parser;    ## no critic (ProhibitMultiplePackages)

use parent 'TAP::Parser';

open my $stderr, '>&', \*STDERR or die "standard error: $!\n";
$stderr->autoflush(1);

# Text that prove passes on to its standard error meanwhile comes from this
# file.
sub next {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self) = @_;
    local *STDERR;
    tie *STDERR, 'SpawnTest::Harness::Stderr', $stderr, \$self->{spawn_said};
    my $result = $self->SUPER::next;
    untie *STDERR;
    $self->_keep($result->raw) if $result;
    return $result;
}

# cmocka tells what was wrong on standard output, as comments after its `not ok`.
sub _keep {
    my ($self, $line) = @_;
    push @{ $self->{spawn_left_out} }, substr $1, 0, SpawnTest::Harness::WIDTH
        if $line =~ /^(?:\s*ok\b.*?#\s*skip|1\.\.0\s*#\s*skip|\s*#\s*left out:)\S*\s+(.*)/i;
    my $is_comment = $line =~ /^\s*#/;
    $self->{spawn_not_ok} = $line =~ /^\s*not ok\b/ if !$is_comment;
    $self->{spawn_said} .= "$line\n" if $self->{spawn_not_ok};
    return;
}

sub said {
    my ($self) = @_;
    return split /\n/, defined $self->{spawn_said} ? $self->{spawn_said} : '';
}

package SpawnTest::Harness::Stderr;    ## no critic (ProhibitMultiplePackages)

sub TIEHANDLE {
    my ($class, $to, $keep) = @_;
    return bless { to => $to, keep => $keep }, $class;
}

sub PRINT {
    my ($self, @parts) = @_;
    ${ $self->{keep} } .= join '', @parts;
    return print { $self->{to} } @parts;
}

sub PRINTF {
    my ($self, $format, @values) = @_;
    return $self->PRINT(sprintf $format, @values);
}

1;
