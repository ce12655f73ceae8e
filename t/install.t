#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# make install and make uninstall, into a directory of our own, whose name has a
# space: every file is there with its mode whatever the umask, each link of the
# documents leads to one, man pages have the date of the release, an httpd runs jobs
# with nothing but what was installed, and nothing is left in the end.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use Config;
use File::Find ();
use File::Temp ();
use Test::More;

use SpawnTest qw(build_dir one_mpm root_dir);

my $above = File::Temp::tempdir('spawn-install-XXXXXXXX', DIR => '/tmp', CLEANUP => 1);
my $dest = "$above/to here";
mkdir $dest or die "$dest: $!\n";
# names for httpd.conf and PerlSwitches
my $plain = "$above/plain";
symlink $dest, $plain or die "$plain: $!\n";
chmod 0755, $above, $dest or die "$dest: $!\n";

# Files that are built already are installed: a test does not build.
sub make {
    my ($target, @more) = @_;
    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        umask 0077;
        $ENV{SOURCE_DATE_EPOCH} = 0;
        delete @ENV{qw(PREFIX BINDIR MANDIR DOCDIR BASHCOMPDIR ZSHCOMPDIR PERL_ARCH HTTPD_MODULES HTTPD_INCLUDE)};
        open STDERR, '>&', \*STDOUT;
        exec 'make', '--no-print-directory', '-C', root_dir(), '-o', 'all', 'B=' . build_dir(),
            "DESTDIR=$dest", 'UNITDIR=/lib/systemd/system', @more, $target;
        die "make: $!\n";
    }
    my $said = do { local $/ = undef; <$out> };
    close $out;
    return ($?, $said);
}

sub found {
    my %found;
    File::Find::find({ no_chdir => 1, wanted => sub {
                my $name = substr $File::Find::name, length $dest;
                $found{$name} = sprintf '%s %03o', -d _ ? 'directory' : 'file', (lstat)[2] & 07777
                    if lstat && length $name;
            } }, $dest);
    return %found;
}

chomp(my $modules = `apxs -q LIBEXECDIR`);
chomp(my $include = `apxs -q INCLUDEDIR`);
my $perl = $Config{installsitearch};
my $lib = root_dir() . '/perl/lib';
my @classes = map { s{\Q$lib/\E}{}r =~ s{\.pm\z}{}r } map { glob "$lib/$_.pm" }
    qw(Apache2/* Apache2/Spawn/* Apache2/Spawn/*/* Plack/Middleware/Spawn Email/Sender/Transport/Spawn);
