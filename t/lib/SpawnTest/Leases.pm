# SPDX-License-Identifier: Apache-2.0
#
# For tests of workers that are lent to callers: an httpd with the queue rpc,
# handlers that call a worker again and again, and functions that note in a file
# that they have run. The first part runs in test scripts, My::Stream in httpd
# children, My::Count in workers.

package SpawnTest::Leases;

use strict;
use warnings;

use JSON::PP ();
use POSIX ();

use SpawnTest qw(wait_until);
use SpawnTest::Calls ();
use SpawnTest::Process qw(children_of cmdline);

my $count = <<'END_COUNT';
package My::Count;
use strict;
use warnings;
use Apache2::Spawn ();
# The number, when this is noted: one write for each.
sub ran {
    my ($file, $n) = @_;
    open my $out, '>>', $file or die "$file: $!\n";
    syswrite $out, "$n\n";
    return $n;
}
# The same, until the gate is open.
sub ran_at {
    my ($file, $gate, $n) = @_;
    ran($file, $n);
    select undef, undef, undef, 0.01 until -e $gate;
    return $n;
}
sub ran_and_dies { my ($file, $n) = @_; ran($file, $n); die "it dies\n" }
sub warns { my ($text) = @_; print STDERR "$text\n"; return $$ }
sub pid { return $$ }
1;
END_COUNT

my $stream = <<'END_STREAM';
package My::Stream;
use strict;
use warnings;
use Time::HiRes ();
use Apache2::Spawn ();
our $apart = 0; # seconds
# A UUIDv7 of now.
sub new_id {
    my $ms = int(1000 * Time::HiRes::time());
    return sprintf '%08x-%04x-7%03x-8%03x-%012x', $ms >> 16, $ms & 0xffff, rand 4096, rand 4096, int rand 2**47;
}
# So many calls (without go), or calls until the file go is there: how many, and
# what was wrong.
sub calls {
    my ($file, $first, $most, $go) = @_;
    my ($n, @wrong) = 0;
    while ($n < $most && !($go && -e $go)) {
        my $want = $first + ++$n;
        select undef, undef, undef, $apart if $apart;
        my @r = eval { Apache2::Spawn->call('My::Count::ran', [ $file, $want ], queue => 'rpc') };
        my $error = $@;
        # a broker that dies often comes back later and later
        @r = eval { $error->job->resubmit->result(60) }
            if ref $error && $error->code =~ /\A(?:unconfirmed|unreachable)\z/;
        push @wrong, "$want: " . ($error || "@r") if @r != 1 || $r[0] != $want;
    }
    return ($n, @wrong);
}
1;
END_STREAM

# new(mpm => ..., workers => '1 1', conf => more lines of the queue)
sub new {
    my ($class, %options) = @_;
    my $workers = delete $options{workers} || '1 1';
    my $more = delete $options{conf} || '';
    my $after = delete $options{after} || '';
    my $httpd = SpawnTest::Calls->httpd(
        children => 2, %options,
        templates => 'SpawnTemplate app exec inc=@INC@ preload=My::Count',
        conf => "PerlModule My::Stream\nSpawnSubmitTimeout 20\n"
            . "<SpawnQueue rpc>\nSpawnWorkers $workers\n$more\n</SpawnQueue>\n$after");
    my $self = bless { httpd => $httpd }, $class;
    $self->_file('My/Count.pm', $count);
    $self->_file('My/Stream.pm', $stream);
    $httpd->start;
    return $self;
}

sub httpd { return $_[0]{httpd} }
sub ran   { return $_[0]{httpd}->work . '/ran' }
sub go    { return $_[0]{httpd}->work . '/go' }

sub _file {
    my ($self, $name, $text) = @_;
    my $path = $self->{httpd}->dir . "/perl/$name";
    (my $dir = $path) =~ s{/[^/]*\z}{};
    mkdir $dir;
    chmod 0755, $dir or die "$dir: $!\n";
    open my $out, '>', $path or die "$path: $!\n";
    print {$out} $text;
    close $out or die "$path: $!\n";
    chmod 0644, $path or die "$path: $!\n";
    return;
}

sub touch {
    my ($self, $path) = @_;
    open my $out, '>', $path or die "$path: $!\n";
    close $out or die "$path: $!\n";
    return;
}

# A request that runs the code with @_, in a process of its own: for answer.
sub begin {
    my ($self, $code, @arguments) = @_;
    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!\n";
    return $out if $pid;
    my $answer = eval { SpawnTest::Calls->ask($self->{httpd}, $code, @arguments) } || { failed => "$@" };
    print JSON::PP->new->utf8->canonical->encode($answer);
    STDOUT->flush;
    POSIX::_exit(0);
}

# Its values; undef when the request failed.
sub answer {
    my ($self, $out) = @_;
    my $text = do { local $/ = undef; <$out> };
    close $out;
    my $answer = defined $text && length $text ? JSON::PP->new->utf8->decode($text) : {};
    Test::More::diag($text) if !$answer->{values};
    return $answer->{values};
}

# Is there an answer within so many seconds?
sub is_answered {
    my ($self, $out, $seconds) = @_;
    my $set = '';
    vec($set, fileno $out, 1) = 1;
    return select $set, undef, undef, $seconds;
}

# The numbers of the calls that have run, in a row, and those that ran more
# than once.
sub lines {
    my ($self) = @_;
    my @lines;
    if (open my $in, '<', $self->ran) {
        @lines = map { $_ + 0 } <$in>;
    }
    return @lines;
}

sub twice {
    my ($self) = @_;
    my %count;
    $count{$_}++ for $self->lines;
    return grep { $count{$_} > 1 } sort { $a <=> $b } keys %count;
}

# Until so many more calls have run.
sub wait_for_calls {
    my ($self, $more) = @_;
    my $before = $self->lines;
    return wait_until(sub { $self->lines >= $before + $more }, 30);
}

# The pids of the queue's workers.
sub workers {
    my ($self) = @_;
    return grep { join(q{ }, cmdline($_)) =~ /\Amod_spawn worker rpc\b/ } children_of($self->{httpd}->spawner_pid);
}

# Is this worker lent? Then it has a second socket.
sub is_lent {
    my ($self, $pid) = @_;
    return 2 == grep { (readlink || q{}) =~ /\Asocket:/ } glob "/proc/$pid/fd/*";
}

1;
