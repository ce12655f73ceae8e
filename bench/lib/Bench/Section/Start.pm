# SPDX-License-Identifier: Apache-2.0
#
# Section 8: moments: from the submit to the program's first instruction, from the
# end of a job to the begin of the next one in a queue that runs one at a time, and
# from the death of the broker to the next job that is accepted. Runs in bench/run.

package Bench::Section::Start;

use strict;
use warnings;

use Bench::Beside qw(program output starter end_peers);
use Bench::Cpu ();
use Bench::Httpd ();
use Bench::Ways ();
use SpawnTest ();
use SpawnTest::Wait qw(now);

my $conf = <<'END';
SpawnMaxQueued 1000000
SpawnSubmitTimeout 20s
<SpawnQueue one>
    SpawnMaxJobs 1
</SpawnQueue>
END

sub run {
    my ($class, $bench) = @_;
    my $at = $bench->temp . '/starter';
    my $httpd = Bench::Httpd->new(conf => $conf, starter => $at)->start;
    starter($at, $httpd);
    $httpd->wait_for_children;
    $bench->tell('start: the first instruction');
    _first($bench, $httpd);
    end_peers();
    $bench->tell('start: the next job');
    _next($bench, $httpd);
    $httpd->clean;
    $bench->tell('start: a broker that dies');
    _broker_dies($bench) for 1 .. $bench->either(7, 2);
    return;
}

# An empty file for the times of the program stamp; its path.
sub _stamps {
    my ($httpd) = @_;
    my $file = $httpd->work . '/stamps';
    open my $out, '>', $file or die "$file: $!\n";
    close $out;
    chmod oct 666, $file or die "$file: $!\n";
    return $file;
}

# From a child of the size that it has.
sub _first {
    my ($bench, $httpd) = @_;
    my $dir = SpawnTest::root_dir() . '/bench/ways';
    my @cases;
    for my $name (qw(bare_start posted accepted fastspawn fork_exec double_fork)) {
        my $way = Bench::Ways::load($dir, $name);
        if (my $missing = Bench::Ways::missing($way)) {
            $bench->skip("first instruction: $way->{name}", $missing);
            next;
        }
        $bench->note("way $name", $way->{name});
        push @cases, sub {
            my $ns = $httpd->ask('first', way => $name, argv => join(',', $httpd->program('stamp'), _stamps($httpd)),
                count => $bench->either(100, 30), gap => 0.003);
            $bench->times("first/$name", @{$ns});
        };
    }
    $bench->rounds($bench->either(5, 2), @cases);
    return;
}

# Jobs write down when they begin and end; the limit is a loop in C that starts the
# next when one has ended.
sub _next {
    my ($bench, $httpd) = @_;
    my $gaps = sub {
        my ($file) = @_;
        open my $in, '<', $file or die "$file: $!\n";
        my @times = sort { $a->[0] <=> $b->[0] } map { [split] } <$in>;
        close $in;
        die "jobs did not write down their times\n" if @times < 2;
        return map { $times[$_][0] - $times[ $_ - 1 ][1] } 1 .. $#times;
    };
    my $ours = sub {
        my $file = _stamps($httpd);
        $httpd->ask('submit', argv => join(',', $httpd->program('stamp'), $file), reply => 'posted', queue => 'one',
            count => $bench->either(200, 60));
        $httpd->drained;
        $bench->times('next/spawn', $gaps->($file));
    };
    my $limit = sub {
        my $file = _stamps($httpd);
        output(join(',', Bench::Cpu::all()), program('start'), 'fork', 1, 1, $bench->either(0.3, 0.15),
            $httpd->uid, $httpd->gid, $httpd->program('stamp'), $file);
        $bench->times('next/limit', $gaps->($file));
    };
    $bench->rounds($bench->either(7, 3), $ours, $limit);
    return;
}

# From kill -9 to the answer of a handler that submits as soon as it can. A pair of its
# own for each: a broker that dies again and again is started later each time.
sub _broker_dies {
    my ($bench) = @_;
    my $httpd = Bench::Httpd->new(conf => $conf)->start;
    $httpd->wait_for_children;
    my @submit = ('submit', argv => $httpd->program('tiny'), reply => 'accepted', count => 1);
    $httpd->ask(@submit);
    my $pid = $httpd->broker_pid;
    my $from = now();
    kill KILL => $pid or die "kill $pid: $!\n";
    $httpd->ask(@submit);
    $bench->figure('broker_dies', 'ms', 1000 * (now() - $from));
    $httpd->clean;
    return;
}

1;
