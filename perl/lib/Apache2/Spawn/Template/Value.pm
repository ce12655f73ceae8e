package Apache2::Spawn::Template::Value;

# Values between a caller and its function: reads arguments, writes return values (or says
# which of them cannot travel), and writes how a function died.
#
# Runs in a job, and once in its template. Must not trust the caller's bytes to be a
# document, and must return nothing that is too big.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Exporter qw(import);
use Scalar::Util ();
use Sereal::Decoder ();
use Sereal::Encoder ();

our @EXPORT_OK = qw(arguments document obituary refuse text_of);

# Most characters of an exception's text, and of a place in a value.
use constant TEXT_MAX  => 65_536;
use constant PLACE_MAX => 200;

my (%encoder, %decoder);    # by whether objects may travel

# An error that is no exception of the function.
sub refuse {
    my ($code, $text) = @_;
    die bless { code => $code, text => $text }, 'Apache2::Spawn::Template::Refusal';    ## no critic (RequireCarping)
}

# ---- arguments and return values ----

# One for all calls. $objects: 1 when objects may travel, or 0.
sub decoder {
    my ($objects) = @_;
    return $decoder{$objects} ||= Sereal::Decoder->new({ refuse_objects => !$objects });
}

sub encoder {
    my ($objects) = @_;
    return $encoder{$objects} ||= Sereal::Encoder->new({ croak_on_bless => !$objects });
}

# The caller's arguments, an array. The document may be big: it is not copied.
sub arguments {
    my (undef, $objects) = @_;
    return [] if !defined $_[0];
    my $args;
    my $decoder = decoder($objects);
    eval { $args = $decoder->decode($_[0]); 1 }
        or refuse('invalid', 'the arguments cannot be read: ' . _first_line($@));
    refuse('invalid', 'the arguments are not an array') if ref $args ne 'ARRAY';
    _taint($args) if ${^TAINT};    # they come from another process
    return $args;
}

# The document of what the function returned.
sub document {
    my ($values, $objects) = @_;
    my $encoder = encoder($objects);
    my $document = eval { $encoder->encode($values) };
    my $error = $@;
    # Sereal sends patterns as text, and the caller could not compile code in one
    if (!defined $document || $objects && $document =~ /\(\?\??\{/) {
        my $what = _unsendable($values, $objects);
        refuse('not_sendable', "return value $what") if defined $what;
        refuse('not_sendable', 'the return value cannot be encoded: ' . _first_line($error)) if !defined $document;
    }
    refuse('too_big', sprintf 'the return value has %d bytes when encoded; at most %d (%d MB) travel:'
            . ' write it to a file, or to a handle that was passed by fds',
        length $document, _RESULT_MAX(), _RESULT_MAX() >> 20)
        if length $document > _RESULT_MAX();
    return $document;
}

# The first value that cannot travel: its place, and what it is.
sub _unsendable {
    my ($values, $objects) = @_;
    my @todo = map { [\$values->[$_], "[$_]"] } reverse 0 .. $#{$values};
    my %seen;
    while (my $next = pop @todo) {
        my ($where, $place) = @{$next};
        my $what = _why_not(${$where}, $objects);
        if (defined $what) {
            substr $place, PLACE_MAX / 2, length($place) - PLACE_MAX, '...' if length $place > PLACE_MAX;
            return "$place $what";
        }
        my $type = Scalar::Util::reftype(${$where});
        next if !defined $type || $seen{ Scalar::Util::refaddr(${$where}) }++;
        if ($type eq 'ARRAY') {
            my $list = ${$where};
            push @todo, map { [\$list->[$_], "$place\[$_]"] } reverse 0 .. $#{$list};
        }
        elsif ($type eq 'HASH') {
            my $hash = ${$where};
            push @todo, map { [\$hash->{$_}, "$place\{" . (/\A\w+\z/ ? $_ : "'$_'") . '}'] } reverse sort keys %{$hash};
        }
        elsif ($type =~ /\A(?:REF|SCALAR|LVALUE|VSTRING|GLOB)\z/) {
            push @todo, [${$where}, "$place\$*"];
        }
    }
    return;
}

sub _why_not {
    my ($value, $objects) = @_;
    return _glob(\$value) if ref \$value eq 'GLOB';
    my $type = Scalar::Util::reftype($value);
    return if !defined $type;
    return 'is a code reference' if $type eq 'CODE';
    return _glob($value)         if $type eq 'GLOB';
    return 'is a handle'         if $type eq 'IO';
    return 'is a format'         if $type eq 'FORMAT';
    if ($type eq 'REGEXP') {
        return 'is a pattern with code inside' if "$value" =~ /\(\?\??\{/;
        return $objects ? undef : 'is a compiled pattern; objects => 1 lets it travel, or return its text';
    }
    my $class = Scalar::Util::blessed($value);
    return if !defined $class || $objects;
    return "is an object of class $class; objects => 1 lets it travel, or return its data";
}

sub _glob {
    my ($glob) = @_;
    return defined *{$glob}{IO} ? 'is a handle' : 'is a glob';
}

# ---- how it died ----

# A Sereal document of how the function died.
sub obituary {
    my ($error) = @_;
    my %said = (text => text_of($error), class => Scalar::Util::blessed($error), data => undef);
    if (ref $error eq 'Apache2::Spawn::Template::Refusal') {
        $said{class} = undef;
        $said{code} = $error->{code} if defined $error->{code};
        return Sereal::Encoder->new->encode(\%said);
    }
    my $encoder = Sereal::Encoder->new({ no_bless_objects => 1 });
    my $document = eval { $encoder->encode({ %said, data => ref $error ? $error : undef }) };
    return $document if defined $document && length $document <= _RESULT_MAX();
    return $encoder->encode(\%said);
}

# What an error says, for people.
sub text_of {
    my ($error) = @_;
    my $text
        = ref $error eq 'Apache2::Spawn::Template::Refusal' ? $error->{text}
        : eval { "$error" };
    $text = 'an object of class ' . ref($error) . ', which cannot be made a text' if !defined $text;
    $text = 'it died, and what it died of is lost' if $text eq '';
    return substr $text, 0, TEXT_MAX;
}

sub _first_line {
    my ($text) = @_;
    my ($first) = $text =~ /\A(.*?)(?: at \S+ line \d+)?\.?$/m;
    return $first;
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Template::Value - the arguments, return values and exceptions of
Perl jobs

=head1 SYNOPSIS

    use Apache2::Spawn::Template ();     # uses this by itself

=head1 DESCRIPTION

Values travel as documents of L<Sereal>. Here a job reads its arguments and writes what
its function returned or died of; L<Apache2::Spawn::Template/What travels> says what can
travel. There is no reason to load it: templates do.

=head1 FUNCTIONS

All can be imported. C<$objects> is true when objects may travel.

=over

=item arguments($document, $objects)

The reference to an array that the document has, empty without a document. Dies by
C<refuse> when it cannot be read.

=item document(\@values, $objects)

The document of return values. Dies by C<refuse> when they cannot travel, with the
place of the first that cannot, or are too big.

=item obituary($error)

The document of what a function died of: its text, its class, and its data when they
can travel.

=item text_of($error)

The text of an error, at most 65,536 characters, whatever the error is.

=item refuse($code, $text)

Dies with what is no exception of the function: an error's code, or undef for that of
a call that failed, and its text.

=back

=head1 SEE ALSO

L<Apache2::Spawn::Template>, L<Apache2::Spawn::Template::Run>

=cut
