#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job that cannot be had is for Apache2::Spawn::Instead what a failed fork is for Perl:
# -1, $? and $!, and a warning with the reason. One that has to wait for its turn is waited
# for, and one that runs while the broker is killed as well.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use POSIX ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);
use Apache2::Spawn ();

my $package = <<'END';
package MyFull;
use strict;
use warnings;
use Apache2::Spawn::Instead { queue => 'full' };
sub refused {
    my $rv = system 'true';
    my @got = ($rv, $?, $! + 0);
    ($?, $!) = (0, 0);
    my $x = `true`;
    push @got, defined $x ? 1 : 0, $?, $! + 0;
    $! = 0;
    push @got, open(my $in, '-|', 'true') ? 1 : 0, $! + 0;
    return @got;
}
package MyUnknown;
use Apache2::Spawn::Instead { queue => 'none-such' };
sub refused { return (system('true'), $! + 0) }
package MyTurn;
use Apache2::Spawn::Instead { queue => 'one' };
sub turn { open my $in, '-|', 'echo "\$SPAWN_JOB_ID"' =~ s/\\//gr or die "open: $!\n"; chomp(my $id = <$in>); close $in; return $id }
package MyQueued;
use Apache2::Spawn::Instead { queue => 'busy' };
sub handler {
    my ($r) = @_;
    my $busy = Apache2::Spawn->spawn([ 'sleep', 600 ], queue => 'busy', reply => 'started');
    my @got = (system('true'), $?, $! + 0);
    push @got, defined open(my $in, '-|', 'true') ? 1 : 0, $! + 0;
    $busy->kill('KILL');
    $r->print(join ' ', @got);
    return 0;
}
package MyGate;
use Apache2::Spawn::Instead;
sub handler { my ($r) = @_; $r->print(system('/bin/sh', '-c', ': >"$2"; : <"$1"; exit 7', 'sh', $r->dir_config('Gate'), $r->dir_config('Gate') . '.ready')); return 0 }
package MyFull;
sub handler {
    my ($r) = @_;
    my @busy = map { Apache2::Spawn->spawn([ 'sleep', 600 ], queue => 'full', reply => $_) } qw(started accepted);
    my @full = refused();
    $_->kill for @busy;
    my $first = Apache2::Spawn->spawn([ 'sleep', 1 ], queue => 'one');
    my $second = Apache2::Spawn->job(MyTurn::turn())->status;
    $r->print(JSON::PP->new->encode({ full => \@full, unknown => [ MyUnknown::refused() ],
        turn => $first->status->ended_at <= $second->started_at ? 1 : 0 }));
    return 0;
}
1;
END

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, perl => 'use JSON::PP ();');
        my $gate = $httpd->work . '/gate';
        POSIX::mkfifo($gate, 0666) or die "mkfifo: $!\n";
        chmod 0666, $gate;
        $httpd->file('../perl/MyFull.pm', $package);
        $httpd->{conf} = <<"END";
<SpawnQueue full>
    SpawnMaxJobs 1
    SpawnMaxQueued 1
</SpawnQueue>
<SpawnQueue one>
    SpawnMaxJobs 1
</SpawnQueue>
<SpawnQueue busy>
    SpawnMaxJobs 1
</SpawnQueue>
PerlModule MyFull
<Location /queued>
    SetHandler modperl
    PerlResponseHandler MyQueued
</Location>
<Location /full>
    SetHandler modperl
    PerlResponseHandler MyFull
</Location>
<Location /gate>
    SetHandler modperl
    PerlResponseHandler MyGate
    PerlSetVar Gate $gate
</Location>
END
        $httpd->start;
        my $answer = $httpd->get('/full')->{content};
        my $told = eval { JSON::PP->new->decode($answer) } or return fail "an answer: $answer";
        my $again = POSIX::EAGAIN();
        is_deeply $told->{full}, [ -1, -1, $again, 0, -1, $again, 0, $again ], 'a full queue is as a fork that fails';
        is_deeply $told->{unknown}, [ -1, POSIX::ENOENT() ], 'a queue that is not there';
        like $httpd->error_log, qr/^Apache2::Spawn: .*queue.*full.* at \S+MyFull\.pm line/m, 'the reason is a warning';
        like $httpd->error_log, qr/^Apache2::Spawn: .*none-such.* at \S+MyFull\.pm line/m, '... of the other one, too';
        is $told->{turn}, 1, 'one that has to wait for its turn is waited for';

        my $spawn = $httpd->connection;
        my $waits = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $httpd->port) or die "connect: $!\n";
        print {$waits} "GET /queued HTTP/1.0\r\n\r\n";
        for (1, 2) {
            my $queued;
            ok wait_until(sub { ($queued) = $spawn->list(queue => 'busy', state => 'queued') }, 60), 'a program waits for its turn';
            $queued->job->kill if $queued;
        }
        my $cancelled = POSIX::ECANCELED();
        like do { local $/ = undef; <$waits> }, qr/\r\n\r\n-1 -1 $cancelled 0 $cancelled\z/, '... and is cancelled: it could not be started';

        my $client = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $httpd->port) or die "connect: $!\n";
        print {$client} "GET /gate HTTP/1.0\r\n\r\n";
        ok wait_until(sub { -e "$gate.ready" }, 60), 'a program runs';
        my $broker = $httpd->broker_pid;
        kill KILL => $broker;
        ok wait_until(sub { my $new = $httpd->broker_pid; $new && $new != $broker }, 60), '... the broker is killed, another one comes';
        open my $open, '>', $gate or die "$gate: $!\n";
        close $open;
        my $said = do { local $/ = undef; <$client> };
        like $said, qr/\r\n\r\n1792\z/, '... and system has its status';
    }
);
done_testing;
