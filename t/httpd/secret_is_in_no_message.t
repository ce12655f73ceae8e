#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# httpd's parent tells the spawner the secret, and an adopted one tells it. Nothing of
# these messages is left in its memory, from which templates and others' daemons are
# forked: not at a start or a graceful restart, nor when the spawner is replaced or
# adopted. (What the C library saves of registers is not looked at.)

use strict;
use warnings;
no warnings 'portable';    ## no critic (ProhibitNoWarnings)

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Process qw(children_of cmdline);

plan skip_all => 'only root can look into the memory of httpd' if $< != 0;

# so many that the message about them is made in several steps
my $queues = join '', map { "<SpawnQueue q$_>\n    SpawnMaxJobs 2\n</SpawnQueue>\n" } 1 .. 60;
my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), conf => $queues)->start;

# All memory that a process can write to, piece by piece.
sub memory {
    my ($pid, $look) = @_;
    open my $maps, '<', "/proc/$pid/maps" or die "maps: $!\n";
    open my $mem, '<:raw', "/proc/$pid/mem" or plan skip_all => "/proc/PID/mem cannot be opened here: $!";
    while (my $line = <$maps>) {
        my ($from, $to) = $line =~ /\A([0-9a-f]+)-([0-9a-f]+) rw/ or next;
        next if hex($to) - hex($from) > 2**30;    # a sanitizer's
        sysseek $mem, hex $from, 0;
        sysread $mem, my $bytes, hex($to) - hex $from or next;
        $look->($bytes);
    }
    return;
}

# Where module/retained.h has it: behind the pid and four descriptors, before the path.
sub secret_of {
    my ($pid, $path, $secret) = (pack('l', $httpd->pid), $httpd->socket . "\0");
    memory($httpd->pid, sub {
        my ($bytes) = @_;
        for (my $at = 0; ($at = index $bytes, $path, $at) >= 0; $at++) {    ## no critic (ProhibitCStyleForLoops)
            $secret = substr $bytes, $at - 32, 32 if $at >= 52 && substr($bytes, $at - 52, 4) eq $pid;
        }
    });
    return $secret;
}

# As an attribute of a message, see docs/protocol.md.
sub count_in {
    my ($pid, $secret) = @_;
    my $attribute = pack('vCCV', 64, 4, 0, 32) . $secret;
    my $count = 0;
    memory($pid, sub { $count += () = $_[0] =~ /\Q$attribute\E/g });
    return $count;
}

# In the youngest one, once the others have gone.
sub in_template {
    my ($secret) = @_;
    my ($template) = wait_until(sub {
        my @pids = grep { (cmdline($_))[0] =~ /\Amod_spawn template app/ } grep { cmdline($_) } children_of($httpd->pid);
        return @pids == 1 && $pids[0];
    }, 30);
    return count_in($template, $secret);
}

my $secret = secret_of();
ok defined $secret && $secret =~ /[^\0]/, 'httpd has a secret';

sub check {
    my ($when) = @_;
    is secret_of(), $secret, "$when: httpd has the secret";
    is count_in($httpd->pid, $secret), 0, '... and no message with it';
    is in_template($secret), 0, '... nor has its template';
    return;
}
check('at the start');
$httpd->graceful;
check('after a graceful restart');
$httpd->new_pid(spawner => $httpd->kill_pair('spawner'));
is $httpd->run([qw(/bin/echo a)])->{stdout}, "a\n", 'another spawner runs jobs';
is count_in($httpd->pid, $secret), 0, '... and no message with the secret is left';

my $gate = SpawnTest::Gate->new($httpd, 'a');
my $job = $httpd->spawn($gate->job('exit 7'), reply => 'started');
$httpd->stop;
$httpd->start;
check('after an adoption');
$gate->let(1);
is $httpd->wait($job->{id})->{exit_code}, 7, 'which kept its job';
done_testing;
