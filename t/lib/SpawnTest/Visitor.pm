# SPDX-License-Identifier: Apache-2.0
#
# A visitor who asks for his job where SetHandler spawn-job is: an httpd with such a place,
# questions and answers, also in parts, as a stream has them. Runs in test scripts.

package SpawnTest::Visitor;

use strict;
use warnings;

use File::Basename qw(dirname);
use HTTP::Tiny ();
use IO::Select ();
use IO::Socket::INET ();
use JSON::PP ();

use SpawnTest::Calls ();
use SpawnTest::Gate ();
use SpawnTest::Schema ();
use SpawnTest::Wait qw(now wait_until);

my $json = JSON::PP->new->utf8;
my $schema = SpawnTest::Schema->new(dirname(__FILE__) . '/../../../docs/job-status.schema.json');

# new(mpm => ..., wait => what SpawnJobWait says, conf => more lines, children => ...)
sub new {
    my ($class, %options) = @_;
    my $wait = defined $options{wait} ? "SpawnJobWait $options{wait}" : '';
    my $conf = delete $options{conf} || '';
    delete $options{wait};
    my $httpd = SpawnTest::Calls->httpd(kind => 'parent', %options, conf => <<"END");
SpawnSubmitTimeout 30s
<Location /jobs>
    SetHandler spawn-job
    $wait
</Location>
$conf
END
    return bless { httpd => $httpd->start }, $class;
}

sub httpd { return $_[0]{httpd} }

# Perl in a handler of this httpd: what it returned, or dies with its error.
sub ask {
    my ($self, $code, @arguments) = @_;
    my $answer = SpawnTest::Calls->ask($self->{httpd}, $code, @arguments);
    return $answer->{values} ? $answer->{values}[0] : die JSON::PP->new->canonical->encode($answer->{error} || $answer), "\n";
}

# A job that says these texts, one after another, and waits at a gate after each: its id, its
# token, its gate.
sub job {
    my ($self, @texts) = @_;
    my $gate = SpawnTest::Gate->new($self->{httpd}, 'job' . ++$self->{jobs});
    my $made = $self->ask('my $job = $r->spawn_call(@_); return [ $job->id, $job->token ]',
        'SpawnTest::Functions::steps', [ $gate->path, @texts ]);
    return (@{$made}, $gate);
}

# Waits until it says so.
sub says {
    my ($self, $id, $token, $text) = @_;
    return wait_until(sub {
            my $is = $self->get($id, "token=$token");
            return $is->{json}{progress} && $is->{json}{progress}{text} eq $text && $is->{json};
        }, 60);
}

# The answer to GET, with {json}, and how long it took.
sub get {
    my ($self, $id, $query, %headers) = @_;
    my $begun = now();
    my $answer = HTTP::Tiny->new(timeout => 120, keep_alive => 0)
        ->get($self->{httpd}->url("/jobs/$id" . (defined $query ? "?$query" : '')), { headers => \%headers });
    $answer->{json} = eval { $json->decode($answer->{content}) };
    push @{ $self->{faults} }, $schema->faults($answer->{json}) if $answer->{json};
    $answer->{took} = now() - $begun;
    return $answer;
}

# The faults of answers, by their schema in docs/.
sub faults { return @{ $_[0]{faults} || [] } }

# Asks, and does not wait for the answer: a socket.
sub begin {
    my ($self, $id, $query, %headers) = @_;
    my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{httpd}->port) or die "connect: $!\n";
    my %lines = (Host => '127.0.0.1', Connection => 'close', %headers);
    my $lines = join '', map {"$_: $lines{$_}\r\n"} sort keys %lines;
    print {$sock} "GET /jobs/$id?$query HTTP/1.1\r\n$lines\r\n";
    $sock->flush;
    return $sock;
}

# The text that comes over it until the pattern matches, or it ends; undef: the time
# is over.
sub until_it_says {
    my ($self, $sock, $pattern, $seconds) = @_;
    my $until = now() + $seconds;
    my $select = IO::Select->new($sock);
    ${*$sock}{spawn_came} = '' if !defined ${*$sock}{spawn_came};
    while (${*$sock}{spawn_came} !~ $pattern) {
        my $left = $until - now();
        return if $left <= 0 || !$select->can_read($left);
        sysread($sock, ${*$sock}{spawn_came}, 65_536, length ${*$sock}{spawn_came})
            or return ${*$sock}{spawn_came} =~ $pattern ? ${*$sock}{spawn_came} : undef;
    }
    return ${*$sock}{spawn_came};
}

# The rest, to its end.
sub rest {
    my ($self, $sock, $seconds) = @_;
    my $until = now() + $seconds;
    my $select = IO::Select->new($sock);
    ${*$sock}{spawn_came} = '' if !defined ${*$sock}{spawn_came};
    while (1) {
        my $left = $until - now();
        return if $left <= 0 || !$select->can_read($left);
        sysread($sock, ${*$sock}{spawn_came}, 65_536, length ${*$sock}{spawn_came}) or last;
    }
    return ${*$sock}{spawn_came};
}

# The JSON of an answer with a length.
sub json_of {
    my ($self, $text) = @_;
    my ($body) = defined $text ? $text =~ /\r\n\r\n(.*)\z/s : ();
    return defined $body ? eval { $json->decode($body) } : undef;
}

1;
