# SPDX-License-Identifier: Apache-2.0
#
# Hosts that share a queue: httpds of this test, each with its own directory and socket,
# and one RabbitMQ node between them (SpawnTest::Rabbit).

package SpawnTest::Shared;

use strict;
use warnings;

use Test::More ();

use Apache2::Spawn ();
use SpawnTest::Process qw(cmdline children_of);
use SpawnTest::Rabbit;

use parent -norequire, 'SpawnTest::Httpd';

require SpawnTest::Httpd;

# hosts($rabbit, name => jobs, ...): started httpds whose queue "far" is shared, and that
# run so many of its jobs at once.
sub hosts {
    my ($class, $rabbit, @hosts) = @_;
    my @ret;
    while (my ($name, $jobs) = splice @hosts, 0, 2) {
        push @ret, $class->host($rabbit, $name, $jobs);
    }
    return @ret;
}

sub host {
    my ($class, $rabbit, $name, $jobs, $more) = @_;
    my $url = $rabbit->url;
    $more = '' if !defined $more;
    return $class->new(conf => <<"EOC")->start;
LogLevel spawn:info
SpawnRelay $url
SpawnRelayName $name
<SpawnQueue far>
    SpawnMaxJobs $jobs
    SpawnShared on
</SpawnQueue>
$more
EOC
}

# Waits until it has said so once more than before (default: once).
sub connected {
    my ($self, $times) = @_;
    $times = 1 if !defined $times;
    return SpawnTest::wait_until(sub { my @n = $self->error_log =~ /MS0707/g; @n >= $times }, 120);
}

# The relay of this pair; 0: there is none now.
sub relay_pid {
    my ($self) = @_;
    my ($pid) = grep { (cmdline($_))[0] =~ /\Amod_spawn relay/ } grep { cmdline($_) } children_of($self->spawner_pid);
    return $pid || 0;
}

sub far {
    my ($self, @argv) = @_;
    return $self->connection->spawn(\@argv, queue => 'far')->id;
}

# Has it ended well, of this caller's host?
sub ended_well {
    my ($self, $id) = @_;
    my $result = eval { $self->connection->job($id)->wait(180) };
    return $result && defined $result->exit_code && $result->exit_code == 0;
}

# The numbers that jobs have written there.
sub ran {
    my ($self, $file) = @_;
    open my $in, '<', $file or return;
    return sort { $a <=> $b } map { /(\d+)/ } <$in>;
}

1;
