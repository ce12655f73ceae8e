#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# TEST_LIMIT: 600 s more
#
# The release's tarball as CPAN's clients use it: what they read is valid and complete, perl Makefile.PL finds
# apxs and says what is missing, and make, make test and make install work in what was unpacked.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use Config;
use CPAN::Meta ();
use Cwd ();
use File::Temp ();
use Test::More;

use SpawnTest qw(build_dir not_sanitized root_dir);

plan skip_all => 'there is no git' if -e root_dir() . '/.git' && system('git --version >/dev/null 2>&1') != 0;

not_sanitized('Makefile.PL builds as users do');

my $dir = File::Temp::tempdir('spawn-cpan-XXXXXXXX', DIR => '/tmp', CLEANUP => 1);
chmod 0755, $dir or die "$dir: $!\n";

sub run {
    my ($env, @command) = @_;
    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        delete @ENV{qw(APXS PERL PREFIX BINDIR MANDIR DOCDIR BASHCOMPDIR ZSHCOMPDIR PERL_ARCH HTTPD_MODULES HTTPD_INCLUDE DESTDIR
                PERL_MM_OPT SPAWN_BUILD TESTS MAKEFLAGS MAKELEVEL MFLAGS HARNESS_OPTIONS)};
        @ENV{ keys %{$env} } = values %{$env};    ## no critic (RequireLocalizedPunctuationVars)
        open STDERR, '>&', \*STDOUT;
        exec { $command[0] } @command;
        die "$command[0]: $!\n";
    }
    my $said = do { local $/ = undef; <$out> };
    close $out;
    return ($?, $said);
}

sub slurp {
    my ($file) = @_;
    open my $in, '<', $file or die "$file: $!\n";
    local $/ = undef;
    return scalar <$in>;
}

my ($status, $said) = run({}, root_dir() . '/packaging/dist', "$dir/dist");
is $status, 0, 'a tarball' or BAIL_OUT($said);
($status, $said) = run({}, 'tar', '-C', $dir, '-xzf', glob "$dir/dist/*.tar.gz");
is $status, 0, 'is unpacked' or diag $said;
my ($tree) = glob "$dir/mod_spawn-*";
chdir $tree or die "$tree: $!\n";
END { chdir '/' }

subtest 'what clients read' => sub {
    my ($release) = slurp('common/spawn_release.h') =~ /SPAWN_RELEASE "(.*)"/;
    for my $file (qw(META.json META.yml)) {
        my $meta = eval { CPAN::Meta->load_file($file) } or return fail "$file: $@";
        is_deeply [ $meta->name, $meta->version, $meta->license ], [ 'mod_spawn', $release, 'apache_2_0' ], $file;
        my $wanted = $meta->effective_prereqs->requirements_for('runtime', 'requires');
        is_deeply [ grep { !/\A(?:perl|mod_perl2)\z/ } sort $wanted->required_modules ], [qw(Sereal::Decoder Sereal::Encoder)], "$file: modules";
        unlike slurp($file), qr/CPAN::Meta version/, "$file: the same from each machine";
    }
    my ($code, $found) = run({}, 'find', '.', '!', '-type', 'd', '-printf', '%P\n');
    my @manifest = map { /\A'(.*)'\z/ ? $1 =~ s/\\(.)/$1/gr : $_ } split /\n/, slurp('MANIFEST');
    is_deeply \@manifest, [ sort split /\n/, $found ], 'MANIFEST: the files that there are';
};

my $perl = $Config{perlpath};
subtest 'what is missing is told' => sub {
    mkdir "$dir/bin" or die "bin: $!\n";
    my ($make) = grep { -x } map {"$_/make"} split /:/, $ENV{PATH};
    symlink $make, "$dir/bin/make" or die "make: $!\n";
    ($status, $said) = run({ PATH => "$dir/bin" }, $perl, 'Makefile.PL');
    isnt $status, 0, 'no apxs: no';
    like $said, qr/apxs was not found; install .*apache2-dev.*APXS=/, '... with what to do';
    ok !-e 'GNUmakefile', '... and nothing to make it with';
    ($status, $said) = run({}, $perl, 'Makefile.PL', 'APXS=/nowhere/apxs');
    isnt $status, 0, 'another apxs that is not there: no';
    ($status, $said) = run({}, $perl, 'Makefile.PL', 'INSTALLDIRS=here');
    isnt $status, 0, 'INSTALLDIRS: no';
    like $said, qr/INSTALLDIRS=here is not known/, '... which is told';
};

# What was built already is taken for what make builds: a build is another test.
my $build = Cwd::abs_path(build_dir());
mkdir "$tree/build" or die "build: $!\n";
($status, $said) = run({}, 'cp', '-a', (grep { !m{/(?:t|deb|dist|manual|mutants|sanitized)\z} } glob "$build/*"), "$tree/build");
is $status, 0, 'what was built' or diag $said;

($status, $said) = run({}, $perl, 'Makefile.PL');
is $status, 0, 'perl Makefile.PL' or diag $said;
like $said, qr/^httpd: \S*apxs; Perl's files: \Q$Config{installsitearch}\E; now: make$/m, '... says what it found';
my $mine = eval { CPAN::Meta->load_file('MYMETA.json') };
ok $mine && !$mine->dynamic_config, 'MYMETA.json: what is needed here' or diag $@;

($status, $said) = run({}, 'make');
is $status, 0, 'make' or diag substr $said, -3000;
ok -e 'blib/arch/Apache2/Spawn.pm' && -x 'blib/script/spawnctl', '... makes what prove -b takes';

($status, $said) = run({}, 'make', 'test', 'TEST_FILES=t/perl/error_object.t t/perl/check_code.t');
is $status, 0, 'make test' or diag $said;
like $said, qr/^Files=2, /m, '... runs tests';

($status, $said) = run({}, 'make', 'install', "DESTDIR=$dir/to");
is $status, 0, 'make install DESTDIR=' or diag substr $said, -3000;
for my $file ("$Config{installsitearch}/Apache2/Spawn.pm", '/usr/local/bin/spawnctl') {
    ok -e "$dir/to$file", "... $file";
}
chomp(my $modules = `apxs -q LIBEXECDIR`);
ok -e "$dir/to$modules/mod_spawn.so", '... and the module';
($status, $said) = run({ PERL5LIB => "$dir/to$Config{installsitearch}" }, $perl, '-MApache2::Spawn', '-e', 'print $INC{"Apache2/Spawn.pm"}');
is $said, "$dir/to$Config{installsitearch}/Apache2/Spawn.pm", 'which Perl loads';

($status, $said) = run({ PERL_MM_OPT => "INSTALL_BASE='$dir/my base'" }, $perl, 'Makefile.PL');
is $status, 0, 'INSTALL_BASE, as local::lib has it' or diag $said;
like $said, qr{Perl's files: \Q$dir/my base/lib/perl5/$Config{archname}\E;}, '... is where Perl\'s files go';
is_deeply [ grep { !-e } qw(META.json META.yml MANIFEST Makefile) ], [], 'what was in the tarball is there yet';

($status, $said) = run({}, 'packaging/dist', "$dir/again");
is $status, 0, 'another tarball out of that' or diag $said;
is slurp(glob "$dir/again/*.sha256"), slurp(glob "$dir/dist/*.sha256"), '... has the same bytes';

done_testing;
