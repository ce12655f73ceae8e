#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The examples of docs/migrating.md, as they stand there: "before" with
# PerlCleanupHandler, system, fork and their relatives, "after" with mod_spawn; both do the
# same, and "after" not in the child.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use File::Basename qw(dirname);
use File::Path qw(make_path);
use HTTP::Tiny ();
use IO::Select ();
use IO::Socket::INET ();
use Test::More;

use SpawnTest qw(mpms wait_until);
use SpawnTest::Page;

# ---- the page ----

sub slurp {
    my ($path) = @_;
    open my $in, '<', $path or return;
    local $/ = undef;
    return scalar <$in>;
}

# { before => { file => text }, after => ... }; httpd.conf is put together.
sub examples {
    my $page = slurp(SpawnTest::root_dir() . '/docs/migrating.md');
    is scalar(() = $page =~ /^## \d+\. /mg), 16, 'sixteen examples';
    cmp_ok scalar(() = $page =~ /^<!-- (?:before|after|both): /mg), '>', 40, 'with their files';
    return { map { $_ => SpawnTest::Page::files('docs/migrating.md', $_, 'both') } qw(before after) };
}

# ---- what each does: begin, the request, and what is there afterwards ----

my $hook = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 10) or die "listen: $!\n";

sub hook_said {
    IO::Select->new($hook)->can_read(30) or return 'nothing';
    my $caller = $hook->accept or return 'nothing';
    my $text = '';
    while ($text !~ /done: \S+\z/) {
        sysread $caller, $text, 4096, length $text or last;
    }
    print {$caller} "HTTP/1.0 204 No Content\r\n\r\n";
    close $caller;
    return $text =~ /(done: .*)\z/ ? $1 : $text;
}

my $have_db = eval { require DBI; require DBD::SQLite; 1 };
my $have_convert = -x '/usr/bin/convert' ? '/usr/bin/convert' : (grep { -x } map { "$_/convert" } split /:/, $ENV{PATH})[0];

sub appeared {
    my ($file, $pattern) = @_;
    wait_until(sub { (slurp($file) || '') =~ $pattern }, 30);
    return slurp($file);
}

my $out;    # the directory of all that is left

sub touch {
    my ($name) = @_;
    open my $file, '>', "$out/$name" or die "$out/$name: $!\n";
    return close $file;
}

my @checks = (
    stats => undef, sub { appeared("$out/stats", qr/\n/) }, qr{\AGET /stats/x 200 5 tester\n\z},
    session => undef,
    sub {
        require Storable;
        my $session = wait_until(sub { -e "$out/session-s1" && eval { Storable::retrieve("$out/session-s1") } }, 30);
        return $session ? "@{ $session->{seen} }" : 'nothing';
    },
    qr{\A/session/x\z},
    mail => undef, sub { appeared("$out/mail", qr/Hello/) }, qr{\ATo: someone\nSubject: .* /mail/x\n\nHello\.\n\z},
    purge => sub { touch('cache-news-1'); touch('cache-other-1') },
    sub { wait_until(sub { !-e "$out/cache-news-1" }, 30); return join ' ', map { m{([^/]+)\z} } glob "$out/cache-*" },
    qr/\Acache-other-1\z/,
    $have_db
    ? (dblog => sub {
            my $db = DBI->connect("dbi:SQLite:dbname=$out/log.db", '', '', { RaiseError => 1 });
            $db->do('CREATE TABLE log (uri TEXT, status INTEGER)');
            chmod 0666, "$out/log.db";
        },
        sub {
            my $db = DBI->connect("dbi:SQLite:dbname=$out/log.db", '', '', { RaiseError => 1 });
            my $row;
            wait_until(sub { $row = $db->selectrow_arrayref('SELECT uri, status FROM log') }, 30);
            return $row ? "@{$row}" : 'nothing';
        },
        qr{\A/dblog/x 200\z})
    : (),
    $have_convert
    ? (thumb => sub { system($have_convert, '-size', '64x64', 'xc:red', "$out/picture.png") == 0 or die "convert: $?\n" },
        sub { appeared("$out/thumb.png", qr/IEND/) }, qr/\A.PNG.*IEND/s)
    : (),
    hook => undef, \&hook_said, qr{\Adone: /hook/x\z},
    temp => sub { touch('temp') },
    sub { wait_until(sub { !-e "$out/temp" }, 30); return -e "$out/temp" ? 'there' : 'gone' }, qr/\Agone\z/,
    shop => undef, sub { appeared("$out/orders", qr/\n/) }, qr/\A4711 12 tea cup\n\z/,
    pair => undef, sub { appeared("$out/words", qr/\n/) }, qr/\A3\n\z/,
    system => undef, sub { appeared("$out/sorted", qr/b\n/) }, qr/\A1 a\n2 b\n\z/,
    ticks => undef, sub { appeared("$out/ticks", qr/\n/) }, qr/\A3\n\z/,
    fork => undef, sub { appeared("$out/forked", qr/\n/) }, qr/\Aforked\n\z/,
    sub => undef, sub { appeared("$out/loud", qr/\n/) }, qr/\ALOUD\n\z/,
    old => undef, sub { appeared("$out/old", qr/\n/) }, qr/\AAS MANY\n\z/,
    script => undef, sub { appeared("$out/noted", qr/\n/) }, qr{\A/script/x\n\z},
);

