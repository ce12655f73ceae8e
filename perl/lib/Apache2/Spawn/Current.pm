package Apache2::Spawn::Current;

# The Perl job that this process is. Runs in jobs. Must send no message: progress and the
# rest are on the board.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Carp ();
use Scalar::Util ();

our $current;    # C clears it when a worker's call has ended

sub job { return $current ||= _make() }

# Of the order that lies in C, when somebody asks for the first time. undef: there is none,
# or this process is not forked from a template.
sub _make {
    my $order = defined &_order ? _order() : undef;
    return if !$order;
    return bless {
        id       => $order->{id},
        queue    => $order->{queue},
        label    => $order->{label},
        function => $order->{function},
        context  => { map { split /=/, $_, 2 } grep { /=/ } @{ $order->{context} } },
        attempt  => $order->{attempt} || 1,
        template => Apache2::Spawn::Template::name(),
        pid      => $order->{pid},
        fds      => [sort { $a <=> $b } @{ $order->{fds} }],
        handles  => {},
    }, __PACKAGE__;
}

# For a job that this one submits: whose request it is, and which job this is. undef: none.
sub _parent {
    my $job = job() or return;
    return [$job->{context}{request_id}, $job->{id}];
}

# All methods are class methods, too: there is one job in a process.
sub _self {
    my ($self) = @_;
    return $self if ref $self;
    my $job = job();
    return $job if $job;
    Carp::croak('this process is no job');
}

sub id       { return _self(@_)->{id} }
sub queue    { return _self(@_)->{queue} }
sub label    { return _self(@_)->{label} }
sub function { return _self(@_)->{function} }
sub context  { return _self(@_)->{context} }
sub attempt  { return _self(@_)->{attempt} }
sub template { return _self(@_)->{template} }
sub pid      { return _self(@_)->{pid} }

sub cancelled {
    _self(@_);
    return Apache2::Spawn::Template::_cancelled();
}

sub progress {
    my ($self, $done, $of, $text) = @_;
    _self($self);
    for ([done => $done], [of => $of]) {
        my ($what, $number) = @{$_};
        next if !defined $number || Scalar::Util::looks_like_number($number);
        Carp::croak("progress: $what: '$number' is not a number");
    }
    Apache2::Spawn::Template::_put_progress(
        _cut($done, Apache2::Spawn::Template::_NUMBER_MAX()),
        _cut($of,   Apache2::Spawn::Template::_NUMBER_MAX()),
        _cut($text, Apache2::Spawn::Template::_TEXT_MAX()));
    return;
}

# Bytes, at most so many, without half a character at the end.
sub _cut {
    my ($text, $most) = @_;
    $text = '' if !defined $text;
    $text = "$text";
    utf8::encode($text) if utf8::is_utf8($text);
    return $text if length $text <= $most;
    my $kept = substr $text, 0, $most;
    $kept =~ s/[\xC0-\xFF][\x80-\xBF]*\z// if substr($text, $most, 1) =~ /[\x80-\xBF]/;
    return $kept;
}

my %mode = (r => '<&=', w => '>&=', a => '>>&=', b => '+<&=');

sub fh {
    my ($invocant, $number) = @_;
    my $self = _self($invocant);
    Carp::croak('fh: wanted: the number of a handle that was passed by fds')
        if !defined $number || $number !~ /\A(\d+)\z/;
    $number = $1;    # not tainted: it is looked for below
    my @passed = @{ $self->{fds} };
    Carp::croak("fh: no handle was passed at $number; passed were: " . (join(', ', @passed) || 'none'))
        if !grep { $_ == $number } @passed;
    my $known = $self->{handles}{$number};
    return $known if defined $known && defined fileno $known;
    my $mode = $mode{ Apache2::Spawn::Template::_access($number) }
        or Carp::croak("fh: the handle at $number has been closed");
    open my $handle, $mode, $number    ## no critic (RequireBriefOpen)
        or Carp::croak("fh: $number: $!");
    Scalar::Util::weaken($self->{handles}{$number} = $handle);
    return $handle;
}

my %end_blocks = (0 => 0, 1 => 1, all => 2);

