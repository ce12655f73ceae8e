# SPDX-License-Identifier: Apache-2.0
#
# Section 3: calls of Perl functions, a process forked for each from templates of
# several sizes, one and four in flight and spaced, against AnyEvent::Fork and a bare
# fork of a Perl of that size; their CPU time; and the memory of one more call. The
# templates are of the kind exec; with four in flight, of the kind parent too. A quick
# run leaves out some. Runs in bench/run.

package Bench::Section::Calls;

use strict;
use warnings;

use JSON::PP ();
use POSIX ();

use Bench::Beside qw(output);
use Bench::Cpu ();
use Bench::Httpd ();
use SpawnTest ();

use constant SIZES => (10, 100, 500);
use constant GAP => 0.005;      # between spaced calls

use constant WARM_UP => 2;      # calls of each caller before the clock runs

# Of a case: how many in flight, and its gap.
my %form = (1 => [1], 4 => [4], spaced => [ 1, GAP ]);

# Calls that stay, to see what one more takes.
use constant { FEW => 2, MANY => 6 };

sub run {
    my ($class, $bench) = @_;
    my $httpd = Bench::Httpd->new(children => MANY, usage => $bench->usage);
    my $inc = $httpd->dir . '/perl';
    for my $size (SIZES) {
        my $file = $httpd->file("grow$size.pl", "use Bench::Work; Bench::Work::grow($size);\n");
        $httpd->{conf} .= "SpawnTemplate t$size exec inc=$inc require=$file\n";
    }
    $httpd->start;
    $httpd->wait_for_children;
    my @programs = _programs($bench);
    my (@cases, @parents);
    for my $size (SIZES) {
        if (!$bench->{quick} || $size == 100) {
            push @parents, _parent($bench, $size);
            my @case = ($bench, $parents[-1], $size, 4);
            push @cases, map { my $kind = $_; sub { _call(@case, $kind, "parent_$kind") } } qw(shared frozen);
        }
        for my $form (sort keys %form) {
            next if $bench->{quick} && ($size == 500 && $form ne '1' || $size == 100 && $form eq 'spaced');
            push @cases, sub { _call($bench, $httpd, $size, $form, "t$size", 'call') };
            for my $program (@programs) {
                # its fork copies page tables: above 10 MB it is no limit of a frozen template's
                next if $program eq 'fork_handed' && $size != 10;
                # what it loads has one size
                next if $program eq 'anyevent_require' && ($size != 10 || $form ne '1' || $bench->{quick});
                push @cases, sub { _program($bench, $program, $size, $form) };
            }
        }
    }
    $bench->tell('calls: a process for each');
    $bench->rounds($bench->either(4, 1), @cases);
    $bench->tell('calls: memory of one more');
    for my $round (1 .. $bench->either(3, 1)) {
        _memory($bench, $httpd, $_, $round) for SIZES;
    }
    $_->clean for $httpd, @parents;
    return;
}

# An httpd whose parent has this size, with a template of the kind parent as httpd has
# it by itself, and a frozen one.
sub _parent {
    my ($bench, $size) = @_;
    my $httpd = Bench::Httpd->new(children => 4, usage => $bench->usage);
    my $file = $httpd->file("grow$size.pl", "use Bench::Work; Bench::Work::grow($size); 1;\n");
    $httpd->{conf} .= "PerlRequire $file\nSpawnTemplate shared parent\nSpawnTemplate frozen parent memory=frozen\n";
    $httpd->start;
    $httpd->wait_for_children;
    $bench->note("way parent_$_", "call, template parent, $_") for qw(shared frozen);
    return $httpd;
}

sub _seconds { return $_[0]->either(0.35, 0.12) }

