package Apache2::Spawn::Process::New;

# The methods of Apache2::Spawn::Process that make a new process: a job, whose function or
# program is the other end of the socket.
#
# Runs in the caller, often an httpd child: it must never fork.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn::Process::Failure qw(_rethrow _throw);
use Apache2::Spawn::Process::Given qw(_own_options);
use Apache2::Spawn::Process::Loop ();
use Config ();
use Exporter qw(import);
use File::Spec ();

# These are methods of Apache2::Spawn::Process.
our @EXPORT_OK = qw(new new_exec);

use constant SERVE => 'Apache2::Spawn::Process::Serve';

# The socket's number in the process, when it is free.
use constant NUMBER => 63;

# Where new_exec finds it.
my ($lib) = File::Spec->rel2abs(__FILE__) =~ m{\A(.*)/Apache2/Spawn/Process/New\.pm\z}s;

sub new      { return _plain(\&_call, @_) || _begin('new', \&_call, @_) }
sub new_exec { return _plain(\&_program, @_) || _begin('new_exec', \&_program, @_) }

# The job: whom it is asked of, whether now or later, the number that its end of the socket
# has there, timeout and grace of copies, and options.
sub _call {
    my ($via, $later, $number, $limits, @options) = @_;
    my $method = $later ? '_spawn_call_later' : 'spawn_call';
    return $via->$method(SERVE . '::main', [$number, @{$limits}], @options, load => SERVE, want => 'void');
}

sub _program {
    my ($via, $later, $number, $limits, @options) = @_;
    my $method = $later ? '_spawn_later' : 'spawn';
    return $via->$method([_perl(), "-I$lib", '-M' . SERVE, '-e', SERVE . '::exec_main()', $number, @{$limits}], stderr => 'log', @options);
}

# In a loop the loop sends it: without options but via nothing can be wrong with it. Nothing:
# it is not so.
sub _plain {
    return if !length $AnyEvent::MODEL || _has_threads();
    my $process = &Apache2::Spawn::Process::_new_plain or return;
    Apache2::Spawn::Process::Loop::send_on($process);
    return $process;
}

# What the loop sends: returns the job, and what awaits the answer.
sub _send_plain {
    my ($process) = @_;
    my ($submit, $via) = delete @{$process}{qw(unsent via)};
    my $theirs = $process->_other_end;
    if (!$theirs) {
        my $errno = $! + 0;
        _part($process);
        _throw('system', 'the process has no socket here: who made it sends its job, no other process or thread', errno => $errno);
    }
    return @{ $submit->($via, 1, NUMBER, ['', ''], fds => { NUMBER() => $theirs }) };
}

# In a forked child, or in another thread: what is done with the socket here must not be
# done with that of the others. It has one that is at its end.
sub _part {
    my ($process) = @_;
    my ($fh, $theirs) = Apache2::Spawn::Process::_socketpair() or return;
    Apache2::Spawn::Process::_handle($theirs);    # and so closes it
    delete $process->{sender};
    $process->{fh} = $fh;
    return;
}

sub _begin {
    my ($method, $submit, $class, @options) = @_;
    local ($@, $!);
    my %own = (via => 'Apache2::Spawn', %{ _own_options($method, \@options, qw(via deadline on_error), 1) });
    my $process = !@options && _plain($submit, $class, via => $own{via});
    if ($process) {
        @{$process}{ keys %own } = values %own;
        return $process;
    }
    my %options = @options;
    for my $name (grep { exists $options{$_} } qw(load want objects)) {
        _throw('unknown_option', "$method: $name has no meaning here: the process is set up by require, eval and send_arg");
    }
    _throw('invalid', "$method: reply: 'finished' would wait for a process that waits for you")
        if defined $options{reply} && $options{reply} eq 'finished';
    my $fds = delete $options{fds} || {};
    _throw('invalid', "$method: fds: wanted: a reference to a hash") if ref $fds ne 'HASH';
    my $number = NUMBER;
    $number-- while exists $fds->{$number};
    my ($fh, $theirs) = Apache2::Spawn::Process::_socketpair() or _throw('system', 'socketpair', errno => $! + 0);
    $theirs = Apache2::Spawn::Process::_handle($theirs) or _throw('system', 'socketpair', errno => $! + 0);
    my @limits = map { defined $options{$_} ? $options{$_} : '' } qw(timeout grace);
    # Who makes the job for a request is told at once: its access log has the ids.
    # Threads would share the connection that the answer comes on.
    my $later = !_has_threads() && eval { $own{via}->isa('Apache2::Spawn') };
    my ($job, $submitted);
    my $via = delete $own{via};    # an object that is kept must not keep the request
    eval {
        my $made = $submit->($via, $later, $number, \@limits, %options, fds => { %{$fds}, $number => $theirs });
        ($job, $submitted) = $later ? @{$made} : $made;
        1;
    } or _rethrow($@);
    return Apache2::Spawn::Process::_object($class, fh => $fh, %own, job => $job, $submitted ? (submitted => $submitted) : ());
}

# Can this process have several threads of Perl? An httpd child of worker or event has.
my $httpd_has;

sub _has_threads {
    no warnings 'once';    ## no critic (ProhibitNoWarnings)
    return $threads::threads || (defined $httpd_has ? $httpd_has : ($httpd_has = _httpd_has_threads()));
}

sub _httpd_has_threads {
    local ($@, $!);
    return Apache2::Spawn::_inside_httpd() && eval { require Apache2::MPM; Apache2::MPM->is_threaded } ? 1 : 0;
}

# What could not be sent; in the place of what awaits an answer.
sub Apache2::Spawn::Process::Unsent::look {
    my $error = delete $_[0]{error} or return 1;
    die $error;    ## no critic (RequireCarping)
}
sub Apache2::Spawn::Process::Unsent::fd   { return -1 }
sub Apache2::Spawn::Process::Unsent::left { return 0 }

sub Apache2::Spawn::Process::Unsent::DESTROY {
    my ($self) = @_;
    warn "Apache2::Spawn::Process: a job was not sent, and nobody asked: $self->{error}\n" if $self->{error};    ## no critic (RequireCarping)
    return;
}

# A perl that ends tells what was refused as long as it can.
END { Apache2::Spawn::Process::Submitted->look_at_all }

# Both are found beside this perl and this module, and are nobody's input.
sub _perl {
    return $Apache2::Spawn::Process::PERL if defined $Apache2::Spawn::Process::PERL;
    return $1 if $^X =~ m{\A(/.*/perl(?:\d+(?:\.\d+)*)?)\z};
    return $Config::Config{perlpath};
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Process::New - methods that make a new process

=head1 SYNOPSIS

    use Apache2::Spawn::Process ();     # uses this by itself

=head1 DESCRIPTION

The constructors C<new> and C<new_exec> of L<Apache2::Spawn::Process>, where they are
described. There is no reason to load it, and nothing in it to call.

=head1 SEE ALSO

L<Apache2::Spawn::Process>, L<Apache2::Spawn::Process::Serve>

=cut
