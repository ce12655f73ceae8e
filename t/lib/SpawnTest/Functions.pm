# SPDX-License-Identifier: Apache-2.0
#
# Perl functions that tests have called in jobs. Preloaded by the template of
# SpawnTest::Calls; runs in Perl jobs only.

package SpawnTest::Functions;

use strict;
use warnings;

use Apache2::Spawn ();
use POSIX ();

sub echo { return @_ }

sub sum {
    my $sum = 0;
    $sum += $_ for @_;
    return $sum;
}

sub context { return wantarray ? 'list' : defined wantarray ? 'scalar' : 'void' }

sub array { my @array = (4, 5, 6); return @array }

sub nothing { return }

sub pid { return $$ }

# A field of /proc/self/status.
sub status_of {
    my ($name) = @_;
    open my $in, '<', '/proc/self/status' or die "/proc/self/status: $!\n";
    my ($value) = map { /^\Q$name\E:\s*(.*)/ ? $1 : () } <$in>;
    return $value;
}

# A shell in our group whose end is waited for.
sub starts { return system '/bin/sh', '-c', @_ }

# The first bytes of a file.
sub reads {
    my ($path) = @_;
    open my $in, '<', $path or die "$path: $!\n";
    sysread $in, my $text, 10;
    return $text;
}

# Is a text, which comes in two halves, in what this process could write to? Its own
# /proc/self/mem is root's, but code in the process needs no file.
sub has_in_memory {
    my (@halves) = @_;
    open my $maps, '<', '/proc/self/maps' or die "maps: $!\n";
    my @areas = map { m{^([0-9a-f]+)-([0-9a-f]+) rw.p } ? [ hex $1, hex $2 ] : () } <$maps>;
    for my $area (@areas) {
        my ($at, $end) = @{$area};
        while ($at < $end) {
            my $n = $end - $at > 1 << 20 ? 1 << 20 : $end - $at;
            my $part = unpack "P$n", pack 'Q', $at;
            my $i = -1;
            while (($i = index $part, $halves[0], $i + 1) >= 0) {
                return 1 if substr($part, $i + length $halves[0], length $halves[1]) eq $halves[1];
            }
            $at += $n;
        }
    }
    return 0;
}

# Its first line.
sub line_of {
    my ($path) = @_;
    open my $in, '<', $path or die "$path: $!\n";
    return scalar readline $in;
}

# The exit status of a program.
sub runs { return system { $_[0] } @_ }

# To a file, for what nobody waits for.
sub write_file {
    my ($path, $text) = @_;
    open my $out, '>', "$path.new" or die "$path: $!\n";
    print {$out} $text;
    close $out or die "$path: $!\n";
    rename "$path.new", $path or die "$path: $!\n";
    return;
}

# ---- ways to fail ----

sub dies { my ($with) = @_; die $with }

sub dies_here { die 'no such customer' }

sub dies_with_object {
    die bless { degrees => 451 }, 'SpawnTest::Functions::TooHot';
}

sub returns_handle { return { log => \*STDERR } }

sub returns_object { return bless { n => 1 }, 'SpawnTest::Functions::TooHot' }

sub returns_much { my ($bytes) = @_; return 'x' x $bytes }

sub exits { my ($code) = @_; exit $code }

sub exits_by_core { my ($code) = @_; CORE::exit $code }

sub exits_by_posix { my ($code) = @_; POSIX::_exit($code) }

sub kills_itself { my ($signal) = @_; kill $signal => $$; return 'survived' }

# Tells by its progress that it is deaf, and loops.
sub deaf_loop {
    $SIG{$_} = 'IGNORE' for qw(TERM INT HUP);
    Apache2::Spawn->job->progress(1, undef, 'deaf');
    1 while 1;
    return;
}

sub eats_memory {
    my ($megabytes) = @_;
    my @eaten;
    push @eaten, 'x' x (1 << 20) for 1 .. $megabytes;
    return scalar @eaten;
}

