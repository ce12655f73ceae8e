#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The broker that has sent TERM to a job whose time is over is killed before the
# job ends. The next one, which only hears of a signal, tells all the same that
# the job timed out: a program, a Perl function, a call in a worker. A job that
# is killed before its time is over is not taken for that.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();
use SpawnTest::Process qw(alive);
use SpawnTest::Wait qw(in_time);

# Writes a file at TERM, and is ended by a second one that the test sends.
my $program = <<'END';
my ($ready, $termed) = @ARGV;
$SIG{TERM} = sub { open my $out, '>', $termed or die; print {$out} $$; close $out; $SIG{TERM} = 'DEFAULT' };
open my $out, '>', $ready or die; print {$out} $$; close $out;
select undef, undef, undef, 1 while 1;
END

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, kind => 'parent', conf => <<'END', perl => <<'PERL')->start;
<SpawnQueue w>
    SpawnWorkers 1 1
</SpawnQueue>
END
package SpawnTest::Slow;
sub slow {
    my ($ready, $termed) = @_;
    $SIG{TERM} = sub { open my $out, '>', $termed or die; print {$out} $$; close $out; $SIG{TERM} = 'DEFAULT' };
    open my $out, '>', $ready or die; print {$out} $$; close $out;
    select undef, undef, undef, 1 while 1;
}
PERL
        my $n = 0;
        my $pid_in = sub {
            my ($path) = @_;
            my $pid = wait_until(sub { -s $path && do { open my $in, '<', $path; <$in> } }, 60);
            return $pid || die "nothing came to $path\n";
        };
        # Its end, told by another broker than that which sent TERM.
        my $ends = sub {
            my ($submit, %how) = @_;
            my ($id, $ready, $termed) = in_time(
                sub {
                    my ($timeout) = @_;
                    my @paths = map { $httpd->work . '/' . $_ . $n } qw(ready termed);
                    $n++;
                    (my $code = $submit) =~ s/TIMEOUT/$timeout/;
                    my $answer = SpawnTest::Calls->ask($httpd, $code, $program, @paths);
                    my $new = $answer->{values} ? $answer->{values}[0] : die "not submitted\n";
                    wait_until(sub { -s $paths[0] || $httpd->status($new)->{state} eq 'done' }, 60);
                    return -s $paths[0] ? ($new, @paths) : ();
                }
            );
            my $pid = $pid_in->($how{early} ? $ready : $termed);
            my ($spawner, $broker) = ($httpd->spawner_pid, $httpd->broker_pid);
            # the spawner sees both ends at once
            kill STOP => $spawner or die "kill: $!\n";
            $httpd->kill_pair('broker');
            kill $how{signal} || 'TERM' => $pid or die "kill: $!\n";
            wait_until(sub { !alive($pid) }, 20) or die "$pid lives\n";
            kill CONT => $spawner or die "kill: $!\n";
            $httpd->new_pid('broker', $broker) or die "no new broker\n";
            return $httpd->wait($id);
        };

        my %submit = (
            'a program' => q{Apache2::Spawn->spawn([ '/usr/bin/perl', '-e', @_ ], timeout => TIMEOUT, grace => 60)->id},
            'a Perl function' => q{shift; Apache2::Spawn->spawn_call('SpawnTest::Slow::slow', [@_], timeout => TIMEOUT, grace => 60)->id},
            'a call in a worker' =>
                q{shift; Apache2::Spawn->spawn_call('SpawnTest::Slow::slow', [@_], queue => 'w', timeout => TIMEOUT, grace => 60)->id},
        );
        for my $what (sort keys %submit) {
            my $end = $ends->($submit{$what});
            is $end->{outcome}, 'timed_out', "$what: it timed out" or diag explain $end;
            is $end->{signal}, POSIX::SIGTERM(), "$what: by TERM";
        }
        (my $long = $submit{'a program'}) =~ s/TIMEOUT/60/;
        is $ends->($long, early => 1, signal => 'KILL')->{outcome}, 'signalled', 'who is killed before is not taken for it';
        is $ends->($submit{'a program'}, signal => 'INT')->{outcome}, 'timed_out',
            'who is ended by another signal in its grace has timed out, as with a broker that lives';
    }
);
done_testing;
