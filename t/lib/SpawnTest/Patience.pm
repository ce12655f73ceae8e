# SPDX-License-Identifier: Apache-2.0
#
# For tests that kill or stop brokers: what is asked is asked again until a broker is there.
# A script waits 2 s for one that answers (a connection of SpawnTest::Httpd waits longer), and
# one that dies often comes back later and later; on a busy machine that is too late. Runs in
# test scripts.

package SpawnTest::Patience;

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT_OK = qw(patiently patient_call patient_spawn_call);

my $most = 60;    # seconds

sub _is_away {
    my ($error) = @_;
    return ref $error && $error->code =~ /\A(?:unconfirmed|unreachable|deadline)\z/;
}

# The code's values, in the context of the call. The code must be safe to run
# again.
sub patiently {
    my ($ask) = @_;
    my $until = time + $most;
    while (1) {
        my @r;
        return wantarray ? @r : $r[0] if eval { @r = $ask->(); 1 };
        die $@ if !_is_away($@) || time > $until;
    }
}

# As $spawn->call(...), in a list: the same job again is not another one.
sub patient_call {
    my ($spawn, @call) = @_;
    my @r;
    return @r if eval { @r = $spawn->call(@call); 1 };
    my $error = $@;
    die $error if !_is_away($error);
    my $job = $error->job;
    return patiently(sub { $job->resubmit->result($most) });
}

# As $spawn->spawn_call(...).
sub patient_spawn_call {
    my ($spawn, @call) = @_;
    my $job = eval { $spawn->spawn_call(@call) };
    return $job if $job;
    my $error = $@;
    die $error if !_is_away($error);
    return scalar patiently(sub { $error->job->resubmit });
}

1;
