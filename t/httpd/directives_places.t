#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Each directive of the module, in each place: where docs/directives.md says that it may
# stand it is taken, and elsewhere refused, by its name. The directives are those that
# httpd lists. In .htaccess, which httpd reads with a request, one that may not stand there
# costs that request only.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Directives ();

my $conf = SpawnTest::Directives->new;
my @names = $conf->names;
cmp_ok scalar @names, '>=', 30, 'httpd lists them';

# An argument of each, where its default is none.
my %argument = (
    '<SpawnQueue' => 'another', SpawnCleanupHandler => 'none', SpawnCron => '@daily name=a /bin/true', SpawnEnv => 'A b',
    SpawnIONice => 'idle', SpawnLimit => 'cpu=30', SpawnPassEnv => 'PATH', SpawnSocketGroup => '#' . ($) + 0),
    SpawnStore => '/tmp/store', SpawnTemplateMemory => 'shared', SpawnWorkers => '1 2', SpawnTemplate => 'app parent',
    SpawnBrokerUser => '#61000 #61000', SpawnAccess => 'user=#61001 see', SpawnUser => 'nobody', SpawnGroup => '#61001',
    SpawnRelay => 'amqp://127.0.0.1/', SpawnRelayName => 'a', SpawnShared => 'off',
    'SpawnTemplate in a queue' => 'app', SpawnDefaultQueue => 'default', 'SpawnHistory in a queue' => '100 1d',
);

sub argument_of {
    my ($name, $place) = @_;
    my ($default) = ($conf->page($name)->{Default} || '') =~ /\A`\Q$name\E ([^`]+)`/;
    return $argument{"$name in $place"} || $argument{$name} || $default;
}

my %place = (
    'server config' => [],
    'virtual host'  => [ '<VirtualHost *:1>', '</VirtualHost>' ],
    'a queue'       => [ '<SpawnQueue q>', '</SpawnQueue>' ],
    (map { $_ => [ "<$_ />", "</$_>" ] } qw(Directory Location Files)),
    'If' => [ '<If "true">', '</If>' ],
);

my %fits = (
    'server config' => 'server config', 'virtual host' => 'virtual host', 'a queue' => 'queue',
    map { $_ => 'directory' } qw(Directory Location Files If),
);

for my $name (@names) {
    (my $word = $name) =~ tr/<//d;
    my %context = map { $_ => 1 } split /, /, $conf->page($name)->{Context} || '';
    for my $place (sort keys %place) {
        my ($begin, $end) = @{ $place{$place} };
        my $argument = argument_of($name, $place);
        if (!defined $argument) {
            fail "$name: give this test an argument of it";
            last;
        }
        my @lines = $conf->lines($name, $argument);
        push @lines, 'SpawnWorkers 1' if $place eq 'a queue' && $name =~ /\ASpawnWorker[A-Z]/;    # which they are for
        push @lines, 'SpawnUser nobody' if $name eq 'SpawnGroup';                                                  # whose it is
        my @with = $name =~ /\ASpawn(?:User|Group)\z/ ? 'SpawnBrokerUser #61000 #61000' : ();
        my $is = $conf->check($begin ? ($begin, @lines, $end) : @lines, @with);
        if ($context{ $fits{$place} }) {
            ok $is->{taken}, "$name in $place: is taken" or diag $is->{said};
            next;
        }
        ok !$is->{taken}, "$name in $place: is refused";
        is $is->{line}, $begin ? 2 : 1, '... with file and line' or diag $is->{said};
        like $is->{said}, qr/<?\b$word\b>? .*(?:cannot occur|not allowed|outside|belongs|stand)/s, '... by its name';
    }
}

# ---- .htaccess ----

my $httpd = SpawnTest::Httpd->new(mpm => SpawnTest::one_mpm(), handlers => 0, conf => <<'END')->start;
<Directory />
    AllowOverride All
    Require all granted
</Directory>
END
for my $name (@names) {
    (my $word = $name) =~ tr/<//d;
    my $dir = $httpd->dir . "/htdocs/$word";
    mkdir $dir or die "$dir: $!\n";
    for my $file ([ 'index', "here\n" ], [ '.htaccess', join '', map {"$_\n"} $conf->lines($name, argument_of($name, '.htaccess')) ]) {
        open my $out, '>', "$dir/$file->[0]" or die "$dir/$file->[0]: $!\n";
        print {$out} $file->[1];
        close $out or die "$dir/$file->[0]: $!\n";
    }
    chmod 0755, $dir or die "$dir: $!\n";
    my $may = ($conf->page($name)->{Context} || '') =~ /htaccess/;
    my $answer = $httpd->get("/$word/index");
    is $answer->{status}, $may ? 200 : 500, "$name in .htaccess: " . ($may ? 'is taken' : 'is refused');
    next if $may;
    ok $httpd->wait_for_log(qr{/\Q$word\E/\.htaccess: <?\Q$word\E.* not allowed here}, 20), '... by its name, in the log';
}
open my $index, '>', $httpd->dir . '/htdocs/index' or die "index: $!\n";
print {$index} "here\n";
close $index or die "index: $!\n";
is $httpd->get('/index')->{content}, "here\n", 'other requests are served';
done_testing;
