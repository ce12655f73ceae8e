# SPDX-License-Identifier: Apache-2.0
#
# Does a JSON value keep to a schema of docs/? A checker of the words of JSON Schema that those use;
# it dies of another one. Strict: a name that the schema does not have is wrong here, though a later
# release may have more names. Runs in test scripts.

package SpawnTest::Schema;

use strict;
use warnings;

use B ();
use JSON::PP ();

my %says_nothing = map { $_ => 1 } qw($schema $defs title description);
my %check = (
    type       => \&_type,
    enum       => sub { my ($self, $rule, $value) = @_; return (grep { defined $value && !ref $value && $_ eq $value } @{$rule}) ? () : 'is none of those that there are' },
    const      => sub { my ($self, $rule, $value) = @_; return defined $value && $value eq $rule ? () : "is not $rule" },
    minimum    => sub { my ($self, $rule, $value) = @_; return !_is($value, 'number') || $value >= $rule ? () : "is less than $rule" },
    pattern    => sub { my ($self, $rule, $value) = @_; return !_is($value, 'string') || $value =~ /$rule/ ? () : "is not like $rule" },
    required   => \&_required,
    properties => \&_properties,
    items      => \&_items,
    oneOf      => \&_one_of,
    q{$ref}    => \&_ref,
    additionalProperties => sub { return },    # with properties
);

# new(path): of a file with a schema.
sub new {
    my ($class, $path) = @_;
    open my $in, '<', $path or die "$path: $!\n";
    local $/ = undef;
    my $self = bless { schema => JSON::PP->new->utf8->decode(scalar <$in>) }, $class;
    $self->_knows($self->{schema});
    return $self;
}

# The faults of a decoded value.
sub faults {
    my ($self, $value) = @_;
    return $self->_faults($self->{schema}, $value, '');
}

# Each name that it has a rule for.
sub names {
    my ($self) = @_;
    my (%names, @left);
    @left = $self->{schema};
    while (my $part = shift @left) {
        $names{$_} = 1 for keys %{ $part->{properties} || {} };
        push @left, _parts($part);
    }
    my @names = sort keys %names;
    return @names;
}

# The schemas in a schema.
sub _parts {
    my ($schema) = @_;
    my @parts = map { values %{ $schema->{$_} || {} } } q{$defs}, 'properties';
    push @parts, map { $schema->{$_} } grep { ref $schema->{$_} eq 'HASH' } qw(items additionalProperties);
    return (@parts, @{ $schema->{oneOf} || [] });
}

sub _knows {
    my ($self, $schema) = @_;
    for my $word (keys %{$schema}) {
        die "'$word' is not known\n" if !$check{$word} && !$says_nothing{$word};
    }
    $self->_knows($_) for _parts($schema);
    return;
}

sub _faults {
    my ($self, $schema, $value, $at) = @_;
    return map { my $word = $_; map { /\A\// ? $_ : "$at/: $_" } $check{$word}->($self, $schema->{$word}, $value, $at, $schema) }
        grep { $check{$_} } sort keys %{$schema};
}

sub _is {
    my ($value, $type) = @_;
    return !defined $value if $type eq 'null';
    return 0 if !defined $value;
    return ref $value eq 'HASH' if $type eq 'object';
    return ref $value eq 'ARRAY' if $type eq 'array';
    return JSON::PP::is_bool($value) if $type eq 'boolean';
    return 0 if ref $value;
    my $is_text = B::svref_2object(\$value)->FLAGS & B::SVf_POK;
    return $is_text if $type eq 'string';
    return !$is_text && ($type eq 'number' || ($type eq 'integer' && $value == int $value));
}

sub _type {
    my ($self, $rule, $value) = @_;
    my @types = ref $rule ? @{$rule} : $rule;
    return (grep { _is($value, $_) } @types) ? () : "is no @types";
}

sub _required {
    my ($self, $rule, $value) = @_;
    return if !_is($value, 'object');
    return map {"has no $_"} grep { !exists $value->{$_} } @{$rule};
}

sub _properties {
    my ($self, $rule, $value, $at, $schema) = @_;
    return if !_is($value, 'object');
    return map {
        $rule->{$_} ? $self->_faults($rule->{$_}, $value->{$_}, "$at/$_") : $schema->{additionalProperties} ? () : "has $_, which is not told of"
    } sort keys %{$value};
}

sub _items {
    my ($self, $rule, $value, $at) = @_;
    return if !_is($value, 'array');
    return map { $self->_faults($rule, $value->[$_], "$at/$_") } 0 .. $#{$value};
}

# The faults of the branch that has the fewest.
sub _one_of {
    my ($self, $rule, $value, $at) = @_;
    my @all = map { [ $self->_faults($_, $value, $at) ] } @{$rule};
    my @each = sort { scalar @{$a} <=> scalar @{$b} } @all;
    my $fits = grep { !@{$_} } @each;
    return $fits == 1 ? () : $fits ? 'is more than one of them' : @{ $each[0] };
}

sub _ref {
    my ($self, $rule, $value, $at) = @_;
    my ($name) = $rule =~ m{\A#/\$defs/(\w+)\z} or die "$rule: not known\n";
    return $self->_faults($self->{schema}{'$defs'}{$name} || die("$rule: there is none\n"), $value, $at);
}

1;