my $files = examples();

for my $when (qw(before after)) {
    # PerlCleanupHandler on prefork, where it is at home
    my $mpm = $when eq 'before' ? 'prefork' : (mpms())[-1];
    subtest "$when, with $mpm" => sub {
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, children => 10);
        my $dir = $httpd->dir;
        $out = $httpd->work . '/out';
        mkdir $out or die "$out: $!\n";
        chmod 0777, $out or die "$out: $!\n";
        my @modules;
        for my $file (grep { /\.pm\z/ } sort keys %{ $files->{$when} }) {
            next if $file eq 'My/DbLog.pm' && !$have_db;
            make_path(dirname("$dir/perl/$file"), { mode => 0755 });
            $httpd->file("../perl/$file", $files->{$when}{$file});
            push @modules, $file =~ s{/}{::}gr =~ s/\.pm\z//r;
        }
        $httpd->script("../$_", $files->{$when}{$_}) for grep { m{\Ahtdocs/} } keys %{ $files->{$when} };
        my $sendmail = $httpd->script('sendmail', "#!/bin/sh\ncat >$out/mail\n");
        my $preload = join ',', 'Apache2::Spawn::Cleanup', @modules;
        $httpd->{conf} = <<"END" . $files->{$when}{'httpd.conf'};
SpawnTemplate app exec preload=$preload inc=$dir/perl
PerlModule @modules
PerlSetVar Out $out
PerlSetVar Sendmail $sendmail
PerlSetVar Convert @{[ $have_convert || 'none' ]}
PerlSetVar LogDSN dbi:SQLite:dbname=$out/log.db
PerlSetVar Hook http://127.0.0.1:@{[ $hook->sockport ]}/
<Location />
    SetHandler modperl
    PerlResponseHandler My::Answer
</Location>
END
        $httpd->{perl} = <<'END';
package My::Answer;
use Apache2::RequestIO ();
sub handler { $_[0]->print("done\n"); return 0 }
END
        $httpd->start;
        my @left = @checks;
        while (my ($name, $begin, $look, $expected) = splice @left, 0, 4) {
            $begin->() if $begin;
            my $answer = HTTP::Tiny->new(agent => 'tester', timeout => 60, keep_alive => 0)
                ->get($httpd->url("/$name/x?one+two+three"));
            is $answer->{content}, "done\n", "$name: the answer";
            like $look->(), $expected, "$name: and what comes after it";
        }
        unlike $httpd->error_log, qr/exit signal|is refused|SpawnCleanupHandler \S+:/, 'without complaints';
    };
}
done_testing;
