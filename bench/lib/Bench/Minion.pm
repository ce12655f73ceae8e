# SPDX-License-Identifier: Apache-2.0
#
# Minion, with a PostgreSQL of its own that listens on a socket in a directory of the
# suite and keeps its default settings. Runs in bench/run; ends the server, by the pid
# that it got, with the other peers.

package Bench::Minion;

use strict;
use warnings;

use POSIX ();

use Bench::Beside qw(begin output);
use Bench::Cpu ();
use SpawnTest ();
use SpawnTest::Wait qw(wait_until);

use constant AT_ONCE => 4;      # what Minion's worker has by itself

sub _bin { my ($latest) = sort { _version($b) <=> _version($a) } glob '/usr/lib/postgresql/*/bin'; return $latest }
sub _version { return $_[0] =~ m{/(\d+)/bin\z} ? $1 : 0 }

# Why it cannot be had, or nothing.
sub missing {
    for my $module (qw(Minion Mojo::Pg)) {
        (my $file = "$module.pm") =~ s{::}{/}g;
        return "$module is not installed" if !eval { require $file; 1 };
    }
    my $bin = _bin();
    return 'PostgreSQL is not installed' if !$bin || !-x "$bin/postgres";
    return 'there is no account postgres' if $< == 0 && !defined getpwnam 'postgres';
    return;
}

# The words that run a command as somebody whom PostgreSQL accepts.
sub _as { return $< == 0 ? qw(setpriv --reuid=postgres --regid=postgres --clear-groups) : () }

# A server that runs; its URL for Mojo::Pg.
sub start {
    my ($temp) = @_;
    my $bin = _bin();
    my $dir = "$temp/pg";
    mkdir $dir or die "$dir: $!\n";
    if ($< == 0) {
        chown((getpwnam 'postgres')[ 2, 3 ], $dir) or die "$dir: $!\n";
    }
    output(join(',', Bench::Cpu::all()), _as(), "$bin/initdb", '-D', "$dir/data", '-A', 'trust', '-U', 'bench');
    begin(_as(), "$bin/postgres", '-D', "$dir/data", '-k', $dir, '-c', 'listen_addresses=', '-c', 'logging_collector=off',
        '-c', 'log_min_messages=panic');
    wait_until(sub { -S "$dir/.s.PGSQL.5432" }, 30) or die "PostgreSQL does not come\n";
    my $url = 'postgresql://bench@' . join('%2F', split m{/}, $dir) . '/postgres';
    wait_until(sub { eval { Mojo::Pg->new($url)->db->query('SELECT 1'); 1 } }, 30) or die "PostgreSQL does not answer: $@\n";
    return $url;
}

# Seconds for so many jobs, program or call, and, when it can be told of this group,
# the us of CPU that they took.
sub took {
    my ($url, $what, $count, $usage) = @_;
    local $ENV{BENCH_USAGE} = $usage ? $usage->file : '';
    my $run = sub {
        return output(join(',', Bench::Cpu::all()), $^X, SpawnTest::root_dir() . '/bench/peers/minion.pl', 'Pg', $url,
            $what, $count, AT_ONCE);
    };
    return split q{ }, $usage ? $usage->within($run) : $run->();
}

1;
