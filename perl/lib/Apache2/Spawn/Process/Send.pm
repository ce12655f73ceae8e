package Apache2::Spawn::Process::Send;

# The methods require, eval, send_arg and send_fh of Apache2::Spawn::Process for what is not
# plain: perl/xs/Process.xs does the others, and calls these.
#
# Runs in the caller. Must not wait but for the socket.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn::Process::Failure qw(_place _throw);
use Apache2::Spawn::Process::Given qw(_descriptor _octets _secure _strings);
use Apache2::Spawn::Process::Loop ();
use Apache2::Spawn::Process::Wire;
use Exporter qw(import);
use IO::Handle ();

# Methods of Apache2::Spawn::Process, with a line before their names.
our @EXPORT_OK = qw(_eval _require _send_arg _send_fh);

sub _require {
    my ($self, @modules) = @_;
    local ($@, $!);
    for my $module (@modules) {
        next if defined $module && $module =~ m{\A [A-Za-z_]\w* (?: (?:::|/)\w+)* \z}x;
        _throw('invalid', 'require: ' . (defined $module ? "'$module'" : 'undef') . ' is not the name of a module');
    }
    _secure('require', @modules);
    return $self->_command(CMD_REQUIRE, _strings('require', _place(), @modules));
}

sub _eval {
    my ($self, $code, @given) = @_;
    local ($@, $!);
    _secure('eval', $code);
    return $self->_command(CMD_EVAL, _strings('eval', _place(), $code, @given));
}

sub _send_arg {
    my ($self, @given) = @_;
    local ($@, $!);
    return $self->_command(CMD_ARGS, _strings('send_arg', @given));
}

sub _send_fh {
    my ($self, @handles) = @_;
    local ($@, $!);
    my $own = Apache2::Spawn::Process::Loop::in_use();    # the caller may close his
    my @fds = map { _descriptor($_, 'send_fh') } @handles;
    $self->_usable;
    return $self if $self->{broken};
    for my $handle (@handles) {
        CORE::eval { $handle->flush };    # written bytes come first
        my $fd = shift @fds;
        next if $self->_append_handle($fd, $own);
        $self->_flush(0, 1);    # which lets go of those that it sends
        $self->_append_handle($fd, $own) or _throw('system', 'a duplicate of the handle', errno => $! + 0);
    }
    $self->_added;
    return $self;
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Process::Send - what is sent to a process, when it is not plain

=head1 SYNOPSIS

    use Apache2::Spawn::Process ();     # uses this by itself

=head1 DESCRIPTION

The methods C<require>, C<eval>, C<send_arg> and C<send_fh> of L<Apache2::Spawn::Process>,
where they are described, as far as they are not in C. There is no reason to load it, and
nothing in it to call.

=head1 SEE ALSO

L<Apache2::Spawn::Process>, L<Apache2::Spawn::Process::Wire>

=cut
