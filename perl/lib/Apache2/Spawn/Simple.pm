package Apache2::Spawn::Simple;

# Proc::Simple's methods, on jobs. Runs in callers. Must leave $? and %SIG alone, which
# Proc::Simple does not.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn ();
use Apache2::Spawn::Background ();
use Carp ();

sub new {
    my ($class) = @_;
    return bless { owner => $$ }, ref $class || $class;
}

sub start {
    my ($self, @words) = @_;
    Carp::croak('start: a code reference cannot travel to another process; write a named function of a module that '
            . 'httpd.conf loads: Apache2::Spawn->spawn_call(\'My::Report::build\', [ arguments ])')
        if ref $words[0] eq 'CODE';
    my %option = (job => { %{ $self->{options} || {} } });
    for my $stream (qw(stdout stderr)) {
        my $path = $self->{$stream};
        next if !defined $path;
        $option{job}{$stream} = '>' . Apache2::Spawn::Background::_absolute($path);
    }
    return 0 if !@words || !defined $words[0] || !length $words[0];
    my $process = Apache2::Spawn::Background->new(\%option, @words) or return 0;
    $self->{process} = $process;
    return 1;
}

sub options {
    my ($self, %options) = @_;
    $self->{options} = { %options };
    return 1;
}

sub redirect_output {
    my ($self, $stdout, $stderr) = @_;
    @{$self}{qw(stdout stderr)} = ($stdout, $stderr);
    return 1;
}

sub poll {
    my ($self) = @_;
    return $self->{process} ? $self->{process}->alive : 0;
}

sub kill {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, $signal) = @_;
    return $self->{process} ? $self->{process}->_signal(defined $signal ? $signal : 'TERM') : 0;
}

sub wait {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self) = @_;
    return $self->{process} ? $self->{process}->wait : undef;
}

sub exit_status {
    my ($self) = @_;
    return $self->{process} ? $self->{process}->wait(0) : undef;
}

sub pid { return $_[0]{process} ? $_[0]{process}->pid        : undef }
sub job { return $_[0]{process} ? $_[0]{process}->job        : undef }
sub t0  { return $_[0]{process} ? $_[0]{process}->start_time : undef }
sub t1  { return $_[0]{process} ? $_[0]{process}->end_time   : undef }

sub kill_on_destroy {
    my ($self, @new) = @_;
    $self->{kill_on_destroy} = $new[0] if @new;
    return $self->{kill_on_destroy};
}

sub signal_on_destroy {
    my ($self, @new) = @_;
    $self->{signal_on_destroy} = $new[0] if @new;
    return $self->{signal_on_destroy};
}

# What it says there is in the job's record here.
sub debug { return }

sub DESTROY {
    my ($self) = @_;
    return if !$self->{kill_on_destroy} || !$self->{process} || $self->{owner} != $$;
    local ($., $@, $!, $^E, $?);
    $self->kill($self->{signal_on_destroy});
    return;
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Simple - processes in the background, as Proc::Simple has them

=head1 SYNOPSIS

    use Apache2::Spawn::Simple;                 # was: use Proc::Simple;

    my $proc = Apache2::Spawn::Simple->new;
    $proc->redirect_output("$dir/out", "$dir/err");
    $proc->start('/usr/bin/rsync', '-a', $from, $to) or die "rsync: $!\n";
    print $proc->poll ? "it goes on\n" : 'ended: ' . $proc->exit_status . "\n";
    $proc->kill;

=head1 DESCRIPTION

The methods of L<Proc::Simple>, for code that uses them. Its processes are jobs, which find what is said
in L<Apache2::Spawn::Background/DESCRIPTION>. Only the name of the class changes; Perl functions
by reference cannot be had. New code better says what it wants: L<Apache2::Spawn/spawn>.

Proc::Simple puts a handler of its own into C<$SIG{CHLD}> that reaps each child of the process, those
of other modules too. Here nothing is a child of httpd's, and C<%SIG> is left alone.

=head1 METHODS

None but C<start> changes C<$!>, and none C<$?>.

=over

=item new

An object without a process.

=item start($program, @arguments)

=item start($line)

Starts a process: a program and its arguments, or one text, a line for the shell where Perl would use
one. Returns 1 when it runs, 0 when it could not be started, with the reason in C<$!>.

Dies with text when it is given a code reference, which cannot travel to another process: write
a named function, and L<Apache2::Spawn/spawn_call>.

=item redirect_output($stdout, $stderr)

Paths of files, cut when the next process starts; undef: as this process has it. Returns 1.

=item options(%options)

Options of the jobs that follow, L<Apache2::Spawn::Options>: C<queue>, C<timeout>, C<label>. Returns 1.
Proc::Simple has no such.

=item poll

1 while it runs, else 0. 1, too, when the broker cannot be asked just now.

=item wait

Waits until it has ended. Returns the wait status, a number, as C<$?> has it; -1 when nobody knows it any
more; undef when there is no process, or when the broker could not be asked in 30 seconds.

=item exit_status

The same, at once; undef when it has not ended, or the broker cannot be asked just now.

=item kill

=item kill($signal)

Sends a signal (a name, with or without C<SIG>, or a number; C<TERM> without it) to its process
group. Returns 1, or 0 when it has ended, or that could not be sent.

=item kill_on_destroy

=item kill_on_destroy($yes)

Does it get a signal when the object goes? As it was set; undef at first.

=item signal_on_destroy

=item signal_on_destroy($signal)

Which one; undef: C<TERM>.

=item pid, t0, t1

Its process id, and the seconds since 1970 when it was started and has ended: numbers, or undef.

=item job

L<Apache2::Spawn::Job>, or undef; which Proc::Simple does not have.

=item debug

Does nothing: C<spawnctl show> has what there is to say of a job.

=back

=head1 SEE ALSO

L<Apache2::Spawn>, L<Apache2::Spawn::Background>, L<Proc::Simple>

=cut
