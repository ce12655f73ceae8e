#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A machine that refuses files in memory which could be executed (vm.memfd_noexec = 2),
# and one whose kernel does not know that they could not be (before Linux 6.3): httpd
# starts, output is captured, big arguments and results travel, and a template is
# frozen.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Errno qw(EACCES EINVAL);
use POSIX ();
use Test::More;

use FakeSpawner ();
use SpawnTest qw(each_mpm build_dir sanitized);
use SpawnTest::Calls ();

use constant {
    CLOSE_ON_EXEC => 1,
    SEALABLE => 2,
    NOT_EXECUTABLE => 8,
};

my $all = CLOSE_ON_EXEC | SEALABLE | NOT_EXECUTABLE;

sub knows_the_flag {
    my $number = FakeSpawner->syscall_number('memfd_create');
    my $fd = syscall $number, my $name = 'test', $all;
    return $fd >= 0 && POSIX::close($fd);
}

sub all_works {
    my ($httpd) = @_;
    my $result = $httpd->run([ '/usr/bin/perl', '-e', 'print q{x} x 300_000' ], stdout => 'capture');
    is length($result->{stdout} || ''), 300_000, 'output is captured' or diag explain $result->{error};
    my $answer = SpawnTest::Calls->ask($httpd, <<'END');
my $text = 'text' x 100_000;
my ($same) = Apache2::Spawn->call('SpawnTest::Functions::echo', [$text]);
return $same eq $text ? 'the same' : 'another one';
END
    is_deeply $answer->{values}, ['the same'], 'big arguments and results travel' or diag explain $answer;
    sanitized() ? pass('a sanitizer\'s memory is not moved') : unlike $httpd->error_log, qr/MS0691/, 'the template is frozen';
    return;
}

plan skip_all => 'no number of memfd_create for this machine' if !FakeSpawner::can_run();
each_mpm(
    sub {
        my ($mpm) = @_;
        my %deny = (
            'before Linux 6.3' => [ EINVAL, "memfd_create:1=$all" ],
            'vm.memfd_noexec = 2' => [ EACCES, 'memfd_create:1!' . NOT_EXECUTABLE ],
        );
        if (!knows_the_flag()) {
            delete $deny{'vm.memfd_noexec = 2'};
            note 'left out: vm.memfd_noexec, which this kernel does not know';
        }
        for my $machine (sort keys %deny) {
            subtest $machine => sub {
                all_works(SpawnTest::Calls->httpd(mpm => $mpm, wrapper => [ build_dir() . '/t/deny', @{ $deny{$machine} } ])->start);
            };
        }
    }
);
done_testing;
