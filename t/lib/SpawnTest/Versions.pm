# SPDX-License-Identifier: Apache-2.0
#
# For tests of code that changes when httpd is restarted: an httpd whose module My::Conf has a
# number, which the test makes higher, with templates of both kinds that have this module, with workers and
# without. Runs in test scripts; My::Conf runs in httpd, its children and Perl jobs.

package SpawnTest::Versions;

use strict;
use warnings;

use lib SpawnTest::build_dir() . '/perl';

use Apache2::Spawn ();
use IO::Select ();
use IO::Socket::INET ();
use JSON::PP ();

use SpawnTest::Calls ();

my $json = JSON::PP->new->utf8;

# The moment in which a template loads lasts as long as the test needs it: each waits at the gate
# `load`, when there is a file `slow`, or fails, when there is one `broken`.
my $module = <<'END';
package My::Conf;
use strict;
use warnings;
use POSIX ();
our $version = do { open my $in, '<', '@DIR@/work/version' or die "version: $!\n"; readline($in) + 0 };
sub version { return $version }
sub note {
    my ($file) = @_;
    open my $out, '>>', $file or die "$file: $!\n";
    syswrite $out, "$version\n";
    return;
}
sub at_gate {
    my ($gate) = @_;
    Apache2::Spawn->job->progress(1);
    open my $in, '<', $gate or die "$gate: $!\n";
    sysread $in, my $byte, 1;
    return $version;
}
sub loads {
    POSIX::_exit(1) if -e '@DIR@/work/broken';
    return 1 if !-e '@DIR@/work/slow';
    open my $in, '<', '@DIR@/gate-load' or die "gate: $!\n";
    sysread $in, my $byte, 1;
    return 1;
}
no strict 'refs';
for my $had (1 .. $version) {
    *{"of_$had"} = \&version;
    *{"note_$had"} = \&note;
}
1;
END
my $in_httpd = <<'END';
require My::Conf;
{
    no warnings 'redefine';
    my $serve = \&Apache2::Spawn::Template::_serve_in_httpd;
    *Apache2::Spawn::Template::_serve_in_httpd = sub { My::Conf::loads(); goto &$serve };
}
END
my $conf = <<'END';
<IfModule !mpm_prefork_module>
    PerlInterpMax 12
</IfModule>
SpawnTemplate code exec inc=@INC@ preload=Apache2::Spawn,My::Conf require=@INC@/loads.pl
<SpawnQueue own>
    SpawnWorkers 1 2
</SpawnQueue>
<SpawnQueue calls>
    SpawnTemplate code
</SpawnQueue>
<SpawnQueue served>
    SpawnTemplate code
    SpawnWorkers 1 2
</SpawnQueue>
END

# The version of a child, and that of the code that runs for it.
my $call = <<'END';
my ($queue) = @_;
my $mine = $My::Conf::version;
return [ $mine, scalar Apache2::Spawn->call("My::Conf::of_$mine", [], queue => $queue) ];
END

# Queues of templates of both kinds.
sub queues { return qw(default own calls served) }

# new($mpm): an httpd with the first version, which does not run yet.
sub new {
    my ($class, $mpm) = @_;
    my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, kind => 'parent', children => 12, perl => $in_httpd, conf => $conf);
    my $self = bless { httpd => $httpd, version => 0 }, $class;
    my $dir = $httpd->dir;
    $httpd->{conf} =~ s{\@INC@}{$dir/perl}g;
    (my $text = $module) =~ s/\@DIR@/$dir/g;
    mkdir "$dir/perl/My";
    chmod 0755, "$dir/perl/My" or die "$dir/perl/My: $!\n";
    _write("$dir/perl/My/Conf.pm", $text);
    _write("$dir/perl/loads.pl", 'My::Conf::loads();');
    $self->another;
    return $self;
}

sub httpd   { return $_[0]{httpd} }
sub version { return $_[0]{version} }

# What httpd and its templates load from now on. Returns its number.
sub another {
    my ($self) = @_;
    _write($self->{httpd}->work . '/version', ++$self->{version});
    return $self->{version};
}

# Templates that load from now on are `slow`, or `broken`; undef: neither.
sub loading {
    my ($self, $how) = @_;
    my $work = $self->{httpd}->work;
    unlink "$work/slow", "$work/broken";
    _write("$work/$how", q{}) if defined $how;
    return;
}

sub _write {
    my ($file, $text) = @_;
    open my $out, '>', "$file.new" or die "$file: $!\n";
    print {$out} $text;
    close $out or die "$file: $!\n";
    chmod 0644, "$file.new" or die "$file: $!\n";
    rename "$file.new", $file or die "$file: $!\n";
    return;
}

# A request that runs this code in a child (SpawnTest::Calls), and is not waited for: a socket.
sub begin {
    my ($self, $code, @arguments) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{httpd}->port) or die "connect: $!\n";
    my $body = $json->encode([ $code, @arguments ]);
    print {$socket} "POST /perl HTTP/1.0\r\nContent-Length: ", length $body, "\r\n\r\n$body";
    $socket->flush;
    return $socket;
}

# The same with a call in each of these queues (all).
sub calls {
    my ($self, @queues) = @_;
    return map { $self->begin($call, $_) } @queues ? @queues : queues();
}

# What a request gave, or the text of its error.
sub answer {
    my ($self, $socket) = @_;
    IO::Select->new($socket)->can_read(60) or return 'nothing in 60 s';
    my $text = do { local $/ = undef; readline $socket };
    return 'nothing' if !defined $text || $text !~ /\r\n\r\n(.*)/s;
    my $is = eval { $json->decode($1) } || {};
    return $is->{values} ? $is->{values}[0] : $is->{error} ? $is->{error}{text} : $text;
}

1;