# Three processes in its group and one that has left it; each ends when the gate
# lets it. Their ids.
sub leaves_children {
    my ($gate) = @_;
    return map { _leave($gate, $_ == 4) } 1 .. 4;
}

sub _leave {
    my ($gate, $own_session) = @_;
    pipe my $in, my $out or die "pipe: $!\n";
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    if (!$pid) {
        POSIX::setsid() if $own_session;
        $SIG{$_} = 'IGNORE' for qw(HUP TERM);
        close $in;
        close $out;
        open my $wait, '<', $gate or POSIX::_exit(1);
        sysread $wait, my $byte, 1;
        POSIX::_exit(0);
    }
    close $out;
    my $ready = <$in>;    # its end: the signals are ignored
    return $pid;
}

# All that it can reach, and then what the word says.
sub closes_all {
    my ($then) = @_;
    POSIX::close($_) for 0 .. 1023;
    die "closed and died\n" if $then eq 'die';
    exit 6 if $then eq 'exit';
    return 'still here';
}

# Whether each way to become this user and group had an effect, and the user and
# group then.
sub changes_user {
    my ($uid, $gid) = @_;
    my %took;
    my $try = sub {
        my ($name, $code) = @_;
        my @before = ($<, $>, "$(", "$)");
        $code->();
        $took{$name} = "@before" ne "@{[ $<, $>, qq{$(}, qq{$)} ]}" ? 1 : 0;
        return;
    };
    $try->('setgid', sub { POSIX::setgid($gid) });
    $try->('egid', sub { $) = "$gid $gid" });
    $try->('rgid', sub { $( = $gid });
    $try->('setuid', sub { POSIX::setuid($uid) });
    $try->('euid', sub { $> = $uid });
    $try->('ruid', sub { $< = $uid });
    $try->('both', sub { ($<, $>) = ($uid, $uid) });
    open my $in, '<', '/proc/self/status' or die "status: $!\n";
    my %status = map { /^(\w+):\s*(.*)/ ? ($1, $2) : () } <$in>;
    return { took => \%took, map { $_ => $status{$_} } qw(Uid Gid Groups CapPrm CapEff) };
}

sub _wait_at {
    my ($gate) = @_;
    return if !defined $gate;
    open my $in, '<', $gate or die "$gate: $!\n";
    sysread $in, my $byte, 1;
    return;
}

# Its parent is the spawner, or the template that httpd has forked. Waits at a
# gate before and after, when there are.
# Calls a function with these options: the error's code and text, or its value.
# The function's only value or, when its job cannot be waited for, the error's code and message.
sub waits_for {
    my ($options, $function, @arguments) = @_;
    my $value = eval {
        Apache2::Spawn->spawn_call($function, \@arguments, %{$options})->result(20);
    };
    return $value if defined $value;
    return ref $@ ? ($@->code, $@->message) : "$@";
}

# The same of the job that runs it.
sub waits_for_itself {
    eval { Apache2::Spawn->job(Apache2::Spawn->job->id)->wait(20); 1 } and return 'waited';
    return ref $@ ? ($@->code, $@->message) : "$@";
}

sub calls {
    my ($options, $function, @arguments) = @_;
    my $value = eval { Apache2::Spawn->call($function, \@arguments, %{$options}) };
    return $value if defined $value;
    return ref $@ ? ($@->code, $@->message) : "$@";
}

sub kills_its_parent {
    my ($before, $after) = @_;
    _wait_at($before);
    my $parent = getppid;
    my $killed = kill KILL => $parent;
    my $error = $killed ? 0 : $! + 0;
    Apache2::Spawn->job->progress($parent, undef, $killed ? 'killed' : "not killed: $error");
    _wait_at($after);
    return ($parent, $killed, $error);
}

# Does it hold itself, as it did where it came from?
sub circular { my ($self) = @_; return $self->{self}{self} == $self ? $self->{name} : 'a copy' }

# ---- the job ----

# Progress, then waits at a gate until the test lets it go on.
sub waits_at {
    my ($gate, $answer) = @_;
    Apache2::Spawn->job->progress(3, 10, "row 3 \x{2603}");
    open my $in, '<', $gate or die "$gate: $!\n";
    sysread $in, my $line, 1;    # no more: others wait there too
    return $answer;
}

