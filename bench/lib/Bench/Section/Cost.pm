# SPDX-License-Identifier: Apache-2.0
#
# Section 7: what mod_spawn costs who does not use it: the CPU time of a request, in
# two virtual hosts of one httpd and in httpds with and without the module (without
# is measured twice: what those differ by is noise); the time that httpd needs to
# start; how long a static page takes while niced jobs want all CPUs; and what open
# status pages cost the other requests. Runs in bench/run.

package Bench::Section::Cost;

use strict;
use warnings;

use IO::Socket::INET ();
use POSIX ();
use Time::HiRes ();

use Apache2::Spawn ();
use Bench::Beside qw(load);
use Bench::History ();
use Bench::Httpd ();
use SpawnTest::Wait qw(now);

use constant { CHILDREN => 8, BUSY => 16, PAGES => 50, PAGE_SECONDS => 5, PAGE_JOBS => 10_000 };

my @variants = ([ with => 1 ], [ without => 0 ], [ without_too => 0 ]);

sub run {
    my ($class, $bench) = @_;
    $bench->tell('cost: requests');
    _requests($bench);
    $bench->tell('cost: start');
    _start($bench);
    $bench->tell('cost: beside niced jobs');
    _niced($bench);
    $bench->tell('cost: open status pages');
    _pages($bench);
    return;
}

# ---- requests ----

# In turns, slice by slice: a slice of each is a round.
sub _requests {
    my ($bench) = @_;
    my (@cases, @httpds);
    my $case = sub {
        my ($name, $httpd, $port) = @_;
        return sub {
            my ($got, $us) = $bench->counted([ $httpd->{usage} ], sub {
                return load($httpd, $httpd->action('nothing'), connections => CHILDREN, port => $port,
                    seconds => $bench->either(0.5, 0.2));
            });
            $bench->figure("$name/rate", '/s', $got->{rate});
            $bench->times($name, @{ $got->{latency} });
            # the first tenth is not told
            $bench->cpu($name, $us, $got->{rate} * $got->{seconds} / 0.9);
        };
    };
    for my $variant (@variants) {
        my ($name, $spawn) = @{$variant};
        my $httpd = Bench::Httpd->new(children => CHILDREN, spawn => $spawn, usage => $bench->usage)->start;
        push @httpds, $httpd;
        $httpd->wait_for_children;
        push @cases, $case->("requests/$name", $httpd);
    }
    my $both = Bench::Httpd->new(children => CHILDREN, usage => $bench->usage);
    my %port = map { $_ => SpawnTest::Httpd::free_port() } qw(with without);
    # the one gives mod_spawn work, elsewhere; the other knows nothing of it
    $both->{conf} .= <<"END";
SpawnTemplate app exec inc=$both->{dir}/perl preload=Bench::Work
PerlModule Apache2::Spawn
PerlModule Bench::Work
Listen 127.0.0.1:$port{with}
Listen 127.0.0.1:$port{without}
<VirtualHost 127.0.0.1:$port{with}>
    <Location /elsewhere>
        SpawnCleanupHandler Bench::Work::wait_50_ms
    </Location>
</VirtualHost>
<VirtualHost 127.0.0.1:$port{without}>
</VirtualHost>
END
    push @httpds, $both->start;
    $both->wait_for_children;
    push @cases, map { $case->("hosts/$_", $both, $port{$_}) } sort keys %port;
    $bench->rounds($bench->either(9, 3), @cases);
    $_->clean for @httpds;
    return;
}

# ---- start ----

# From the start of httpd to the birth of its first child, which writes down the
# time itself.
sub _start {
    my ($bench) = @_;
    my @cases;
    for my $variant (@variants) {
        my ($name, $spawn) = @{$variant};
        push @cases, sub {
            my $httpd = Bench::Httpd->new(spawn => $spawn);
            my $file = $httpd->work . '/born';
            $httpd->{perl} .= "\$Bench::Handler::born = '$file';\n";
            my $from = now();
            $httpd->start;
            $httpd->wait_for_children;
            open my $in, '<', $file or die "$file: $!\n";
            my $born = <$in>;
            close $in;
            $bench->figure("start/$name", 'ms', 1000 * ($born - $from));
            $httpd->clean;
        };
    }
    $bench->rounds($bench->either(5, 1), @cases);
    return;
}

