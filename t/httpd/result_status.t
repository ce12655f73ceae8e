#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# $res->status is the number that $? has after Perl's own system, for each way in
# which a program ends; and -1 for a job that has not run.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use SpawnTest qw(each_mpm);

my $seen = <<'END';
package My::Seen;
use Apache2::Spawn ();
sub status {
    my ($argv, %options) = @_;
    local ($?, $!) = (77, 5);
    my $res = Apache2::Spawn->run($argv, stderr => 'null', stdin => 'null', %options);
    return [ $res->status, $res->outcome, $? + 0, $! + 0 ];
}
sub handler {
    my ($r) = @_;
    my $never = Apache2::Spawn->spawn(['/bin/true'], delay => 3600);
    my $waiting = $never->status->status;
    $never->kill;
    my $missing = Apache2::Spawn->spawn(['/nowhere/x'])->wait(60);
    my $died = Apache2::Spawn->spawn_call('My::Dies::now', [], template => 'tell', stderr => 'null')->wait(60);
    my %told = (
        ended     => [ map { status([ '/bin/sh', '-c', $_ ]) } @My::Seen::lines ],
        timed_out => status([ '/bin/sh', '-c', 'trap "exit 7" TERM; sleep 600 & wait' ], timeout => '200ms', leftovers => 'kill'),
        killed    => status([ '/bin/sleep', '600' ], timeout => '200ms'),
        waiting   => $waiting,
        cancelled => [ $never->wait(60)->status, $never->wait(60)->outcome ],
        missing   => [ $missing->status, $missing->errno ],
        died      => [ $died->status, $died->exit_code ],
    );
    $r->print(JSON::PP->new->encode(\%told));
    return 0;
}
END
my @lines = ('exit 0', 'exit 1', 'exit 255', 'kill -TERM $$', 'kill -KILL $$', 'ulimit -c 0; kill -ABRT $$');
$seen .= 'our @lines = (' . join(', ', map { "'$_'" } @lines) . ");\n1;\n";

# Perl's own
my @own = map {
    system '/bin/sh', '-c', $_;
    $?
} @lines;

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, perl => "use JSON::PP ();\n$seen", conf => <<'END');
<Location /seen>
    SetHandler modperl
    PerlResponseHandler My::Seen
</Location>
END
        my $dir = $httpd->dir;
        mkdir "$dir/perl/My" or die "$dir/perl/My: $!\n";
        chmod 0755, "$dir/perl/My";
        $httpd->file('../perl/My/Dies.pm', "package My::Dies;\nsub now { die \"so\\n\" }\n1;\n");
        $httpd->{conf} .= "SpawnTemplate tell exec preload=My::Dies inc=$dir/perl\n";
        $httpd->start;
        my $told = JSON::PP->new->decode($httpd->get('/seen')->{content});
        for my $i (0 .. $#lines) {
            is $told->{ended}[$i][0], $own[$i], "$lines[$i]: $own[$i]";
            is_deeply [ @{ $told->{ended}[$i] }[2, 3] ], [77, 5], '... and $? and $! are left alone';
        }
        is_deeply [ @{ $told->{timed_out} }[0, 1] ], [ 7 << 8, 'timed_out' ], 'its own exit code, when its time was over';
        is_deeply [ @{ $told->{killed} }[0, 1] ], [ 15, 'timed_out' ], 'or the signal';
        is $told->{waiting}, undef, 'undef before the end';
        is_deeply $told->{cancelled}, [ -1, 'cancelled' ], 'one that never ran';
        is_deeply $told->{missing}, [ -1, POSIX::ENOENT() ], 'one that could not be started, and its errno';
        is_deeply $told->{died}, [ 255 << 8, 255 ], 'a function that died';
    }
);
done_testing;
