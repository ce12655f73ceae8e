#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# README's two commands do what it says in five surroundings:
#
#   root    a new Debian, with the checkout in root's home, which nobody else can enter:
#           git and make are installed as README says, and the commands install the rest
#   space   the checkout in a path with a space
#   user    an ordinary user's, who may not install anything: root types what the
#           commands say
#   reaps   below a process 1 that reaps at once all that comes to it
#   leaves  below one that reaps nothing but its own child: the others stay zombies
#
# The first three are in a Debian of debootstrap's; what is tried is the commit, with the
# changes that git has not got yet to files that it knows. The others are on this
# machine, in this checkout.
#
# SURROUNDINGS        some of them
# SURROUNDINGS_WHOLE  those in which make test runs every test; elsewhere it runs @SOME
# SURROUNDINGS_TESTS  files of tests, in the place of those of @SOME
# SURROUNDINGS_LOGS   where the commands' output goes (build/surroundings)

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use File::Path qw(make_path);
use File::Temp ();
use Test::More;

use SpawnTest qw(build_dir root_dir);
use SpawnTest::Chroot;

# With one MPM, and a test of httpd for each part that a surrounding may change.
my @SOME = (
    'TESTS=' . ($ENV{SURROUNDINGS_TESTS} || 't/*.t t/perl/*.t t/doc/*.t build/t/unit/*.t '
        . join ' ', map { "t/httpd/$_.t" } qw(api_in_a_handler broker_killed call_kills_its_parent call_returns cleanup_handler
            example_site group_is_ended_when_its_parent_dies job_killed job_survives_graceful_and_restart
            job_survives_stop_and_is_adopted no_zombies queue_full spawner_killed template_killed
            worker_call_outlives_the_pair)),
    'TEST_JOBS=4',
    'SPAWN_MPMS=event'
);

my %wanted = map { $_ => 1 } split ' ', $ENV{SURROUNDINGS} || 'root space user reaps leaves';
my %whole = map { $_ => 1 } split ' ', $ENV{SURROUNDINGS_WHOLE} || '';
my $logs = $ENV{SURROUNDINGS_LOGS} || build_dir() . '/surroundings';
make_path($logs);

plan skip_all => 'other accounts and process 1 need root' if $> != 0;

# ---- what they have in common ----

my $share = File::Temp::tempdir('spawn-share-XXXXXXXX', DIR => '/tmp', CLEANUP => 1);
chmod 0755, $share or die "$share: $!\n";
my $disk = File::Temp::tempdir('spawn-layers-XXXXXXXX', DIR => '/var/tmp', CLEANUP => 0);
my $owner = $$;

END {
    my $status = $?;
    if ($disk && $owner == $$) {
        SpawnTest::Chroot->clean_all;
        system('rm', '-rf', '--one-file-system', $disk);
    }
    $? = $status;    ## no critic (RequireLocalizedPunctuationVars)
}

# The sources as a repository to clone from, and what has changed since.
sub sources {
    return if -e "$share/sources";
    my $root = root_dir();
    plan skip_all => 'git does not know this checkout' if system("git -C '$root' rev-parse HEAD >/dev/null 2>&1") != 0;
    system('git', 'clone', '-q', '--depth', '1', "file://$root", "$share/sources") == 0 or die "git clone: $?\n";
    system("git -C '$root' diff --binary HEAD >$share/changes") == 0 or die "git diff: $?\n";
    return;
}

sub words { my ($name) = @_; return $whole{$name} ? () : @SOME }

sub log_file {
    my ($name) = @_;
    my $log = "$logs/$name.log";
    unlink $log;
    return $log;
}

# Its end is shown when something was wrong.
sub is_good {
    my ($code, $log) = @_;
    open my $in, '<', $log or die "$log: $!\n";
    my @lines = <$in>;
    close $in;
    my @said = grep {/^make (?:run|test): good$/} @lines;
    is scalar @said, 2, 'both commands are good';
    is $code, 0, 'all is well' or diag "$log ends with:\n", splice @lines, @lines > 150 ? -150 : 0;
    diag grep {/^(?:Files=|Left out:| +\d+ x )/} @lines;
    return;
}

