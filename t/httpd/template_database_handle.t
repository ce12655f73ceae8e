#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A startup file that opens a database, with and without AutoInactiveDestroy, and
# a session with a server that ends by a word of the client's, as those of
# databases do. A job's use of its copies, and their end, touch neither the files
# nor the sessions of the process that has opened them.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use IO::Select ();
use IO::Socket::INET ();
use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::Calls ();

plan skip_all => 'DBD::SQLite is not here' if !eval { require DBI; require DBD::SQLite; 1 };

# Loaded by a template, and by httpd, whose children inherit it.
my $startup = <<'END';
use strict;
use warnings;
use DBI ();
use IO::Socket::INET ();
package My::Session;
sub open {
    my ($class, $port) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "connect: $@";
    return bless { socket => $socket }, $class;
}
sub DESTROY { my ($self) = @_; no warnings; syswrite $self->{socket}, "QUIT\n" if $self->{socket}; return }
package My::Database;
our (%db, %read, $session);
for my $inactive (0, 1) {
    my $db = $db{$inactive} = DBI->connect("dbi:SQLite:dbname=@FILE@", '', '',
        { RaiseError => 1, PrintError => 0, PrintWarn => 0, AutoInactiveDestroy => $inactive });
    $read{$inactive} = $db->prepare('SELECT n FROM t ORDER BY n');
}
$session = My::Session->open(@PORT@);
# a perl that is destructed (httpd reads its configuration twice) lets go in the order of
# addresses, and the library crashes when a statement goes after its database
END { %read = () }
# in httpd's children and in jobs: what it holds, or why it cannot be read
sub rows {
    my ($inactive) = @_;
    my $rows = eval { $db{$inactive}->selectcol_arrayref('SELECT n FROM t ORDER BY n') };
    return $rows ? "@{$rows}" : 'none';
}
sub writes { my ($inactive, $n) = @_; return eval { $db{$inactive}->do('INSERT INTO t VALUES (?)', undef, $n); 1 } ? 'written' : 'refused' }
sub lets_go { undef $session; %read = (); $_->disconnect for grep { $_ } $db{0}; %db = (); return scalar keys %db }
sub of_its_own {
    my ($n) = @_;
    my $own = DBI->connect('dbi:SQLite:dbname=@FILE@', '', '', { RaiseError => 1 });
    $own->do('INSERT INTO t VALUES (?)', undef, $n);
    my $rows = $own->selectcol_arrayref('SELECT n FROM t ORDER BY n');
    $own->disconnect;
    return "@{$rows}";
}
1;
END

each_mpm(
    sub {
        my ($mpm) = @_;
        my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 20) or die "listen: $!\n";
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, templates => '', handlers => 1);
        my $file = $httpd->work . '/db';
        my $db = DBI->connect("dbi:SQLite:dbname=$file", '', '', { RaiseError => 1 });
        $db->do('CREATE TABLE t (n INTEGER)');
        $db->do('INSERT INTO t VALUES (?)', undef, $_) for 1, 2;
        $db->disconnect;
        chmod 0666, $file or die "chmod: $!\n";
        (my $text = $startup) =~ s/\@FILE\@/$file/g;
        $text =~ s/\@PORT\@/$server->sockport/e;
        my $path = $httpd->file('startup.pl', $text);
        $httpd->{conf} .= "PerlRequire $path\nSpawnTemplate own parent\nSpawnTemplate app exec require=$path inc=$httpd->{dir}/perl\n";
        $httpd->start;
        my $call = sub {
            my ($template, $function, @args) = @_;
            my $answer = SpawnTest::Calls->ask($httpd,
                'my ($t, $f, @a) = @_; scalar Apache2::Spawn->call("My::Database::$f", \@a, template => $t)', $template, $function, @args);
            diag explain $answer if !$answer->{values};
            return $answer->{values}[0];
        };

        my $rows = '1 2';
        for my $template (qw(app own)) {
            for my $inactive (0, 1) {
                my $name = "$template, AutoInactiveDestroy $inactive";
                like $call->($template, 'rows', $inactive), qr/\A(?:none|\Q$rows\E)\z/, "$name: a job reads nothing wrong";
                is $call->($template, 'writes', $inactive, 99), 'refused', '... and writes nothing';
            }
            is $call->($template, 'lets_go'), 0, "$template: a job lets go of all" for 1 .. 3;
            $rows .= ' ' . (3 + ($template eq 'own'));
            is $call->($template, 'of_its_own', 3 + ($template eq 'own')), $rows, '... a connection of its own works';
        }
        # DBI itself lets no thread use a handle of another one
        for my $inactive ($mpm eq 'prefork' ? (0, 1) : ()) {
            my $own = SpawnTest::Calls->ask($httpd, 'My::Database::rows($_[0])', $inactive);
            is_deeply $own->{values}, [$rows], "httpd's own handle works, AutoInactiveDestroy $inactive";
        }

        # httpd has loaded it twice, and ended the session of its first pass
        my @sessions;
        while (IO::Select->new($server)->can_read(0)) {
            push @sessions, scalar $server->accept;
        }
        my @silent = grep { !IO::Select->new($_)->can_read(0) } @sessions;
        is scalar @sessions, 3, 'httpd and the template have a session each';
        is scalar @silent, 2, 'which nobody has ended';

        $db = DBI->connect("dbi:SQLite:dbname=$file", '', '', { RaiseError => 1 });
        is $db->selectrow_array('PRAGMA integrity_check'), 'ok', 'the file is whole';
        $db->disconnect;
    }
);
done_testing;
