package Apache2::Spawn::Request::Table;

# A table of a request's copy, with the methods of APR::Table. Runs in the job of
# SpawnCleanupHandler. Changes must stay in this copy.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Carp ();

# A fault is the caller's, not ours.
our @CARP_NOT = ('Apache2::Spawn::Request::Table::_tied');

# The object is a reference to a hash that is tied to the pairs, so that both
# $table->get('Host') and $table->{Host} work, as of an APR::Table.

sub new {
    my ($class, $pairs) = @_;
    my %table;
    tie %table, $class, $pairs;
    return bless \%table, $class;
}

# [name, value], in order, of a name in any case.
sub _found {
    my ($self, $name) = @_;
    my $pairs = (tied %{$self})->{pairs};
    return map { $pairs->[2 * $_ + 1] }
        grep { lc $pairs->[2 * $_] eq lc $name } 0 .. @{$pairs} / 2 - 1;
}

sub get {
    my ($self, $name) = @_;
    my @found = _found($self, $name);
    return wantarray ? @found : $found[0];
}

sub do {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, $code, @names) = @_;
    my %wanted = map { lc $_ => 1 } @names;
    my @pairs  = @{ (tied %{$self})->{pairs} };
    while (my ($name, $value) = splice @pairs, 0, 2) {
        next if @names && !$wanted{ lc $name };
        $code->($name, $value) or return;
    }
    return 1;
}

sub copy { return $_[0] }

sub _lines {
    my ($self) = @_;
    my $text = '';
    $self->do(sub { $text .= "$_[0]: $_[1]\n"; return 1 });
    return $text;
}

for my $name (qw(set add merge unset clear overlay overlap compress make)) {
    no strict 'refs';    ## no critic (ProhibitNoStrict)
    *{$name} = \&_read_only;
}

sub _read_only {
    Carp::croak('a table of a request after its answer cannot be changed: this is a copy');
}

# ---- the tied hash ----

sub TIEHASH { my ($class, $pairs) = @_; return bless { pairs => $pairs }, $class . '::_tied' }

{
    package Apache2::Spawn::Request::Table::_tied;    ## no critic (ProhibitMultiplePackages)

    our @CARP_NOT = ('Apache2::Spawn::Request::Table');

    sub FETCH {
        my ($self, $name) = @_;
        my $pairs = $self->{pairs};
        for (my $i = 0; $i < @{$pairs}; $i += 2) {    ## no critic (ProhibitCStyleForLoops)
            return $pairs->[$i + 1] if lc $pairs->[$i] eq lc $name;
        }
        return;
    }
    sub EXISTS { my ($self, $name) = @_; return defined $self->FETCH($name) }

    sub FIRSTKEY {
        my ($self) = @_;
        $self->{at} = 0;
        return $self->{pairs}[0];
    }

    sub NEXTKEY {
        my ($self) = @_;
        return $self->{pairs}[$self->{at} += 2];
    }
    sub SCALAR { my ($self) = @_; return @{ $self->{pairs} } / 2 }
    sub STORE  { return Apache2::Spawn::Request::Table::_read_only() }
    *DELETE = *CLEAR = \&STORE;
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Request::Table - headers and other tables of a request after its answer

=head1 SYNOPSIS

    my $agent = $r->headers_in->get('User-Agent');
    my $same  = $r->headers_in->{'user-agent'};
    my @all   = $r->headers_out->get('Set-Cookie');
    $r->notes->do(sub { my ($name, $value) = @_; ...; 1 });

=head1 DESCRIPTION

A copy of an L<APR::Table>, with its methods for reading: names in any case, and
a name may stand more than once. It cannot be changed.

=head1 METHODS

=over

=item get

One value; in list context all of that name.

=item do

Calls a function with each name and value, of all or of these names, until it
returns false.

=item copy

The same.

=item set, add, merge, unset, clear, overlay, overlap, compress, make

Die: there is nothing that a change would change.

=item new

Not called by hand.

=back

=head1 SEE ALSO

L<Apache2::Spawn::Request>

=cut
