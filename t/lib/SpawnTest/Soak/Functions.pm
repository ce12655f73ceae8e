# SPDX-License-Identifier: Apache-2.0
#
# The Perl functions that a soak calls. Each writes to the ledger when it begins and when
# it ends. Runs in Perl jobs and in workers.

package SpawnTest::Soak::Functions;

use strict;
use warnings;

use Apache2::Spawn ();
use Time::HiRes ();

use SpawnTest::Soak::Journal qw(ledger);

# (ledger, token, what, value): every call comes here.
sub run {
    my ($ledger, $token, $what, $value) = @_;
    my $id = Apache2::Spawn->job->id;
    ledger($ledger, 'B', $token, $id, 0);
    my $end = sub { ledger($ledger, 'E', $token, $id, $_[0]); return };
    if ($what eq 'naps') {
        _nap($value);
        $value = $token;
    } elsif ($what eq 'dies') {
        $end->(255);
        die "$token dies\n";
    } elsif ($what eq 'exits') {
        $end->($value);
        exit $value;
    } elsif ($what eq 'signalled') {
        kill $value => $$;
        _nap(5000);
    } elsif ($what eq 'much') {
        $value = 'x' x $value;
    } elsif ($what eq 'given') {
        $value = length $value;
    } elsif ($what eq 'submits') {
        $value = eval { Apache2::Spawn->spawn(['/bin/true'], reply => 'accepted')->id } || 'none';
    }
    $end->(0);
    return $value;
}

sub _nap {
    my ($ms) = @_;
    my $until = Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) + $ms / 1000;
    while ((my $left = $until - Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC())) > 0) {
        Time::HiRes::sleep($left);
    }
    return;
}

1;
