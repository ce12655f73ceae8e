#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# system of Apache2::Spawn::Instead waits for a broker that has gone while the program runs:
# the next one tells the program's end. Until then the path refuses connections. What a signal
# handler dies of meanwhile goes through, a plain reference, too.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use File::Temp ();
use POSIX ();
use Test::More;
use Apache2::Spawn ();
use FakeBroker ();

package Own {    ## no critic
    use Apache2::Spawn::Instead;
    sub run { return system 'true' }
}

my $dir = File::Temp->newdir;
my $path = "$dir/socket";
$ENV{SPAWN_SOCKET} = $path;    ## no critic (RequireLocalizedPunctuationVars)

# The path leads to this broker from now on.
sub leads_to {
    my ($broker) = @_;
    symlink $broker->path, "$path.new" or die "symlink: $!\n";
    rename "$path.new", $path or die "rename: $!\n";
    return;
}

my $submit = sub { return [ accepted => id => $_[0]{id}, state => 1 ] };
my $first = FakeBroker->start(forget => 1, submit => $submit, wait => sub { POSIX::_exit(0) });
leads_to($first);

my $pid = fork;
die "fork: $!\n" if !defined $pid;
if (!$pid) {
    my $status = Own::run();
    POSIX::_exit($status == 5 << 8 ? 0 : 1);
}
is waitpid($first->pid, 0), $first->pid, 'the broker goes when it is asked for the end';
my $next = FakeBroker->start(
    forget => 1,
    wait   => sub { return [ job => id => $_[0]{id}, state => 4, queue => 'default', argv => ['true'], outcome => 1, exit_code => 5 ] });
leads_to($next);
waitpid $pid, 0;
is $?, 0, 'system has the status that the next one tells';

# A broker that says that the program runs, slice for slice; and one that goes, with none after it.
my $timed_out = 13;    # as common/spawn_error.h has it
my %left = (
    runs => [ wait => sub { select undef, undef, undef, 0.05; return [ refused => code => $timed_out, text => 'it runs' ] } ],
    gone => [ wait => sub { POSIX::_exit(0) } ]);
for my $how (sort keys %left) {
    for my $death ("alarm\n", { by => 'alarm' }) {
        local $SIG{ALRM} = sub { die $death };
        my $left = FakeBroker->start(forget => 1, submit => $submit, @{ $left{$how} });
        leads_to($left);
        my $error = eval { alarm 1; Own::run(); 1 } ? 'no exception' : $@;
        alarm 0;
        is_deeply $error, $death, "$how: what a signal handler dies of goes through" . (ref $death ? ', a reference, too' : '');
    }
}

done_testing;
