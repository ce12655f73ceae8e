package Apache2::Spawn::Current;

use strict;
use warnings;

our $VERSION = '0.1.0';

use Carp ();
use Scalar::Util ();

my $current;

sub job { return $current }

# From the template runner, in the job's process.
sub _begin {
    my ($class, $order, $template) = @_;
    $current = bless {
        id       => $order->{id},
        queue    => $order->{queue},
        label    => $order->{label},
        function => $order->{function},
        context  => { map { split /=/, $_, 2 } grep { /=/ } @{ $order->{context} } },
        attempt  => 1,
        template => $template,
        pid      => $$,
        fds      => [sort { $a <=> $b } @{ $order->{fds} }],
        handles  => {},
    }, $class;
    return $current;
}

# All methods are class methods, too: there is one job in a process.
sub _self {
    my ($self) = @_;
    return $self    if ref $self;
    return $current if $current;
    Carp::croak('this process is no job');
}

sub id       { return _self(@_)->{id} }
sub queue    { return _self(@_)->{queue} }
sub label    { return _self(@_)->{label} }
sub function { return _self(@_)->{function} }
sub context  { return _self(@_)->{context} }
sub attempt  { return _self(@_)->{attempt} }
sub template { return _self(@_)->{template} }
sub pid      { return _self(@_)->{pid} }

sub cancelled {
    _self(@_);
    return Apache2::Spawn::Template::_cancelled();
}

sub progress {
    my ($self, $done, $of, $text) = @_;
    _self($self);
    for ([done => $done], [of => $of]) {
        my ($what, $number) = @{$_};
        next if !defined $number || Scalar::Util::looks_like_number($number);
        Carp::croak("progress: $what: '$number' is not a number");
    }
    Apache2::Spawn::Template::_put_progress(
        _cut($done, Apache2::Spawn::Template::_NUMBER_MAX()),
        _cut($of,   Apache2::Spawn::Template::_NUMBER_MAX()),
        _cut($text, Apache2::Spawn::Template::_TEXT_MAX()));
    return;
}

# Bytes, at most so many, without half a character at the end.
sub _cut {
    my ($text, $most) = @_;
    $text = '' if !defined $text;
    $text = "$text";
    utf8::encode($text) if utf8::is_utf8($text);
    return $text if length $text <= $most;
    my $kept = substr $text, 0, $most;
    $kept =~ s/[\xC0-\xFF][\x80-\xBF]*\z// if substr($text, $most, 1) =~ /[\x80-\xBF]/;
    return $kept;
}

my %mode = (r => '<&=', w => '>&=', a => '>>&=', b => '+<&=');

sub fh {
    my ($invocant, $number) = @_;
    my $self = _self($invocant);
    Carp::croak('fh: wanted: the number of a handle that was passed by fds')
        if !defined $number || $number !~ /\A\d+\z/;
    my @passed = @{ $self->{fds} };
    Carp::croak("fh: no handle was passed at $number; passed were: " . (join(', ', @passed) || 'none'))
        if !grep { $_ == $number } @passed;
    my $known = $self->{handles}{$number};
    return $known if defined $known && defined fileno $known;
    my $mode = $mode{ Apache2::Spawn::Template::_access($number) }
        or Carp::croak("fh: the handle at $number has been closed");
    open my $handle, $mode, $number    ## no critic (RequireBriefOpen)
        or Carp::croak("fh: $number: $!");
    Scalar::Util::weaken($self->{handles}{$number} = $handle);
    return $handle;
}

my %end_blocks = (0 => 0, 1 => 1, all => 2);

sub run_end_blocks {
    my ($self, $which) = @_;
    _self($self);
    $which = 1 if @_ < 2;
    my $known = $end_blocks{ defined $which && length $which ? $which : 0 };
    Carp::croak("run_end_blocks: '$which' is not known; wanted: 0, 1 or 'all'") if !defined $known;
    Apache2::Spawn::Template::_end_blocks($known);
    return;
}

1;

__END__
