#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Descriptors in a Perl job: those that were asked for, and none of the template's.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use FakeSpawner ();

plan skip_all => "no syscall numbers for this machine" if !FakeSpawner::can_run();

my $dir = FakeSpawner::files('My.pm' => <<'END');
package My;
use strict; use warnings;
use POSIX ();
use Socket;
our ($file, $socket, $other, $sysopened, $dup, $directory, $memory, $pipe);
open $file, '<', '/etc/passwd' or die $!;
my $first = <$file>;
open our $log, '>', "$ENV{LOG}" or die $!;
print {$log} 'buffered in the template';
print 'and on stdout';
socketpair $socket, $other, AF_UNIX, SOCK_STREAM, 0 or die $!;
open $dup, '>&', \*STDERR or die $!;
opendir $directory, '/' or die $!;
open $memory, '<', \"in memory\n" or die $!;
open $pipe, '-|', 'echo piped' or die $!;
our $raw = POSIX::open('/etc/group', POSIX::O_RDONLY());    # of a C library, as it were
sub open_fds {
    opendir my $dir, '/proc/self/fd' or die $!;
    my %fds = map { $_ => readlink "/proc/self/fd/$_" } grep { /\A\d+\z/ && readlink "/proc/self/fd/$_" } readdir $dir;
    return { map { $_ => $fds{$_} } grep { $fds{$_} !~ m{\A/proc/\d+/fd\z} } keys %fds };
}
sub data     { my $read = <DATA>; return [$read, fileno DATA] }
sub closed   { no warnings; return { file => scalar <$file>, fileno => fileno $file, log => print({$log} 'x'), closedir => closedir($directory),
                        close => close($pipe), opened => defined fileno $socket } }
sub memory   { return <$memory> }
sub raw      { my $n = POSIX::read($raw, my $bytes, 10); return [defined $n ? $n : "$!", $raw] }
sub reopens  { my @seen; for (1 .. 30) { open my $in, '<', '/dev/null' or die $!; push @seen, fileno $in; close $in or die $!; }
               return [$seen[0], $seen[-1], scalar grep { $_ == $raw } @seen] }
sub closes_all { POSIX::close($_) for 0 .. 255; return 'still here' }
sub closes_std { close STDIN; close STDOUT; close STDERR; return 'still here' }
sub fh_write { my ($n, $text) = @_; my $fh = Apache2::Spawn::Current->fh($n); print {$fh} $text; close $fh or die $!; return 1 }
sub fh_read  { my ($n) = @_; my $fh = Apache2::Spawn::Current->fh($n); return <$fh> }
sub fh_twice { my ($n) = @_; my $job = Apache2::Spawn::Current->job; my $fh = $job->fh($n); my $same = $fh == $job->fh($n); undef $fh;
               my $known = eval { $job->fh($n); 1 }; return [$same, $known ? 'open' : $@] }
sub fh_bad   { my ($n) = @_; return Apache2::Spawn::Current->fh($n) }
sub fh_socket { my ($n) = @_; my $fh = Apache2::Spawn::Current->fh($n); my $l = <$fh>; print {$fh} "got $l"; close $fh; return 1 }
1;
__DATA__
first line
second line
END
my $log = "$dir/log";
my $t = FakeSpawner->start(preload => ['My'], inc => [$dir], env => [LOG => $log]);
sub returns { my ($function, $args, @with) = @_; my $job = $t->call("My::$function", $args || [], @with);
              return exists $job->{returned} ? $job->{returned}[0] : $job->{died}{text} }

my ($raw) = @{ returns('raw') }[1];
is_deeply returns('raw'), ['Bad file descriptor', $raw], "what a C library has open cannot be used ($raw)";
my $fds = returns('open_fds');
is $fds->{0}, '/dev/null', 'stdin';
like $fds->{1}, qr/\Apipe:/, 'stdout';
is $fds->{1}, $fds->{2}, 'stderr';
is delete $fds->{$raw}, '/dev/null', 'its number is blocked';
is_deeply [sort keys %{$fds}], [0, 1, 2], 'and nothing else: no link, no board, nothing of the template';

is_deeply returns('data'), [undef, undef], 'handles of the template are closed, and Perl knows';
is_deeply returns('closed'), { file => undef, fileno => undef, log => undef, closedir => undef, close => '', opened => '' }, 'all kinds';
is returns('memory'), "in memory\n", 'those in memory are not';
my $numbers = returns('reopens');
is_deeply $numbers, [3, 3, 0], 'a number that is free is free again after close';
is -s $log, length 'buffered in the template', 'what was buffered in the template is written once';
is $t->said_now, 'and on stdout', 'on stdout, too';
is $t->call('My::memory')->{said}, '', 'and not by the jobs';

is returns('closes_all'), 'still here', 'a job that closes all descriptors still gives its result';
is returns('closes_std'), 'still here', 'and one that closes its streams';

# passed handles
pipe my $read, my $write or die $!;
is returns('fh_write', [5, "through 5\n"], fds => { 5 => $write }), 1, 'a pipe as 5';
close $write;
is readline($read), "through 5\n", 'it writes to it';
open my $in, '<', $0 or die $!;
is returns('fh_read', [$raw], fds => { $raw => $in }), "#!/usr/bin/perl\n", 'a file in the place of a number that would be blocked';
sysseek $in, 0, 0;
is_deeply [sort keys %{ returns('open_fds', [], fds => { 3 => $in, 40 => $in }) }], [sort 0 .. 3, 40, $raw], 'two handles';
open my $append, '>>', "$dir/append" or die $!;
is returns('fh_write', [63, 'appended'], fds => { 63 => $append }), 1, 'one for appending';
is -s "$dir/append", 8, 'appends';
socketpair my $one, my $two, Socket::AF_UNIX(), Socket::SOCK_STREAM(), 0 or die $!;
syswrite $one, "hello\n";
is returns('fh_socket', [4], fds => { 4 => $two }), 1, 'a socket';
is readline($one), "got hello\n", 'both ways';
my $twice = returns('fh_twice', [9], fds => { 9 => $in });
ok $twice->[0], 'the same handle each time';
like $twice->[1], qr/\Afh: the handle at 9 has been closed at /, 'until it is dropped';
like returns('fh_bad', [7], fds => { 9 => $in, 3 => $in }), qr/\Afh: no handle was passed at 7; passed were: 3, 9 at /, 'one that was not passed';
like returns('fh_bad', [7]), qr/\Afh: no handle was passed at 7; passed were: none at /, 'none was passed';
like returns('fh_bad', ['x']), qr/\Afh: wanted: the number /, 'not a number';

is $t->dismiss, 0, 'the template leaves';
is -s $log, length 'buffered in the template', 'and has its files as they were';

done_testing;
