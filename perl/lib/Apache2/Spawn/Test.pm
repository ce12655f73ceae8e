package Apache2::Spawn::Test;

# Jobs of an application's tests: checked as real ones, recorded, not run. Runs in test
# scripts. Must change nothing unless a script asks for it.
#
# The seam is the socket: the library checks and sends as always, to a process of ours that
# accepts. It is a process because the library waits for the answer in this one.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn ();
use File::Temp ();
use IO::Select ();
use IO::Socket::UNIX ();
use POSIX ();
use Socket qw(SOCK_SEQPACKET);
use Test::Builder ();

our @EXPORTED = qw(spawned_ok job_like jobs clear_jobs);

# Numbers of the wire, as common/spawn_proto.h has them.
our %MESSAGE = (hello => 1, submit => 2);
our %ANSWER = (welcome => 20, accepted => 21, refused => 23);
our %ATTRIBUTE = (id => 1, reply => 21, state => 40, code => 60, text => 61, release => 66);
use constant { U64 => 1, STR => 3, ID => 7, INVALID => 6 };

my (@jobs, $broker, $connection);

sub import {
    my ($class, $mode) = @_;
    my $package = caller;
    die "Apache2::Spawn::Test: wanted: 'fake'" . _at() if !defined $mode || $mode ne 'fake';
    _begin() if !$broker;
    no strict 'refs';    ## no critic (ProhibitNoStrict)
    *{"${package}::$_"} = \&{$_} for @EXPORTED;
    return;
}

sub _at {
    my (undef, $file, $line) = caller 1;
    return " at $file line $line.\n";
}

# ---- the process that accepts ----

sub _attribute {
    my ($name, $kind, $data) = @_;
    return pack('vCCV', $ATTRIBUTE{$name}, $kind, 0, length $data) . $data . "\0" x (-length($data) & 7);
}

sub _message {
    my ($seq, $type, @attributes) = @_;
    my $body = join '', @attributes;
    return pack('vCCvvVV', 0x5053, 1, 0, $ANSWER{$type}, 0, $seq, length $body) . $body;
}

sub _refused {
    my ($seq, $text) = @_;
    return _message($seq, 'refused', _attribute(code => U64, pack 'Q<', INVALID), _attribute(text => STR, "$text\0"));
}

sub _answer {
    my ($packet) = @_;
    my (undef, undef, $flags, $type, undef, $seq) = unpack 'vCCvvV', $packet;
    return _message($seq, 'welcome', _attribute(release => STR, Apache2::Spawn::_release() . "\0"))
        if $type == $MESSAGE{hello};
    return _refused($seq, 'Apache2::Spawn::Test: a recorded job has not run, and nothing is known of it')
        if $type != $MESSAGE{submit};
    return _refused($seq, 'Apache2::Spawn::Test: the job has too much data to be recorded') if $flags & 1;
    my %got;
    for (my $at = 16; $at < length $packet;) {    ## no critic (ProhibitCStyleForLoops)
        my ($number, undef, undef, $n) = unpack 'vCCV', substr $packet, $at, 8;
        $got{$number} = substr $packet, $at + 8, $n;
        $at += 8 + (($n + 7) & ~7);
    }
    my $reply = $got{ $ATTRIBUTE{reply} };
    return _refused($seq, 'Apache2::Spawn::Test: a recorded job does not run, so its end cannot be waited for')
        if defined $reply && unpack('Q<', $reply) >= 2;
    return _message($seq, 'accepted', _attribute(id => ID, $got{ $ATTRIBUTE{id} }),
        _attribute(state => U64, pack 'Q<', 1));
}

# Until the script is gone, however it ends: then $life is at its end.
sub _serve {
    my ($listener, $life) = @_;
    my $select = IO::Select->new($listener, $life);
    while (my @ready = $select->can_read) {
        for my $peer (@ready) {
            return if $peer == $life;
            if ($peer == $listener) {
                my $new = $listener->accept;
                $select->add($new) if $new;
                next;
            }
            my $packet = '';
            if (!defined recv($peer, $packet, 1 << 18, 0) || $packet eq '') {
                $select->remove($peer);
                close $peer;
                next;
            }
            send $peer, _answer($packet), 0;
        }
    }
    return;
}

sub _begin {
    my $dir = File::Temp->newdir;
    my $listener = IO::Socket::UNIX->new(Type => SOCK_SEQPACKET, Local => "$dir/socket", Listen => 20)
        or die "Apache2::Spawn::Test: $dir/socket: $!\n";
    CORE::pipe my $life, my $held or die "Apache2::Spawn::Test: pipe: $!\n";
    my $pid = fork;
    die "Apache2::Spawn::Test: fork: $!\n" if !defined $pid;
    if (!$pid) {
        close $held;
        _serve($listener, $life);
        POSIX::_exit(0);
    }
    $broker = { dir => $dir, held => $held, pid => $pid, owner => $$ };
    $connection = Apache2::Spawn->connect("$dir/socket", timeout => 60);
    _record($_) for qw(spawn spawn_call);
    _redirect($_) for qw(run call job list);
    return;
}

END {
    if ($broker && $broker->{owner} == $$) {
        local ($?, $!);
        kill 'KILL', $broker->{pid};
        waitpid $broker->{pid}, 0;
    }
}

# ---- what is recorded ----

sub _record {
    my ($method) = @_;
    my $real = Apache2::Spawn->can($method);
    no strict 'refs';      ## no critic (ProhibitNoStrict)
    no warnings 'redefine';
    *{"Apache2::Spawn::$method"} = sub {
        my (undef, @given) = @_;
        my ($job, $error);
        {
            local $@;
            $error = $@ if !eval { $job = $real->($connection, @given); 1 };
        }
        die _from_caller($error, caller) if $error;
        push @jobs, _job($method, $job->id, @given);
        return $job;
    };
    return;
}