# ---- in a Debian ----

# Where the layer of the first one is, which has all packages, and its checkout.
my $first;

sub debian {
    my ($name, @lower) = @_;
    SpawnTest::Chroot->begin;
    sources();
    mkdir "$disk/$name" or die "$disk/$name: $!\n";
    my $debian = SpawnTest::Chroot->new($share, upper => "$disk/$name", lower => \@lower);
    done_well($debian->run_online(qw(apt-get -q update)), 'apt-get update') if !@lower;
    done_well($debian->install(qw(git make)), 'git and make') if !@lower;
    return $debian;
}

sub done_well {
    my ($result, $what) = @_;
    return if $result->{code} == 0;
    die "$what: $result->{out}\n";
}

sub clone {
    my ($debian, $to) = @_;
    done_well($debian->run(qw(git clone -q /share/sources), $to), 'git clone');
    done_well($debian->run('git', '-C', $to, 'apply', '/share/changes'), 'git apply') if -s "$share/changes";
    return;
}

# t/surroundings/commands in a checkout there, behind these words.
sub commands {
    my ($debian, $name, $dir, @before) = @_;
    my $log = log_file($name);
    my $code = $debian->run_logged($log, @before, 'sh', '-c', 'cd "$1" && shift && exec t/surroundings/commands "$@"', 'sh', $dir,
        words($name));
    is_good($code, $log);
    return;
}

my %surrounding = (
    root => sub {
        my $debian = debian('root');
        is $debian->run(qw(stat -c %a /root))->{out}, "700\n", 'nobody else can enter';
        clone($debian, '/root/mod_spawn');
        commands($debian, 'root', '/root/mod_spawn');
        done_well($debian->run(qw(tar -cf /share/built.tar -C /root mod_spawn)), 'tar');
        $first = "$disk/root/up";
    },
    space => sub {
        my $debian = debian('space', $first || ());
        my $dir = '/srv/of somebody/mod_spawn';
        clone($debian, $dir);
        commands($debian, 'space', $dir);
    },
    user => sub {
        my $debian = debian('user');
        done_well($debian->run(qw(useradd -m somebody)), 'useradd');
        my $dir = '/home/somebody/mod_spawn';
        if (-e "$share/built.tar") {
            done_well($debian->run(qw(tar -xf /share/built.tar -C /home/somebody)), 'tar');
        } else {
            clone($debian, $dir);
        }
        done_well($debian->run(qw(chown -R somebody:), $dir), 'chown');
        my @somebody = qw(setpriv --reuid somebody --regid somebody --init-groups
            env HOME=/home/somebody USER=somebody LOGNAME=somebody);
        for my $command (qw(run test)) {
            my $said = $debian->run(@somebody, 'make', '-C', $dir, $command);
            isnt $said->{code}, 0, "make $command: packages are missing";
            my ($line) = $said->{out} =~ /^As root, type:\n\n +apt-get (install .*)\n/m;
            ok defined $line, 'it says what root is to type' or diag $said->{out};
            done_well($debian->run_online(qw(apt-get -y -q), split ' ', $line), $line) if defined $line;
        }
        commands($debian, 'user', $dir, @somebody);
    },

    # ---- below another process 1 ----

    map {
        my $kind = $_;
        $kind => sub {
            plan skip_all => 'namespaces cannot be made'
                if system('unshare --pid --fork --mount-proc true 2>/dev/null') != 0;
            my $log = log_file($kind);
            my $root = root_dir();
            my $code = system 'sh', '-c', 'cd "$1" && log=$2 kind=$3 && shift 3 && exec unshare --pid --fork --kill-child --mount-proc '
                . 't/surroundings/process_1 "$kind" t/surroundings/commands "$@" </dev/null >>"$log" 2>&1',
                'sh', $root, $log, $kind, words($kind);
            is_good($code, $log);
        }
    } qw(reaps leaves)
);

for my $name (qw(root space user reaps leaves)) {
    next if !$wanted{$name};
    subtest $name . ($whole{$name} ? ', every test' : '') => $surrounding{$name};
    SpawnTest::Chroot->clean_all;
}
done_testing;
