# SPDX-License-Identifier: Apache-2.0
#
# The suite: rounds, figures, what was skipped, and the JSON file of a section.
# A figure is a name such as "alone/apart/spaced/20/posted/p50" with one value
# for each round; what is compared is measured in the same round, one after the
# other. Runs in bench/run.

package Bench;

use strict;
use warnings;

use File::Temp ();
use JSON::PP ();
use POSIX ();

use Bench::Cpu ();
use Bench::Stat qw(median quantile);
use Bench::Usage ();
use SpawnTest ();
use SpawnTest::Wait qw(now);
use Time::HiRes qw(sleep);

# Until what a case started has ended and is paid for.
use constant SETTLE => 0.1;

# new(quick => 1, results => directory)
sub new {
    my ($class, %options) = @_;
    my $self = bless { %options, began => now() }, $class;
    $self->{temp} = File::Temp->newdir('spawn-bench-XXXXXXXX', DIR => '/tmp');
    chmod 0755, $self->temp or die $self->temp . ": $!\n";
    $self->_clear;
    return $self;
}

sub _clear {
    my ($self) = @_;
    @{$self}{qw(figures order skipped notes)} = ({}, [], [], {});
    return;
}

sub temp { return $_[0]{temp}->dirname }

# One value for a full run, another for a quick one.
sub either { my ($self, $full, $quick) = @_; return $self->{quick} ? $quick : $full }

# Since it began.
sub seconds { return now() - $_[0]{began} }

# The step that is being done, for people who wait.
sub tell {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, $text) = @_;
    printf {*STDERR} "%6.1f s  %s\n", $self->seconds, $text;
    return;
}

# Runs each of the cases in each round, in another order each time, so that what
# the machine does meanwhile meets all alike.
sub rounds {
    my ($self, $count, @cases) = @_;
    for my $round (1 .. $count) {
        push @cases, splice @cases, 0, int(@cases / $count) || 1;
        $_->() for @cases;
    }
    return;
}

# This round's value.
sub figure {
    my ($self, $name, $unit, $value) = @_;
    my $figure = $self->{figures}{$name} ||= do {
        push @{ $self->{order} }, $name;
        { name => $name, unit => $unit, rounds => [] };
    };
    push @{ $figure->{rounds} }, 0 + sprintf '%.6g', $value;
    return;
}

# Times in ns: their p50 and p99 in us.
sub times {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, $name, @ns) = @_;
    die "$name: nothing was measured\n" if !@ns;
    $self->figure("$name/p50", 'us', quantile(0.50, @ns) / 1000);
    $self->figure("$name/p99", 'us', quantile(0.99, @ns) / 1000);
    return;
}

# A group whose CPU time can be told, or undef; that is said once.
sub usage {
    my ($self) = @_;
    return if $self->{no_usage};
    my ($usage, $why) = Bench::Usage->new;
    if (!$usage) {
        $self->{no_usage} = 1;
        $self->skip('CPU time of all processes', $why);
    }
    return $usage;
}

# The group of what runs beside httpd.
sub beside {
    my ($self) = @_;
    return $self->{beside} if exists $self->{beside};
    return $self->{beside} = $self->usage;
}

# counted([ groups ], code): what the code gives, and the us of CPU that the groups
# used until all has settled, or undef.
sub counted {
    my ($self, $usages, $code) = @_;
    my @usages = grep { defined } @{$usages};
    my $sum = sub { my $us = 0; $us += $_->used for @usages; return $us };
    my $before = $sum->();
    my $got = $code->();
    return ($got, undef) if !@usages || @usages < @{$usages};
    sleep SETTLE;
    return ($got, $sum->() - $before);
}

# us of CPU for each of so many.
sub cpu {
    my ($self, $name, $us, $count) = @_;
    $self->figure("$name/cpu", 'us', $us / $count) if defined $us && $count;
    return;
}

# Told in the report, never silent.
sub skip {
    my ($self, $what, $why) = @_;
    push @{ $self->{skipped} }, { what => $what, why => $why };
    $self->tell("skipped: $what: $why");
    return;
}

# A note, which the report has beside the figures.
sub note {
    my ($self, $name, $value) = @_;
    $self->{notes}{$name} = $value;
    return;
}

# Writes what was measured since the last write.
sub write {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, $section) = @_;
    my @figures = map { $self->{figures}{$_} } @{ $self->{order} };
    for my $figure (@figures) {
        my @sorted = sort { $a <=> $b } @{ $figure->{rounds} };
        @{$figure}{qw(median min max)} = (median(@sorted), @sorted[ 0, -1 ]);
    }
    my $file = "$self->{results}/$section.json";
    open my $out, '>', $file or die "$file: $!\n";
    print {$out} JSON::PP->new->canonical->pretty->indent_length(1)->encode({
        section => $section,
        quick => $self->{quick} ? JSON::PP::true() : JSON::PP::false(),
        machine => _machine(),
        commit => _commit(),
        date => POSIX::strftime('%Y-%m-%d', gmtime),
        notes => $self->{notes},
        skipped => $self->{skipped},
        figures => \@figures,
    });
    close $out or die "$file: $!\n";
    $self->_clear;
    return;
}

# The measured state of the tree: its commit, and whether files differ from it.
sub _commit {
    my $root = SpawnTest::root_dir();
    my ($commit, $changed) = map { my $out = `git -C '$root' $_ 2>/dev/null`; $? ? undef : $out } 'rev-parse --short HEAD',
        'status --porcelain --untracked-files=no -- ":!bench/results" ":!bench/charts" ":!docs"';
    return if !defined $commit;
    chomp $commit;
    return $changed ? "$commit, changed" : $commit;
}

sub _machine {
    my ($system, undef, $release, undef, $kind) = POSIX::uname();
    my @cpus = Bench::Cpu::all();
    my ($model) = _slurp('/proc/cpuinfo') =~ /^model name\s*:\s*(.*)$/m;
    my ($memory) = _slurp('/proc/meminfo') =~ /^MemTotal:\s*([0-9]+)/m;
    return {
        kernel => "$system $release $kind",
        cpus => scalar @cpus,
        model => $model,
        memory_gb => int($memory / 1_048_576 + 0.5),
        perl => sprintf('%vd', $^V),
    };
}

sub _slurp {
    my ($path) = @_;
    open my $in, '<', $path or die "$path: $!\n";
    local $/ = undef;
    return scalar <$in>;
}

1;
