# SPDX-License-Identifier: Apache-2.0
#
# The clock of a soak: a file that httpd, its children, the broker, the scribe and the
# callers have mapped (t/probe/clock.c), and the proof that they do. Not so the spawner,
# which does not look at the time of day, and programs. Runs in the soak's main process,
# which has the real clock; must be made before httpd starts.

package SpawnTest::Soak::Clock;

use strict;
use warnings;

use HTTP::Tiny ();
use Time::HiRes ();
use Time::Piece ();

use SpawnTest::Process qw(children_of cmdline);
use SpawnTest::Wait qw(wait_until);

use constant {
    PROOF => -500,    # s: a small step back brings no run of a recurring job
    NEAR => 60,       # s that a busy machine may take for an answer
    WITHIN => 20,     # s until a process is there, and has executed what it is
};

# new(httpd, directory of spawner and broker): with the real time. The file lies beside the
# broker, which is given no environment. Others have clock.so preloaded.
sub new {
    my ($class, $httpd, $dir, $preload) = @_;
    my $self = bless { httpd => $httpd, file => "$dir/clock" }, $class;
    $self->step(0);
    @ENV{qw(LD_PRELOAD TEST_CLOCK)} = ($preload, $self->{file});    ## no critic (RequireLocalizedPunctuationVars)
    $httpd->{wrapper} = [ 'env', "TEST_CLOCK=$self->{file}" ];    # no TEST_ of a test is httpd's
    return $self;
}

# The time of day is so many seconds ahead from now on. The file is mapped: it keeps its
# size. Broker and children have accounts of their own, and read it. Nobody but the soak
# sets it: what is read by all who are in it must not be writable for its jobs.
sub step {
    my ($self, $seconds) = @_;
    @{$self}{qw(was set)} = ($self->{set}, $seconds);
    my $mode = -e $self->{file} ? '+<' : '>';
    open my $out, $mode, $self->{file} or die "$self->{file}: $!\n";
    syswrite $out, pack 'q5', $seconds, (0) x 4 or die "$self->{file}: $!\n";
    close $out or die "$self->{file}: $!\n";
    chmod 0644, $self->{file} or die "$self->{file}: $!\n";
    return;
}

# Was there another time before the last step?
sub was_set { my ($self) = @_; return $self->{was} }

# ---- the proof ----

# A text for each process that would not see a step: those of httpd and its broker that
# have to, and callers (pids). left: code that is told why one was not looked at.
sub blind {
    my ($self, $left, @callers) = @_;
    my @wrong;
    wait_until(sub { @wrong = grep {defined} map { $self->_blind($left, $_) } $self->_seeing, @callers; return !@wrong }, WITHIN);
    return @wrong;
}

sub _seeing {
    my ($self) = @_;
    my $httpd = $self->{httpd};
    my @children = $httpd->pid ? children_of($httpd->pid) : ();
    my $broker = $httpd->broker_pid;
    my @scribe = $broker ? grep { join(q{ }, cmdline($_)) =~ /^mod_spawn scribe/ } children_of($broker) : ();
    return grep {defined} $httpd->pid, $broker, @scribe, grep { join(q{ }, cmdline($_)) !~ /^mod_spawn spawner/ } @children;
}

sub _blind {
    my ($self, $left, $pid) = @_;
    my $name = join q{ }, cmdline($pid);
    return if !length $name;    # it has just ended
    open my $in, '<', "/proc/$pid/maps" or do { $left->("does $name see the clock: /proc/$pid/maps: $!"); return };
    while (my $line = <$in>) {
        return if $line =~ /\s\Q$self->{file}\E$/;
    }
    return if !join q{ }, cmdline($pid);
    return "process $pid does not see the clock: $name";
}

# A text for each of httpd's parent, a child, the broker and a caller that does not tell
# the time of a step. url: of a handler that answers with its time.
sub wrong {
    my ($self, $url) = @_;
    my $before = $self->{set};
    $self->step(PROOF);
    my %told = (
        'the broker' => sub { return _run('-MApache2::Spawn', 'print Apache2::Spawn->connect($ARGV[0])->run(["/bin/true"])->submitted_at', $self->{httpd}->socket) },
        'a child of httpd' => sub { return HTTP::Tiny->new(timeout => WITHIN)->get($url)->{content} },
        'the parent of httpd' => sub { return $self->_of_the_log },
        'a caller' => sub { return _run('-MTime::HiRes', 'print Time::HiRes::time') },
    );
    my @wrong;
    for my $who (sort keys %told) {
        my $time = eval { $told{$who}->() };
        my $off = ($time || '') =~ /\A[0-9.]+\z/ ? $time - Time::HiRes::time() - PROOF : undef;
        push @wrong, "$who does not see a step of the clock: " . (defined $off ? "$off s off" : $time || $@)
            if !defined $off || abs $off > NEAR;
    }
    $self->step($before);
    return @wrong;
}

# What a script says that has the clock: the id of a job is of its time.
sub _run {
    my ($module, $code, @arguments) = @_;
    open my $out, '-|', $^X, $module, '-e', $code, @arguments or die "$^X: $!\n";
    my $said = <$out>;
    close $out;
    return $said;
}

# What it says after a graceful restart is of its time: seconds since 1970.
sub _of_the_log {
    my ($self) = @_;
    my $from = length $self->{httpd}->error_log;
    $self->{httpd}->graceful;
    my ($day, $time, $year) = substr($self->{httpd}->error_log, $from)
        =~ /^\[\w+ (\w+ +[0-9]+) ([0-9:]+)[0-9.]* ([0-9]+)\] [^\n]* resuming normal operations/m or die "no line of its own\n";
    return Time::Piece::localtime()->strptime("$day $time $year", '%b %d %H:%M:%S %Y')->epoch;
}

1;
