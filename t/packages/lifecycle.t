#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Debian's packages in a small Debian of their own, as users have them: apt installs them
# with httpd and mod_perl, README's handler runs jobs, an upgrade reloads httpd once and no
# running job notices, and nothing is left after a purge. The newer packages are the same
# ones under another number. Below systemd a restart would end the job; here there is
# none, so that what counts is what the packages ask for.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use File::Temp ();
use Test::More;

use SpawnTest qw(root_dir wait_until);
use SpawnTest::Chroot;
use SpawnTest::Deb;
use SpawnTest::Release;

SpawnTest::Deb::directory();
SpawnTest::Chroot->begin;

my $share = File::Temp::tempdir('spawn-debs-XXXXXXXX', DIR => '/tmp', CLEANUP => 1);
chmod 0755, $share or die "$share: $!\n";
my ($release, $newer) = (SpawnTest::Release::built(), SpawnTest::Release::newer());
my @names = qw(libapache2-mod-spawn libapache2-spawn-perl);
my @first = map { s{.*/}{/share/}r } SpawnTest::Deb::built($share, @names);
my @next = map { s{.*/}{/share/}r } SpawnTest::Deb::renumbered($share, $release, $newer, @names);

my $debian = SpawnTest::Chroot->new($share);

# What scripts of packages ask httpd's service for. All of it is allowed.
$debian->file('/usr/sbin/policy-rc.d', qq{#!/bin/sh\necho "\$*" >>/run/asked\n}, 0755);
sub asked {
    my $said = join ' ', map { (split)[1] } grep { /^apache2 / } split /\n/, $debian->text('/run/asked');
    $debian->file('/run/asked', '');
    return $said;
}

sub is_done {
    my ($result, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is($result->{code}, 0, $what) || die "$result->{out}\n";
}

is_done($debian->run_online(qw(apt-get -q update)), 'apt-get update');
is_done($debian->install(qw(apache2 libapache2-mod-perl2)), 'httpd and mod_perl are there');
my %before = $debian->files;
asked();

subtest 'installed' => sub {
    is_done($debian->install(@first), 'apt-get install');
    is asked(), 'reload', 'httpd is reloaded, once';
    like $debian->run('a2query', '-m', 'spawn')->{out}, qr/\Aspawn \(enabled by maintainer script\)/, 'the module is enabled';
    like $debian->run('apache2ctl', '-M')->{out}, qr/^ spawn_module \(shared\)/m, 'and httpd has it';
    ok wait_until(sub { $debian->pids('mod_spawn spawner') }, 60), 'the spawner runs';
    is $debian->run('stat', '-c', '%U %a', '/var/lib/mod_spawn')->{out}, "www-data 700\n", "the store is httpd's";
    is $debian->run('sh', '-c', 'cd /usr/lib/*/perl5/*/auto/Apache2/Spawn/Process/Serve && stat -c %a waiter')->{out}, "755\n",
        'the waiter of processes can be executed';
};

# README's handler, and one whose job stays.
my $readme = do { open my $in, '<', root_dir() . '/README.md' or die "README.md: $!\n"; local $/ = undef; <$in> };
sub block {
    my ($name) = @_;
    my ($text) = $readme =~ /^<!-- file: \Q$name\E -->\n\n((?: {4}.*\n|\n)+)/m or die "README.md has no $name\n";
    return $text =~ s/^ {4}//gmr;
}
$debian->file('/srv/perl/My/First.pm', block('My/First.pm'));
$debian->file('/srv/perl/My/Stays.pm', <<'END');
package My::Stays;
use strict;
use warnings;
use Apache2::Const -compile => qw(OK);
use Apache2::RequestIO ();
use Apache2::RequestRec ();
use Apache2::Spawn ();
sub handler {
    my ($r) = @_;
    $r->print($r->spawn([qw(/bin/sleep 3600)])->id);
    return Apache2::Const::OK;
}
1;
END
$debian->file('/etc/apache2/conf-available/first.conf', block('httpd.conf') =~ s/^(?:LoadModule|PerlModule Apache2::Spawn).*\n//gmr
    . "PerlModule My::Stays\n<Location /stays>\nSetHandler modperl\nPerlResponseHandler My::Stays\n</Location>\n");

my @sleep = qw(/bin/sleep 3600);
my ($job, $spawner);

# What README's handler answers; a request may meet the middle of a reload, which takes its time.
sub answered {
    my $answer = '';
    wait_until(sub { ($answer = $debian->get('/first')) =~ /and 4 =/ }, 60);
    return $answer;
}
subtest 'used' => sub {
    is_done($debian->run(qw(a2enconf -q first)), 'a2enconf');
    is_done($debian->run(qw(invoke-rc.d apache2 reload)), 'and a reload');
    like answered(), qr/\Ajob \S+ is accepted\njobs run as www-data\n2 \+ 3 = 5\nand 4 = 9\n\z/, "README's handler"
        or diag $debian->text('/var/log/apache2/error.log');
    ($job) = $debian->get('/stays') =~ /\A(\S+)\z/;
    ok defined $job, 'a job that stays';
    like $debian->run('spawnctl', 'ps')->{out}, qr/\Q$job\E/, 'spawnctl shows it' if defined $job;
    ($spawner) = $debian->pids('mod_spawn spawner');
    ok wait_until(sub { $debian->pids(@sleep) }, 30), 'it runs';
};

subtest 'upgraded while a job runs' => sub {
    my ($sleep) = $debian->pids(@sleep);
    asked();
    is_done($debian->install(@next), 'apt-get install');
    is asked(), 'reload', 'httpd is reloaded, once';
    ok wait_until(sub { $debian->run('readlink', "/proc/$spawner/exe")->{out} !~ /deleted/ }, 60), 'the spawner has executed the new one';
    is_deeply [ $debian->pids('mod_spawn spawner') ], [$spawner], 'it is the same process';
    is_deeply [ $debian->pids(@sleep) ], [$sleep], 'the job runs on';
    like answered(), qr/and 4 = 9\n\z/, 'new ones run' or diag $debian->text('/var/log/apache2/error.log');
    like $debian->run('spawnctl', '--version')->{out}, qr/\Q$newer\E/, 'by the new release';
};

subtest 'disabled and enabled' => sub {
    is_done($debian->run('sh', '-ec', 'a2disconf -q first; a2dismod -q spawn; apache2ctl configtest; apache2ctl graceful'), 'a2dismod');
    is_done($debian->install('--reinstall', @next), 'installed again');
    like $debian->run('a2query', '-m', 'spawn')->{out}, qr/disabled/, 'what the administrator has disabled stays so';
    is_done($debian->run('sh', '-ec', 'a2enmod -q spawn; apache2ctl configtest; apache2ctl graceful'), 'a2enmod');
    ok wait_until(sub { $debian->run('spawnctl', 'ps')->{code} == 0 }, 60), 'it is back';
    is_done($debian->run('spawnctl', 'kill', $job), 'the job is ended');
    ok wait_until(sub { !$debian->pids(@sleep) }, 30), 'and has ended';
};

subtest 'purged' => sub {
    asked();
    is_done($debian->run(qw(rm -r /srv/perl /etc/apache2/conf-available/first.conf /var/lib/apache2/conf/disabled_by_admin/first)), 'the handlers are removed');
    is_done($debian->run(qw(apt-get -y -q remove libapache2-mod-spawn)), 'apt-get remove');
    is asked(), 'reload', 'httpd is reloaded, once';
    like $debian->run('apache2ctl', 'configtest')->{out}, qr/Syntax OK/, 'httpd could start';
    ok wait_until(sub { !$debian->pids('mod_spawn spawner') }, 120), 'the spawner ends';
    is_done($debian->run(qw(apt-get -y -q purge --auto-remove libapache2-mod-spawn libapache2-spawn-perl)), 'apt-get purge');
    my %after = $debian->files;
    # a2enconf and a2dismod leave directories of their own
    is_deeply [ grep { !$before{$_} && !m{\A/var/lib/apache2/\w+/\w+_by_(?:admin|maint)\z} } sort keys %after ], [], 'no file is left';
    is_deeply [ grep { !$after{$_} } sort keys %before ], [], 'none of others is gone';
};

done_testing;