# One step of progress for each text; waits at the gate after each.
sub steps {
    my ($gate, @texts) = @_;
    my $done = 0;
    for my $text (@texts) {
        Apache2::Spawn->job->progress(++$done, scalar @texts, $text);
        _wait_at($gate);
    }
    return 'all done';
}

# Progress that need not be numbers, which the method would not take.
sub says_of {
    my ($gate, $done, $of) = @_;
    Apache2::Spawn::Template::_put_progress($done, $of, '');
    _wait_at($gate);
    return;
}

# Progress of any bytes, in hexadecimal, which the method would not take.
sub says_bytes {
    my ($gate, $bytes) = @_;
    Apache2::Spawn::Template::_put_progress('1', '2', pack 'H*', $bytes);
    _wait_at($gate);
    return;
}

# A token of this job, or the code of the error.
sub own_token {
    my $job = Apache2::Spawn->job(Apache2::Spawn->job->id);
    return eval { $job->token } || $@->code;
}

sub about_itself {
    my $job = Apache2::Spawn->job;
    return { id => $job->id, queue => $job->queue, function => $job->function, context => $job->context, name => $0 };
}

sub warns { my ($text) = @_; warn "$text\n"; return }

sub prints { my ($text) = @_; print $text; return }

# The time of day, as clock_gettime has it.
sub clock { require Time::HiRes; return Time::HiRes::clock_gettime(Time::HiRes::CLOCK_REALTIME()) }

# Its first line; undef at once when there is none.
sub reads_stdin { return scalar <STDIN> }

# The lines of a handle that was passed.
sub reads_fd {
    my ($number) = @_;
    my $in = Apache2::Spawn->job->fh($number);
    return <$in>;
}

sub writes_fd {
    my ($number, $text) = @_;
    my $out = Apache2::Spawn->job->fh($number);
    print {$out} $text;
    close $out or die "close: $!\n";
    return;
}

# A job of a program from within this one.
sub runs_program {
    my (@argv) = @_;
    my $result = Apache2::Spawn->run(\@argv);
    return { outcome => $result->outcome, exit_code => $result->exit_code, stdout => $result->stdout };
}

# The result of each class method in a job: { method => value or error }.
sub submits {
    my ($f, %got) = __PACKAGE__;
    my %try = (
        run        => sub { Apache2::Spawn->run([ '/bin/echo', 'hi' ])->stdout },
        spawn      => sub { Apache2::Spawn->spawn(['/bin/true'])->wait(30)->outcome },
        posted     => sub { Apache2::Spawn->spawn(['/bin/true'], reply => 'posted')->wait(30)->outcome },
        call       => sub { scalar Apache2::Spawn->call("${f}::sum", [ 1, 2 ]) },
        spawn_call => sub { scalar Apache2::Spawn->spawn_call("${f}::sum", [ 3, 4 ])->result(30) },
        job        => sub { Apache2::Spawn->job(Apache2::Spawn->job->id)->status->id eq Apache2::Spawn->job->id ? 'known' : 'another' },
        list       => sub { Apache2::Spawn->list(rows => 1) + 0 },
    );
    $got{$_} = eval { $try{$_}->() } // "$@" for keys %try;
    return \%got;
}

# As a SpawnCleanupHandler: what submits gives, to the file that it is told.
sub submits_after {
    my ($r) = @_;
    my $got = submits();
    write_file($r->dir_config('Got'), join '', map {"$_=$got->{$_}\n"} sort keys %{$got});
    return 0;
}

sub environment { return %ENV }

# The environment of a program that the function starts.
sub environment_of_a_program { return map { /\A([^=]*)=(.*)/s ? ($1, $2) : () } split /\n/, `/usr/bin/env` }

sub random { return rand }

package SpawnTest::Functions::TooHot;

use overload '""' => sub { return "too hot: $_[0]{degrees}" }, fallback => 1;

1;
