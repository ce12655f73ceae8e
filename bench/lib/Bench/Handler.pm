# SPDX-License-Identifier: Apache-2.0
#
# The acts that the suite has a handler do: GET /bench/ACTION?name=value&...
# Handlers measure inside of themselves, on the clock that never jumps; the
# answer is text that the suite (JSON) or its load program (a number) reads.
# Runs in httpd's children, loaded in the parent.

package Bench::Handler;

use strict;
use warnings;

use Apache2::Const -compile => qw(OK NOT_FOUND SERVER_ERROR);
use Apache2::RequestIO ();
use Apache2::RequestRec ();
use Apache2::RequestUtil ();
use APR::Table ();
use JSON::PP ();
use Time::HiRes qw(CLOCK_MONOTONIC clock_gettime sleep);

use Bench::Callers ();
use Bench::Ways ();
use Bench::Work ();

# Set in <Perl>, before this is loaded: so no values here.
our $megabytes;          # that a child shall have
our %with;               # peer, through, starter, ways: paths
our $born;               # where a child writes down when it came

my $json = JSON::PP->new->canonical;
my @fat;                 # what makes a child big

my %action = (
    nothing => sub { return "0\n" },
    size    => sub { return _megabytes() . "\n" },
    pid     => sub { return "$$\n" },
    held    => \&_held,
    once    => \&_once,
    jobs    => \&_jobs,
    submit  => \&_submit,
    fence   => \&_fence,
    calls   => \&_calls,
    call    => \&_call,
    hold    => \&_hold,
    first   => \&_first,
    after   => \&_after,
);

# PerlChildInitHandler: grows to the size, by memory that is really written.
sub grow {
    if ($born) {
        open my $out, '>', $born or die "$born: $!\n";
        print {$out} now(), "\n";
        close $out;
    }
    while (_megabytes() < ($megabytes || 0)) {
        push @fat, 'x' x (1 << 20);
    }
    return Apache2::Const::OK;
}

sub handler {
    my ($r) = @_;
    my ($name) = $r->uri =~ m{([^/]+)\z};
    my $action = $action{ defined $name ? $name : '' };
    return Apache2::Const::NOT_FOUND if !$action;
    my %in = map { split /=/, $_, 2 } split /&/, $r->args || '';
    my $text = eval { $action->($r, \%in) };
    if (!defined $text) {
        my $error = $@;
        warn "$name: $error";
        return Apache2::Const::SERVER_ERROR;
    }
    $r->headers_out->set('Content-Length' => length $text);
    $r->print($text);
    return Apache2::Const::OK;
}

sub now { return clock_gettime(CLOCK_MONOTONIC) }

sub _megabytes {
    open my $in, '<', '/proc/self/statm' or die "statm: $!\n";
    my (undef, $pages) = split / /, <$in>;
    close $in;
    return $pages / 256;
}

my %ready;

sub _way {
    my ($name) = @_;
    my $way = Bench::Ways::load($with{ways}, $name);
    if (!$ready{$name}++) {
        my $missing = Bench::Ways::missing($way);
        die "$missing\n" if $missing;
        $way->{prepare}->(\%with) if $way->{prepare};
    }
    return $way;
}

sub _argv {
    my ($in) = @_;
    return [ split /,/, $in->{argv} ];
}

# way, argv, seconds, most; burst calls in a row with a pause of gap seconds
# before -> the ns that each call held this handler. The first burst is warm-up.
sub _held {
    my ($r, $in) = @_;
    my $way = _way($in->{way});
    my $start = $way->{start};
    my $argv = _argv($in);
    my @took;
    my $end = now() + $in->{seconds};
    my $most = $way->{most} && $way->{most} < $in->{most} ? $way->{most} : $in->{most};
    for (my $n = -1; $n < 2 || $n * $in->{burst} < $most && now() < $end; $n++) {
        sleep $in->{gap};
        for (1 .. $in->{burst}) {
            my $from = now();
            $start->($r, $argv);
            my $to = now();
            push @took, int 1e9 * ($to - $from) if $n >= 0;
        }
        $way->{after}->() if $way->{after};
    }
    return $json->encode(\@took);
}

# way, argv: one call -> the ns that it held this handler, and no more.
sub _once {
    my ($r, $in) = @_;
    my $way = _way($in->{way});
    my $argv = _argv($in);
    my $from = now();
    $way->{start}->($r, $argv);
    my $to = now();
    $way->{after}->() if $way->{after};
    return int(1e9 * ($to - $from)) . "\n";
}