sub run_end_blocks {
    my ($self, $which) = @_;
    _self($self);
    $which = 1 if @_ < 2;
    my $known = $end_blocks{ defined $which && length $which ? $which : 0 };
    Carp::croak("run_end_blocks: '$which' is not known; wanted: 0, 1 or 'all'") if !defined $known;
    Apache2::Spawn::Template::_end_blocks($known);
    return;
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Current - the Perl job that this process is

=head1 SYNOPSIS

    package My::Report;

    sub build {
        my ($month) = @_;
        my $job = Apache2::Spawn->job;          # throws outside of a job
        my @pages = pages_of($month);
        for my $n (0 .. $#pages) {
            return if $job->cancelled;
            $job->progress($n, scalar(@pages), "page $pages[$n]");
            render($pages[$n]);
        }
        warn "built for ", $job->context->{user}, "\n";
        return scalar @pages;
    }

=head1 DESCRIPTION

A function that runs as a Perl job (L<Apache2::Spawn/spawn_call>) can ask which job
it is, report its progress, and learn that nobody wants it any more. None of
this needs a message: the job and the broker look at the same piece of memory, so
that C<progress> in a tight loop costs next to nothing.

There is one job in a process. Every method can be called on the object or
on the class.

=head1 METHODS

=over

=item job

    my $job = Apache2::Spawn::Current->job;

The object, or undef when this process is no Perl job. C<< Apache2::Spawn->job >>
gives the same object, but throws C<invalid> when there is none. In a process that
the function has forked it is still there.

=item id

Text, the job's id. As C<< $job->id >> of the caller's L<Apache2::Spawn::Job>.

=item queue

The name of its queue.

=item label

What the caller gave as C<label>, or undef.

=item context

A reference to a hash: what the job belongs to. For jobs of a request it names client,
URI and more: see L<Apache2::Spawn::Httpd>. Empty when there is none.

=item function

The name of the function.

=item attempt

Which attempt at the job this is: 1, or more when the option
L<retry|Apache2::Spawn::Options/Limits> had it tried again.

=item template

The name of the template that the process was forked from.

=item pid

Its process id. Differs from C<$$> in a process that the function has forked.

=item progress($done, $of, $text)

    $job->progress(17, 40, 'chapter 3');
    $job->progress(0.4);
    $job->progress(undef, undef, 'waiting for the mail server');

Reports how far the job is. Callers see it with C<< $job->status->progress >>, people with
C<spawnctl>. C<$done> and C<$of> are numbers of any unit, C<$text> is for people;
each may be undef. Each call replaces the one before. Numbers are cut at 31
digits, the text at 255 bytes.

Dies when C<$done> or C<$of> is not a number.

=item cancelled

True when somebody has asked for the end of the job: C<kill> (with TERM, INT, QUIT or KILL), or
the time-out. The signal comes at the same time, and ends a process that does nothing about
it. A function that wants to end tidily catches it and looks here:

    local $SIG{TERM} = sub { };                # a sleep ends early, no more
    until ($job->cancelled) { ... }

After C<grace> seconds comes KILL.

=item fh($number)

    my $in = $job->fh(3);                      # the caller: fds => { 3 => $handle }

A Perl handle for a descriptor that the caller passed by C<fds>: for reading,
writing, appending or both, as it was opened. The same handle at each call;
the descriptor is closed when you close it or let it go.

Dies when there is no handle at this number, or not any more.

=item run_end_blocks($which)

    $job->run_end_blocks;                      # those of this job
    $job->run_end_blocks('all');

Which END blocks run when the job ends by return, die or exit. Without a call,
or with 0: none. 1, or no argument: those that were compiled in this job (by C<load>,
C<require> or C<eval>). C<all>: then those of the template's modules, too, such as
L<File::Temp>'s, which removes files that this process has made. In them C<$?> is
the exit code, and they can change it.

In processes that the function forks none run.

Dies with another argument.

=back

All but C<job> die when this process is no Perl job.

=head1 SEE ALSO

L<Apache2::Spawn>, L<Apache2::Spawn::Template>

=cut
