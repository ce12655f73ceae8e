# SPDX-License-Identifier: Apache-2.0
#
# Why a line of what must be reached can miss its bound, in a few words; docs/performance.md
# tells the rest. The first pattern that matches a line's name counts. Runs in
# bench/report.

package Bench::Reasons;

use strict;
use warnings;

my $calls = 'broker, spawner and set-up, which a fork alone does not have';
my $cold = 'each process has slept, and reads its code and data from memory anew';
my $size = 'a call takes as long at every size: the bound asks for more calls than ours makes with 10 MB';

my @reasons = (
    [ qr{^calls/s, 10 MB}, $calls ],
    [ qr{^calls/s, }, $size ],
    [ qr{^call, .*spaced}, $cold ],
    [ qr{^CPU time of a call, .*spaced}, "$cold; with spares or without" ],
    [ qr{^CPU time of a call}, $calls ],
    [ qr{^jobs/s, .*C loop}, 'checks, outputs, supervision and the handlers\' Perl; both CPUs are full, so all of it shows' ],
    [ qr{^jobs/s, .*Proc::FastSpawn}, 'the record and the supervision, which it does not have' ],
    [ qr{^CPU time of a job}, 'checks, record and supervision' ],
    [ qr{ / Minion}, 'the start of the program is most of the time of both' ],
    [ qr{^worker call}, 'workers that are lent, or else two messages more' ],
    [ qr{^CPU time of a worker call}, 'a caller and its worker look for 50 us before they sleep' ],
    [ qr{^held, accepted}, 'Perl, its options and the encoder, read from memory anew; a bare message touches none of it' ],
    [ qr{^held, posted}, 'Perl, its options and the encoder' ],
    [ qr{^a site, each request a program, .*p50 / Proc::FastSpawn}, 'a handler that does nothing takes more than that of it: cannot be had' ],
    [ qr{^a site, each request a program, .*Proc::FastSpawn}, 'half of all that the machine can do: the slowest wait for the CPU with either' ],
    [ qr{^a site, each request a program}, 'the load leaves no CPU' ],
    [ qr{^a site, each request a Perl call}, 'both CPUs are full, and a call takes more than half of AnyEvent::Fork\'s CPU time (10 MB)' ],
    [ qr{^50 ms after the answer, workers}, 'the next requests wait for the CPU that the work takes: the C program makes them as slow' ],
    [ qr{^50 ms after the answer}, 'the next requests wait for the CPU that a fork and its job take' ],
    [ qr{^from submit .*p99}, 'the last of 100 waits for another process\'s time slice; the 100 of a round tell it badly' ],
    [ qr{^from submit}, 'two processes more on the way' ],
    [ qr{^from the end of a job}, 'broker and spawner on the way' ],
    [ qr{^static page beside}, 'it waits for the ends of time slices, also beside programs started by hand' ],
    [ qr{^(?:graceful|from kill)}, 'a new broker reads the store' ],
    [ qr{^(?:spawner|broker|memory)}, 'what each job, or call, keeps' ],
    [ qr{^submit, }, 'the store or the queue has grown' ],
    [ qr{^CPU time of a request}, 'the noise of the machine: nothing of the module runs there' ],
);

# of('calls/s, 10 MB, 1 in flight / AnyEvent::Fork', 'no')
sub of {
    my ($figure, $held) = @_;
    return '' if $held eq 'yes';
    return 'the results are older than this line, or its section says what was skipped' if $held eq 'not measured';
    for my $reason (@reasons) {
        return $reason->[1] if $figure =~ $reason->[0];
    }
    return '';
}

1;