# ---- beside niced jobs ----

# A static page at a fixed rate, with nothing else to do and with jobs that want all
# of the CPUs, nice 19.
sub _niced {
    my ($bench) = @_;
    my $httpd = Bench::Httpd->new(children => CHILDREN);
    open my $page, '>', $httpd->dir . '/htdocs/page.html' or die "page.html: $!\n";
    print {$page} 'x' x 2000;
    close $page;
    $httpd->start;
    $httpd->wait_for_children;
    my $spawn = Apache2::Spawn->connect($httpd->socket);
    my $seconds = $bench->either(1.5, 0.6);
    my $ask = sub {
        my ($name) = @_;
        my $got = load($httpd, '/page.html', connections => CHILDREN, rate => 500, seconds => $seconds);
        $bench->times("static/$name", @{ $got->{latency} });
    };
    my $beside = sub {
        my @jobs = map { $spawn->spawn([ $httpd->program('spin'), 60 ], nice => 19, reply => 'started') } 1 .. BUSY;
        $ask->('niced');
        $_->kill('KILL') for @jobs;
        $httpd->drained;
    };
    # the limit: the same programs, started by hand and as nice as they can be
    my $by_hand = sub {
        my @pids = map { _nice_by_hand($httpd->program('spin'), 60) } 1 .. BUSY;
        $ask->('limit');
        kill KILL => @pids;
        waitpid $_, 0 for @pids;
    };
    $bench->rounds($bench->either(5, 1), sub { $ask->('idle') }, $beside, $by_hand);
    $httpd->clean;
    return;
}

# ---- open status pages ----

# Requests of a handler, with and without people who look at the status page, each
# of whose browsers asks for it every 5 s.
sub _pages {
    my ($bench) = @_;
    my $httpd = Bench::Httpd->new(children => 2 * CHILDREN, usage => $bench->usage, conf => <<"END")->start;
KeepAliveTimeout 5
SpawnHistory 2000000
<Location /spawn-status>
    SetHandler spawn-status
</Location>
END
    Bench::History::fill($httpd, PAGE_JOBS);
    $httpd->wait_for_children;
    my $ask = sub {
        my ($name) = @_;
        my ($got, $us) = $bench->counted([ $httpd->{usage} ], sub {
            return load($httpd, $httpd->action('nothing'), connections => CHILDREN, seconds => $bench->either(1, 0.5));
        });
        $bench->figure("pages/$name/rate", '/s', $got->{rate});
        $bench->times("pages/$name", @{ $got->{latency} });
        # the first tenth is not told
        $bench->cpu("pages/$name", $us, $got->{rate} * $got->{seconds} / 0.9);
    };
    my $open = sub {
        my $browsers = _browsers($httpd);
        $ask->('open');
        kill KILL => $browsers;
        waitpid $browsers, 0;
    };
    $bench->rounds($bench->either(21, 3), sub { $ask->('none') }, $open);
    $httpd->clean;
    return;
}

# One process for all of them, which ask in turn; its pid.
sub _browsers {
    my ($httpd) = @_;
    my $port = $httpd->port;
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    return $pid if $pid;
    my @asked = map { "GET /spawn-status$_ HTTP/1.1\r\nHost: localhost\r\n\r\n" } '', '?view=jobs';
    my $next = now();
    for my $n (0 .. 1_000_000) {
        my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or POSIX::_exit(1);
        $socket->syswrite($asked[ $n % @asked ]);
        1 while $socket->sysread(my $some, 65_536);
        $next += PAGE_SECONDS / PAGES;
        my $left = $next - now();
        Time::HiRes::sleep($left) if $left > 0;
    }
    POSIX::_exit(0);
}

# In a session of its own, which is nice too; its pid.
sub _nice_by_hand {
    my (@argv) = @_;
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    return $pid if $pid;
    POSIX::setsid();
    if (open my $group, '>', '/proc/self/autogroup') {
        print {$group} "19\n";
        close $group;
    }
    POSIX::nice(19);
    exec @argv or POSIX::_exit(127);
}

1;