# The error names the line of the application, as in production.
sub _from_caller {
    my ($error, undef, $file, $line) = @_;
    @{$error}{qw(file line)} = ($file, $line) if ref $error;
    return $error;
}

# To the process that accepts, which refuses what needs a job that runs.
sub _redirect {
    my ($method) = @_;
    my $real = Apache2::Spawn->can($method);
    no strict 'refs';      ## no critic (ProhibitNoStrict)
    no warnings 'redefine';
    *{"Apache2::Spawn::$method"} = sub {
        shift;
        unshift @_, $connection;
        goto &{$real};
    };
    return;
}

sub _job {
    my ($method, $id, $what, @rest) = @_;
    return { method => $method, id => $id, argv => [ @{$what} ], options => {@rest} } if $method eq 'spawn';
    my $arguments = @rest % 2 ? shift @rest : [];
    return { method => $method, id => $id, function => $what, arguments => $arguments, options => {@rest} };
}

sub jobs { return @jobs }

sub clear_jobs { @jobs = (); return }

# ---- tests ----

sub _name { return $_[0]{function} // $_[0]{argv}[0] }

sub _same {
    my ($got, $wanted) = @_;
    return !defined $got if !defined $wanted;
    return 0 if !defined $got;
    return $got =~ $wanted if ref $wanted eq 'Regexp';
    return ref $got eq 'ARRAY' && @{$got} == @{$wanted} && !grep { !_same($got->[$_], $wanted->[$_]) } 0 .. $#{$wanted}
        if ref $wanted eq 'ARRAY';
    return ref $got eq 'HASH' && !grep { !_same($got->{$_}, $wanted->{$_}) } keys %{$wanted}
        if ref $wanted eq 'HASH';
    return $got eq $wanted;
}

sub _shown {
    my ($test, @shown) = @_;
    $test->diag(@shown ? 'spawned:' : 'nothing was spawned');
    $test->diag('  ', $_->{method}, ' ', $test->explain($_)) for @shown;
    return;
}

sub spawned_ok {
    my ($what, $wanted, $name) = @_;
    my $test = Test::Builder->new;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $ok = grep { _same(_name($_), $what) && _same($_, $wanted || {}) } @jobs;
    $test->ok($ok, $name // "$what was spawned") or _shown($test, @jobs);
    return !!$ok;
}

sub job_like {
    my ($job, $wanted, $name) = @_;
    my $test = Test::Builder->new;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $ok = _same($job, $wanted);
    $test->ok($ok, $name // 'the job is as wanted') or _shown($test, $job ? $job : ());
    return !!$ok;
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Test - tests of what an application spawns, without httpd

=head1 SYNOPSIS

    use Test::More;
    use Apache2::Spawn::Test 'fake';

    My::Shop::order(42);
    spawned_ok('/usr/sbin/sendmail', { options => { queue => 'mail' } }, 'a mail is sent');
    spawned_ok('My::Report::build', { arguments => [ 42, qr/./ ] });
    is scalar(jobs()), 2, 'and no more';

=head1 DESCRIPTION

For the test suites of applications that use L<Apache2::Spawn>. No httpd, spawner or broker
is needed. Jobs are recorded, not run. The options are checked by the same code as in
production: a wrong option throws the same L<Apache2::Spawn::Error>, and nothing is recorded.
Connections that the application makes with C<connect> are not used: their jobs are recorded, too.

The module works with L<Test::More> and whatever else is built on L<Test::Builder>. In a suite
that uses L<Apache::Test>, it is for the scripts that call the application's code themselves: what a
handler in the server under test spawns goes to that server's broker.

=head1 FUNCTIONS

All are exported. A record is a hash reference: C<method> (C<spawn> or C<spawn_call>), C<id>,
C<options> (as they were given), and C<argv>, or C<function> and C<arguments>.

=over

=item spawned_ok($what, \%wanted, $name)

A test: a job was recorded whose program or function is C<$what> (text or a C<qr//>) and whose
record is like C<%wanted>. When it fails, it shows what was spawned.

=item job_like($job, \%wanted, $name)

A test: this record is like C<%wanted>. Keys that C<%wanted> has not do not count; lists must be
as long; a C<qr//> matches.

=item jobs

The records, oldest first.

=item clear_jobs

Forgets them.

=back

=head1 EXAMPLES

The options of one job:

    My::Shop::order(42);
    my ($job) = jobs();
    job_like($job, { method => 'spawn', argv => [ '/usr/sbin/sendmail', '-t' ] });

Each test for itself:

    clear_jobs();
    My::Shop::look(42);
    is scalar(jobs()), 0, 'looking spawns nothing';

=head1 LIMITS

=over

=item *

There is no C<drain> and no clock: what is recorded is never run, and C<delay> changes nothing.

=item *

Jobs do not run: C<run>, C<call>, C<< reply => 'started' >> and C<< reply => 'finished' >> throw
C<invalid>, and so do all methods of a job that ask the broker (C<wait>, C<status>, C<result>, C<kill>).

=item *

What only a broker knows is not checked: whether a queue exists or is full, permissions, C<unique>
keys, whether the program or function exists.

=item *

Methods of C<$r>, C<cleanup> and C<pipe> need httpd or a running program and are not recorded.

=item *

A job with more data than fits in one message (64 KB) throws C<invalid>.

=item *

Arguments of functions are recorded as the caller's values, not copied.

=item *

Jobs of a child process that the script forks are recorded in that child alone.

=back

=head1 SEE ALSO

L<Apache2::Spawn>, L<Apache2::Spawn::Options>

=cut
