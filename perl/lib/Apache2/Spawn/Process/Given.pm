package Apache2::Spawn::Process::Given;

# What users give to Apache2::Spawn::Process: options, texts, handles and code. Each is
# checked here, and a wrong one is refused with the method's name.
#
# Runs in the caller. Must neither send nor wait.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn::Process::Failure qw(_throw);
use Apache2::Spawn::Process::Wire ();
use Exporter qw(import);
use Scalar::Util ();
use overload ();

# With names that are no methods of Apache2::Spawn::Process for its users.
our @EXPORT_OK = qw(_descriptor _is_code _is_time _octets _own_options _secure _strings);

# Takes the options of this class out of the list; others may be left only with $more.
sub _own_options {
    my ($method, $options, @names) = @_;
    my $more = $names[-1] eq '1' && pop @names;
    _throw('invalid', "$method: options come in pairs: name => value") if @{$options} % 2;
    my %all = @{$options};
    my %own;
    for my $name (@names) {
        next if !exists $all{$name};
        $own{$name} = delete $all{$name};
        _throw('invalid', "$method: $name is undefined: leave it out for its default") if !defined $own{$name};
        _check_option($method, $name, $own{$name}) if $name ne 'via';
    }
    _throw('unknown_option', sprintf q{%s: no option '%s'; there are: %s}, $method, (sort keys %all)[0], join ', ', @names)
        if %all && !$more;
    @{$options} = %all;
    return \%own;
}

sub _check_option {
    my ($method, $name, $value) = @_;
    if ($name eq 'on_error') {
        return if _is_code($value);
        _throw('invalid', "$method: on_error: wanted: a reference to code");
    }
    _throw('invalid', "$method: $name: '$value' is not a number of seconds") if !_is_time($value);
    return;
}

# Code, or an object that acts as code, as AnyEvent's condition variables do.
sub _is_code {
    my ($value) = @_;
    return (Scalar::Util::reftype($value) || '') eq 'CODE' || overload::Method($value, '&{}');
}

sub _is_time {
    my ($value) = @_;
    return Scalar::Util::looks_like_number($value) && $value >= 0 && $value < 1e9;
}

# Values that decide what the process does must not be tainted.
sub _secure {
    my ($method, @words) = @_;
    return if ${^TAINT} != 1 || !grep { Scalar::Util::tainted($_) } @words;
    return _throw('invalid', "Insecure dependency in $method while running with -T switch");
}

sub _strings {
    my ($method, @given) = @_;
    return Apache2::Spawn::Process::Wire::body(map { _octets($method, $_) } @given);
}

sub _octets {
    my ($method, $text) = @_;
    return '' if !defined $text;
    my $bytes = "$text";
    utf8::downgrade($bytes, 1)
        or _throw('invalid', "$method: '" . substr($bytes, 0, 40) . q{' has wide characters; processes take bytes: encode it first});
    return $bytes;
}

sub _descriptor {
    my ($handle, $method) = @_;
    my $tied = CORE::eval { tied *{$handle} };
    _throw('invalid', "$method: a tied handle has no descriptor to pass") if $tied;
    my $fd = CORE::eval { fileno $handle };
    _throw('invalid', "$method: wanted: an open handle") if !defined $fd;
    _throw('invalid', "$method: a handle in memory has no descriptor to pass") if $fd < 0;
    return $fd;
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Process::Given - what the methods of Apache2::Spawn::Process
are given

=head1 SYNOPSIS

    use Apache2::Spawn::Process ();     # uses this by itself

=head1 DESCRIPTION

Options, texts, handles and code that are given to L<Apache2::Spawn::Process> are checked
here, and refused with an L<Apache2::Spawn::Error> that has the caller's line. There is no
reason to load it, and nothing in it to call.

=head1 SEE ALSO

L<Apache2::Spawn::Process>, L<Apache2::Spawn::Error>

=cut
