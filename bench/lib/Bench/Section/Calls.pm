# SPDX-License-Identifier: Apache-2.0
#
# Section 3: calls of Perl functions, a process forked for each from templates of
# several sizes, and by workers, against AnyEvent::Fork, a bare fork and a bare
# message with its answer. Runs in bench/run.

package Bench::Section::Calls;

use strict;
use warnings;

use JSON::PP ();

use Bench::Beside qw(output peer end_peers);
use Bench::Cpu ();
use Bench::Httpd ();
use Bench::Stat qw(quantile);
use SpawnTest ();

use constant SIZES => (10, 100, 500);
use constant CALLERS => (1, 4);

sub run {
    my ($class, $bench) = @_;
    $bench->tell('calls: a fork for each');
    _forked($bench);
    $bench->tell('calls: workers');
    _workers($bench);
    return;
}

sub _seconds { return $_[0]->either(0.5, 0.15) }

# [ begin, end, [ ns, ... ] ] of callers that ran at once.
sub _tell {
    my ($bench, $name, @told) = @_;
    my ($from) = sort { $a <=> $b } map { $_->[0] } @told;
    my ($to) = sort { $b <=> $a } map { $_->[1] } @told;
    my @ns = map { @{ $_->[2] } } @told;
    $bench->times($name, @ns);
    $bench->figure("$name/rate", '/s', @ns / ($to - $from));
    return;
}

# ---- a process for each call ----

sub _forked {
    my ($bench) = @_;
    my $httpd = Bench::Httpd->new(children => 4);
    my $inc = $httpd->dir . '/perl';
    for my $size (SIZES) {
        my $file = $httpd->file("grow$size.pl", "use Bench::Work; Bench::Work::grow($size);\n");
        $httpd->{conf} .= "SpawnTemplate t$size exec inc=$inc require=$file\n";
    }
    $httpd->start;
    $httpd->wait_for_children;
    my @programs = _programs($bench);
    my @cases;
    for my $size (SIZES) {
        for my $callers (CALLERS) {
            my @case = ($bench, $size, $callers);
            push @cases, sub { _call($httpd, "fork/$size/$callers/call", "t$size", @case) };
            for my $program (@programs) {
                # what it loads has one size
                next if $program eq 'anyevent_require' && $size != 10;
                push @cases, sub { _program("fork/$size/$callers/$program", $program, @case) };
            }
        }
    }
    $bench->rounds($bench->either(5, 1), @cases);
    $httpd->clean;
    return;
}

sub _call {
    my ($httpd, $name, $template, $bench, $size, $callers) = @_;
    my @asked = map { $httpd->begin('calls', template => $template, seconds => _seconds($bench)) } 1 .. $callers;
    _tell($bench, $name, map { $httpd->answer($_) } @asked);
    return;
}

my %name = (
    fork => 'limit: a bare fork',
    anyevent_fork => 'AnyEvent::Fork, own template',
    anyevent_require => 'AnyEvent::Fork, require for each',
);

sub _directory { return SpawnTest::root_dir() . '/bench/calls' }

sub _programs {
    my ($bench) = @_;
    my @found;
    $bench->note('way call', 'call');
    for my $path (glob _directory() . '/*.pl') {
        my ($program) = $path =~ m{([^/]+)\.pl\z};
        my $shown = $name{$program} || $program;
        if ($program =~ /\Aanyevent/ && !eval { require AnyEvent::Fork; 1 }) {
            $bench->skip($shown, 'AnyEvent::Fork is not installed');
            next;
        }
        $bench->note("way $program", $shown);
        push @found, $program;
    }
    return @found;
}

sub _program {
    my ($name, $program, $bench, $size, $callers) = @_;
    my $text = output(join(',', Bench::Cpu::all()), $^X, _directory() . "/$program.pl", $size, $callers,
        _seconds($bench));
    _tell($bench, $name, JSON::PP::decode_json($text));
    return;
}

# ---- workers ----

sub _workers {
    my ($bench) = @_;
    my @all = join ',', Bench::Cpu::all();
    my %places = (
        free => [ @all, @all ],
        apart => [ Bench::Cpu::one(), Bench::Cpu::two() ],
        together => [ (Bench::Cpu::one()) x 2 ],
    );
    my (@cases, @httpds);
    for my $place (sort keys %places) {
        my $peer = peer($bench->temp . "/calls-$place", $places{$place}[1]);
        my $httpd = Bench::Httpd->new(children => 4, peer => $peer);
        my $inc = $httpd->dir . '/perl';
        $httpd->{conf} .= <<"END";
SpawnTemplate app exec inc=$inc preload=Bench::Work
<SpawnQueue rpc>
    SpawnWorkers 1 4
</SpawnQueue>
END
        my ($bad, $said) = $httpd->check_conf;
        if ($bad) {
            $said =~ s/\s+/ /g;
            $bench->skip('calls of workers', "not there: $said");
            $_->clean for $httpd, @httpds;
            end_peers();
            return;
        }
        push @httpds, $httpd->start;
        $httpd->wait_for_children;
        $httpd->ask('calls', queue => 'rpc', seconds => 0.1);
        Bench::Cpu::place($places{$place}[0], $httpd->children);
        Bench::Cpu::place($places{$place}[1], $httpd->pair_and_jobs);
        for my $callers ($place eq 'free' ? CALLERS : 1) {
            push @cases, sub { _worker_calls($bench, $httpd, "worker/$place/$callers", $callers) };
        }
        push @cases, sub {
            my $ns = $httpd->ask('held', way => 'bare_answered', argv => 'x', burst => 100, gap => 0.001,
                seconds => _seconds($bench) / 2, most => 10_000);
            $bench->times("worker/$place/bare_answered", @{$ns});
        };
    }
    $bench->rounds($bench->either(5, 2), @cases);
    $_->clean for @httpds;
    end_peers();
    return;
}

sub _worker_calls {
    my ($bench, $httpd, $name, $callers) = @_;
    my @asked = map { $httpd->begin('calls', queue => 'rpc', seconds => _seconds($bench)) } 1 .. $callers;
    _tell($bench, $name, map { $httpd->answer($_) } @asked);
    return;
}

1;
