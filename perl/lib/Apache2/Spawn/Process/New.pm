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

# Where new_exec finds it.
my ($lib) = File::Spec->rel2abs(__FILE__) =~ m{\A(.*)/Apache2/Spawn/Process/New\.pm\z}s;

sub new {
    my ($class, @options) = @_;
    return _begin($class, 'new', \@options, sub {
        my ($via, $later, $number, $limits, $options) = @_;
        my $method = $later ? '_spawn_call_later' : 'spawn_call';
        return $via->$method(SERVE . '::main', [$number, @{$limits}], @{$options}, load => SERVE, want => 'void');
    });
}

sub new_exec {
    my ($class, @options) = @_;
    return _begin($class, 'new_exec', \@options, sub {
        my ($via, $later, $number, $limits, $options) = @_;
        my $method = $later ? '_spawn_later' : 'spawn';
        return $via->$method(
            [_perl(), "-I$lib", '-M' . SERVE, '-e', SERVE . '::exec_main()', $number, @{$limits}],
            stderr => 'log', @{$options});
    });
}

sub _begin {
    my ($class, $method, $options, $submit) = @_;
    local ($@, $!);
    my %own = (via => 'Apache2::Spawn', %{ _own_options($method, $options, qw(via deadline on_error), 1) });
    my %options = @{$options};
    for my $name (grep { exists $options{$_} } qw(load want objects)) {
        _throw('unknown_option', "$method: $name has no meaning here: the process is set up by require, eval and send_arg");
    }
    _throw('invalid', "$method: reply: 'finished' would wait for a process that waits for you")
        if defined $options{reply} && $options{reply} eq 'finished';
    my $fds = delete $options{fds} || {};
    _throw('invalid', "$method: fds: wanted: a reference to a hash") if ref $fds ne 'HASH';
    my $number = 63;
    $number-- while exists $fds->{$number};
    my ($fh, $theirs) = Apache2::Spawn::Process::_socketpair() or _throw('system', 'socketpair', errno => $! + 0);
    $theirs = Apache2::Spawn::Process::_handle($theirs) or _throw('system', 'socketpair', errno => $! + 0);
    my @limits = map { defined $options{$_} ? $options{$_} : '' } qw(timeout grace);
    # Who makes the job for a request is told at once: its access log has the ids.
    # Threads would share the connection that the answer comes on.
    my $later = !_has_threads() && eval { $own{via}->isa('Apache2::Spawn') };
    my $make = sub {
        my $job = $submit->($own{via}, $later, $number, \@limits, [%options, fds => { %{$fds}, $number => $theirs }]);
        return $later ? @{$job} : $job;
    };
    my @object = ($class, fh => $fh, map { $_ => $own{$_} } qw(deadline on_error));

    # The loop sends it; without options nothing can be wrong with it.
    if ($later && !%options && Apache2::Spawn::Process::Loop::in_use()) {
        my $process = Apache2::Spawn::Process::_object(@object, unsent => $make);
        Apache2::Spawn::Process::Loop::send_on($process);
        return $process;
    }
    my ($job, $submitted);
    eval { ($job, $submitted) = $make->(); 1 } or _rethrow($@);
    undef $make;
    return Apache2::Spawn::Process::_object(@object, job => $job, $submitted ? (submitted => $submitted) : ());
}

# Can this process have several threads of Perl? An httpd child of worker or event has.
my $httpd_has;

sub _has_threads {
    no warnings 'once';    ## no critic (ProhibitNoWarnings)
    return 1 if $threads::threads;
    return 0 if !$ENV{MOD_PERL} && !$INC{'mod_perl2.pm'};
    $httpd_has = eval { require Apache2::MPM; Apache2::MPM->is_threaded } ? 1 : 0 if !defined $httpd_has;
    return $httpd_has;
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
