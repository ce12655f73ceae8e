# SPDX-License-Identifier: Apache-2.0
#
# Asks for the end of each job that somebody was promised, and writes it into the journal:
# while the soak goes on, since a full disk takes the history first, and at its end those
# that are left. A process beside the clients, and then a part of the audit.

package SpawnTest::Soak::Clerk;

use strict;
use warnings;

use Apache2::Spawn ();
use POSIX ();
use Scalar::Util qw(blessed);
use Time::HiRes qw(usleep);

use SpawnTest::Soak::Journal qw(journal ms new_lines);

use constant AGE => 1500;    # ms after which a job is asked for

# Until the file log/ended is there. Its pid.
sub start {
    my ($world) = @_;
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    return $pid if $pid;
    my $done = eval { _follow($world); 1 };
    journal('X', 'clerk', undef, "$@") if !$done;
    POSIX::_exit($done ? 0 : 1);
}

sub _follow {
    my ($world) = @_;
    my $spawn = Apache2::Spawn->connect($world->{httpd}->socket);
    my $file = "$world->{log}/journal";
    open my $in, '<', $file or die "$file: $!\n";
    my ($rest, @waiting) = ('');
    my %told;
    until (-e "$world->{log}/ended") {
        for my $line (new_lines($in, \$rest)) {
            my ($what, $token, $ms, $id) = split /\t/, $line;
            $told{$token} = 1 if $what eq 'T';
            push @waiting, [ $ms, $token, $id ] if $what =~ /\A[APC]\z/ && $id =~ /-.*-/;
        }
        my ($now, $asked, @later) = (ms(), 0);
        while (@waiting && $waiting[0][0] < $now - AGE && $asked++ < 2000) {
            my $job = shift @waiting;
            next if delete $told{ $job->[1] };
            my $known = ask($spawn, @{$job}[ 1, 2 ]);
            next if $known eq 'done';
            push @later, [ $now, @{$job}[ 1, 2 ] ];
            last if $known ne 'waits';    # nobody answers just now
        }
        push @waiting, @later;
        usleep(30_000);
    }
    return;
}

# done (it is in the journal), waits, or the code of the error.
sub ask {
    my ($spawn, $token, $id) = @_;
    my $now = eval { $spawn->job($id)->status };
    if (!$now) {
        my $error = $@;
        my $code = blessed $error && $error->isa('Apache2::Spawn::Error') ? $error->code : die $error;
        journal('N', $token, $id, $code);
        return $code;
    }
    return 'waits' if $now->state ne 'done';
    journal('T', $token, $now->id, $now->outcome, $now->exit_code, $now->signal, $now->result_kind, $now->step,
        defined $now->elapsed ? int(1000 * $now->elapsed) : undef, '');
    return 'done';
}

1;
