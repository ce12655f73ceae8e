#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# An alarm whose handler dies ends the wait of system, backticks, and read and close of a
# handle of Apache2::Spawn::Instead, as that of Perl's own. The caller's __DIE__ handler hears
# of that, and of nothing else.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();

use Apache2::Spawn ();

# a script, whose signals are its own
my $httpd = SpawnTest::Httpd->new(mpm => SpawnTest::one_mpm())->start;
local $ENV{SPAWN_SOCKET} = $httpd->socket;

package Script {    ## no critic
    use Time::HiRes ();
    use Apache2::Spawn::Instead;
    our (@died, %ends);
    our %wait = (
        'system'         => sub { return system 'sleep 600' },
        'backticks'      => sub { return `sleep 600` },
        'read'           => sub { open my $in, '-|', 'sleep 600' or die "open: $!\n"; push @Script::kept, $in; return <$in> },
        'close'          => sub { open my $in, '-|', 'exec >&-; sleep 600' or die "open: $!\n"; push @Script::kept, $in; return close $in },
    );
    sub ended {
        my ($name, $seconds) = @_;
        local $SIG{ALRM} = sub { die "alarm\n" };
        local $SIG{__DIE__} = sub { push @died, $_[0] };
        my $done = eval { Time::HiRes::alarm($seconds); $wait{$name}->(); 1 };
        my $error = $@;
        alarm 0;
        return $done ? 'no exception' : $error;
    }
}

for my $seconds (0.02, 0.5) {
    for my $name (sort keys %Script::wait) {
        @Script::died = ();
        is Script::ended($name, $seconds), "alarm\n", "$name: an alarm after $seconds s";
        is $Script::died[-1], "alarm\n", '... of which __DIE__ hears';
    }
}

@Script::died = ();
{
    local $SIG{__DIE__} = sub { push @Script::died, $_[0] };
    no warnings;
    package Script;    ## no critic
    system '/nowhere/x', 'y';
    my $x = `/nowhere/x`;
    open my $in, '-|', '/nowhere/x';
}
is_deeply \@Script::died, [], 'and of no program that is not there';

$_->job->kill('KILL') for Apache2::Spawn->list(state => 'running'), Apache2::Spawn->list(state => 'queued');
done_testing;