# [ begin, end, [ ns, ... ] ] of callers that ran at once, and the us of CPU that
# these calls took and so many that were not told.
sub tell_calls {
    my ($bench, $name, $us, $untold, @told) = @_;
    my ($from) = sort { $a <=> $b } map { $_->[0] } @told;
    my ($to) = sort { $b <=> $a } map { $_->[1] } @told;
    my @ns = map { @{ $_->[2] } } @told;
    $bench->times($name, @ns);
    $bench->figure("$name/rate", '/s', @ns / ($to - $from));
    $bench->cpu($name, $us, @ns + $untold);
    return;
}

sub _call {
    my ($bench, $httpd, $size, $form, $template, $way) = @_;
    my ($callers, $gap) = @{ $form{$form} };
    my %how = (by => 'spawn', warm_up => WARM_UP, template => $template, seconds => _seconds($bench), gap => $gap || 0);
    my ($told, $us) = $bench->counted([ $httpd->{usage} ], sub {
        my @asked = map { $httpd->begin('calls', %how) } 1 .. $callers;
        return [ map { $httpd->answer($_) } @asked ];
    });
    tell_calls($bench, "fork/$size/$form/$way", $us, $callers * WARM_UP, @{$told});
    return;
}

my %name = (
    fork => 'limit: a bare fork',
    fork_frozen => 'limit: a frozen Perl in C that forks for a caller elsewhere',
    fork_handed => 'limit: a fork for a caller elsewhere',
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
    my ($bench, $program, $size, $form) = @_;
    my ($callers, $gap) = @{ $form{$form} };
    my $beside = $bench->beside;
    local $ENV{BENCH_USAGE} = $beside ? $beside->file : '';
    my $run = sub {
        return output(join(',', Bench::Cpu::all()), $^X, _directory() . "/$program.pl", $size, $callers,
            _seconds($bench), $gap ? $gap : ());
    };
    my $told = JSON::PP::decode_json($beside ? $beside->within($run) : $run->());
    tell_calls($bench, "fork/$size/$form/$program", $told->[3], 0, $told);
    return;
}

# ---- the memory of one more ----

# The memory of all processes of the pair with some calls that stay, and with
# more: by how much a call makes it grow. Page tables are not in a PSS.
sub _memory {
    my ($bench, $httpd, $size, $round) = @_;
    my $gate = $httpd->work . "/gate$size-$round";
    POSIX::mkfifo($gate, oct 666) or die "$gate: $!\n";
    chmod oct 666, $gate or die "$gate: $!\n";
    my $there = "$gate-there";
    my @asked;
    my $grown_to = sub {
        my ($n) = @_;
        push @asked, $httpd->begin('hold', template => "t$size", gate => $gate, there => $there) while @asked < $n;
        SpawnTest::wait_until(sub { my @there = glob "$there.*"; return @there >= $n }, 60)
            or die "calls that stay do not start\n" . $httpd->tail;
        return _kb($httpd);
    };
    my $few = eval { $grown_to->(FEW) };
    my $why = $@;
    my $many = $few && $grown_to->(MANY);
    open my $out, '>', $gate or die "$gate: $!\n";
    $httpd->answer($_) for @asked;
    close $out;
    if (!$few) {
        $bench->skip("memory of one more call, $size MB", $why);
        return;
    }
    $bench->figure("memory/$size/$_", 'kB', ($many->{$_} - $few->{$_}) / (MANY - FEW)) for qw(pss page_tables);
    return;
}

# Of spawner, broker, templates and jobs together. A spare that ends meanwhile has none.
sub _kb {
    my ($httpd) = @_;
    my %kb = (pss => 0, page_tables => 0);
    for my $pid ($httpd->pair_and_jobs) {
        for my $part ([ pss => 'smaps_rollup', 'Pss' ], [ page_tables => 'status', 'VmPTE' ]) {
            my ($name, $file, $field) = @{$part};
            open my $in, '<', "/proc/$pid/$file" or next;
            my $text = do { local $/ = undef; <$in> };
            close $in;
            $kb{$name} += $1 if defined $text && $text =~ /^$field:\s*([0-9]+)/m;
        }
    }
    return \%kb;
}

1;
