# SPDX-License-Identifier: Apache-2.0
#
# The decisions of a soak: numbers that follow from a seed and a name alone, so that
# each client and the one who kills have a row of their own, whoever is faster. Not
# rand(), which others call too. Runs in the soak's processes.

package SpawnTest::Soak::Random;

use strict;
use warnings;

use Digest::SHA qw(sha1);

sub new {
    my ($class, $seed, $name) = @_;
    return bless { from => "$seed/$name", count => 0, next => [] }, $class;
}

# 0 .. $below - 1
sub below {
    my ($self, $below) = @_;
    $self->{next} = [unpack 'N5', sha1("$self->{from}/" . $self->{count}++)] if !@{ $self->{next} };
    return shift(@{ $self->{next} }) % $below;
}

sub between { my ($self, $least, $most) = @_; return $least + $self->below($most - $least + 1) }

# True in so many of a hundred.
sub percent { my ($self, $percent) = @_; return $self->below(100) < $percent }

sub one { my ($self, @of) = @_; return $of[$self->below(scalar @of)] }

# One row of a table [weight, ...], the heavy ones more often.
sub weighted {
    my ($self, @rows) = @_;
    my $all = 0;
    $all += $_->[0] for @rows;
    my $at = $self->below($all);
    for my $row (@rows) {
        return $row if ($at -= $row->[0]) < 0;
    }
    return $rows[-1];
}

# Mostly small, sometimes as big as that: sizes and times of real life.
sub skewed {
    my ($self, $most) = @_;
    my $share = $self->below(1000) / 1000;
    return int $most * $share**4;
}

1;