my @pages = map { s{\Q$lib/\E}{}r =~ s{\.pod\z}{}r } glob "$lib/Apache2/Spawn/*.pod";    # without code
my %want = (
    "$modules/mod_spawn.so" => 'file 644',
    "$modules/mod_spawn" => 'directory 755',
    (map { ("$modules/mod_spawn/$_" => 'file 755') } qw(spawner broker),
        grep { -e SpawnTest::build_dir() . "/mod_spawn/$_" } 'relay'),    # where librabbitmq is
    "$include/mod_spawn.h" => 'file 644',
    (map { ("$perl/$_.pm" => 'file 644') } @classes),
    (map { ("$perl/$_.pod" => 'file 644') } @pages),
    "$perl/auto/Apache2/Spawn/Spawn.so" => 'file 644',
    "$perl/auto/Apache2/Spawn/Httpd/Httpd.so" => 'file 644',
    "$perl/auto/Apache2/Spawn/Template/Template.so" => 'file 644',
    "$perl/auto/Apache2/Spawn/Process/Process.so" => 'file 644',
    "$perl/auto/Apache2/Spawn/Process/Serve/Serve.so" => 'file 644',
    "$perl/auto/Apache2/Spawn/Process/Serve/waiter" => 'file 755',
    '/usr/local/bin/spawnctl' => 'file 755',
    '/usr/local/share/man/man1/spawnctl.1' => 'file 644',
    '/usr/local/share/man/man8/mod_spawn.8' => 'file 644',
    '/usr/local/share/bash-completion/completions/spawnctl' => 'file 644',
    '/usr/local/share/zsh/site-functions/_spawnctl' => 'file 644',
    (map { ("/usr/local/share/man/man3/$_.3pm" => 'file 644') } map { s{/}{::}gr } @classes, @pages),
    (map { ("/lib/systemd/system/mod_spawn.$_" => 'file 644') } qw(service socket)),
    (map { ("/usr/local/share/doc/mod_spawn/$_" => 'file 644') } qw(README.md CHANGES LICENSE CONTRIBUTING.md),
        map { substr $_, 1 + length root_dir() } map { glob root_dir() . "/$_" } qw(docs/*.md docs/*.json docs/images/*
        bench/README.md bench/charts/* examples/c/* packaging/docker/* packaging/prometheus/* packaging/systemd/*)),
);

my ($status, $said) = make('install');
is $status, 0, 'make install' or diag $said;
my %is = found();
is $is{$_}, $want{$_}, "$_: $want{$_}" for sort keys %want;
is_deeply [ grep { !$want{$_} && $is{$_} ne 'directory 755' } sort keys %is ], [],
    'no other file, and directories that everybody can enter';

sub slurp {
    my ($file) = @_;
    open my $in, '<', $file or die "$file: $!\n";
    local $/ = undef;
    return scalar <$in>;
}

for my $unit (qw(service socket)) {
    my $text = slurp("$dest/lib/systemd/system/mod_spawn.$unit");
    is_deeply [ grep { !$is{$_} } map { s{\Afile://}{}r } $text =~ m{^(?:ExecStart=\@|Documentation=)(\S+)}mg ], [],
        "mod_spawn.$unit names what is installed";
}

my @dead;
for my $page (grep { /[.]md\z/ } sort keys %is) {
    my $text = slurp("$dest$page");
    push @dead, map { "$page: $_" } grep { !-e "$dest$page/../$_" =~ s{[^/]+/[.][.]/}{}r }
        grep { !/\A[a-z]+:/ } $text =~ /\]\(([^)\s#]+)[)#]/g;
}
is_deeply \@dead, [], 'each link of the documents leads to something';

my ($year, $month, $day) = slurp(root_dir() . '/common/spawn_release.h') =~ /SPAWN_RELEASED "(\d+)-(\d+)-(\d+)"/;
is_deeply [ grep { slurp("$dest$_") !~ /^[.]TH .*"$year-$month-$day"/m } grep { m{/man3/} } sort keys %is ], [],
    'Perl\'s man pages have the date of the release, whenever they are made';

subtest 'an httpd with what was installed' => sub {
    my $httpd = SpawnTest::Httpd->new(
        mpm => one_mpm(),
        module => "$plain$modules/mod_spawn.so",
        lib => "$plain$perl",
    )->start;
    is $httpd->run([qw(/bin/echo installed)])->{stdout}, "installed\n", 'runs a job';
    SKIP: {
        skip 'only root may look at the pair', 2 if $< != 0;
        is readlink '/proc/' . $httpd->spawner_pid . '/exe', "$dest$modules/mod_spawn/spawner",
            'with the installed spawner';
        is readlink '/proc/' . $httpd->broker_pid . '/exe', "$dest$modules/mod_spawn/broker",
            'and broker';
    }
    open my $out, '-|', "$dest/usr/local/bin/spawnctl", '--socket', $httpd->socket,
        qw(run /bin/echo here too) or die "spawnctl: $!\n";
    is join('', <$out>), "here too\n", 'and spawnctl';
};

($status, $said) = make('uninstall');
is $status, 0, 'make uninstall' or diag $said;
%is = found();
is_deeply [ grep { $is{$_} !~ /^directory/ || /spawn/i || /Apache2/ } sort keys %is ], [],
    'nothing of it is left';
($status, $said) = make('uninstall');
is $status, 0, 'a second time does no harm' or diag $said;

($status, $said) = make('install', 'APXS=/bin/false');
isnt $status, 0, 'where apxs does not answer, nothing is installed';
like $said, qr/HTTPD_MODULES is not known: .*give HTTPD_MODULES=/, 'with the reason';
%is = found();
is_deeply [ grep { $is{$_} !~ /^directory/ } sort keys %is ], [], 'really nothing';
done_testing;