# way, argv, count: runs so many jobs, one after the other to its end, or, with
# a way that only starts, submits all and waits for the last -> begin and end.
sub _jobs {
    my ($r, $in) = @_;
    my $way = _way($in->{way});
    my $argv = _argv($in);
    my $from = now();
    if ($in->{submit}) {
        my $job;
        $job = $way->{start}->($r, $argv) for 1 .. $in->{count};
        _wait_for($job);
    } else {
        $way->{to_the_end}->($r, $argv) for 1 .. $in->{count};
    }
    return $json->encode([ $from, now() ]);
}

# A job that was posted a moment ago may not be known yet.
sub _wait_for {
    my ($job) = @_;
    my $end = now() + 10;
    while (now() < $end) {
        return if eval { $job->wait(120) };
        die $@ if $@ && $@->code ne 'no_such_job';
        sleep 0.001;
    }
    die "the last job has not ended\n";
}

# Returns when all that was posted before is known: posts come in their order.
sub _fence {
    _wait_for(Apache2::Spawn->spawn(['/bin/true'], reply => 'posted'));
    return "0\n";
}

# argv, count, queue, reply: submits so many -> the ns of each.
sub _submit {
    my ($r, $in) = @_;
    my $argv = _argv($in);
    my @options = (reply => $in->{reply}, queue => $in->{queue} || 'default');
    my @took;
    for (1 .. $in->{count}) {
        sleep $in->{gap} if $in->{gap};
        my $from = now();
        Apache2::Spawn->spawn($argv, @options);
        push @took, int 1e9 * (now() - $from);
    }
    return $json->encode(\@took);
}

# by (a name of Bench::Callers) and what it takes, warm_up, seconds, gap: Perl calls,
# one after the other -> begin, end, and the ns of each but the first warm_up.
sub _calls {
    my ($r, $in) = @_;
    my $call = Bench::Callers::prepared($in->{by}, $in);
    my @took;
    $call->('x') for 1 .. $in->{warm_up};
    my $begin = now();
    my $end = $begin + $in->{seconds};
    # one at least, however busy the machine is
    while (!@took || now() < $end) {
        my $from = now();
        my $got = $call->('x');
        my $to = now();
        die "a call gave another value\n" if $got ne 'x';
        push @took, int 1e9 * ($to - $from);
        sleep $in->{gap} if $in->{gap};
    }
    return $json->encode([ $begin, now(), \@took ]);
}

# by: one call -> the ns that it held this handler.
sub _call {
    my ($r, $in) = @_;
    my $call = Bench::Callers::prepared($in->{by}, $in);
    my $from = now();
    my $got = $call->('x');
    my $to = now();
    die "a call gave another value\n" if $got ne 'x';
    return int(1e9 * ($to - $from)) . "\n";
}

# template, gate, there: a call that stays until the gate is opened.
sub _hold {
    my ($r, $in) = @_;
    Apache2::Spawn->call('Bench::Work::hold', [ @{$in}{qw(gate there)} ], template => $in->{template});
    return "0\n";
}

# way, argv (stamp and its file), count, gap: from the call to the program's first
# instruction, one program after the other -> the ns of each.
sub _first {
    my ($r, $in) = @_;
    my $way = _way($in->{way});
    my $argv = _argv($in);
    my $file = $argv->[1];
    my @took;
    for my $n (-2 .. $in->{count} - 1) {
        sleep $in->{gap};
        my $size = -s $file;
        my $from = now();
        $way->{start}->($r, $argv);
        my $end = $from + 10;
        sleep 0.001 while -s $file == $size && now() < $end;
        open my $lines, '<', $file or die "$file: $!\n";
        seek $lines, $size, 0;
        my $line = <$lines>;
        close $lines;
        my ($began) = defined $line ? split / /, $line : ();
        die "the program does not start\n" if !$began;
        push @took, $began - int 1e9 * $from if $n >= 0;
        $way->{after}->() if $way->{after};
    }
    return $json->encode(\@took);
}

# way: what is left to do when the answer is out.
my %after = (
    none => sub { },
    cleanup_handler => sub { $_[0]->push_handlers(PerlCleanupHandler => \&_wait) },
    spawn_cleanup => sub { $_[0]->spawn_cleanup('Bench::Work::wait_50_ms', [], queue => 'after') },
    workers => sub { $_[0]->spawn_cleanup('Bench::Work::wait_50_ms', [], queue => 'workers') },
    limit => sub { $_[0]->push_handlers(PerlCleanupHandler => \&_have_slept) },
);

# The limit: a message to a C program that starts one which sleeps.
sub _have_slept {
    _way('bare_start')->{start}->($_[0], [qw(/bin/sleep 0.05)]);
    return Apache2::Const::OK;
}

sub _wait { sleep 0.05; return Apache2::Const::OK }

sub _after {
    my ($r, $in) = @_;
    $after{ $in->{way} }->($r);
    return "0\n";
}

1;
