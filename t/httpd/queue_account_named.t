#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SpawnUser, SpawnGroup and SpawnBrokerUser with accounts of /etc/passwd, made for this test:
# their names become numbers, jobs have all groups of the account and its home, and the name
# is in USER and in the words about them. SpawnGroup takes the place of its first group.
# One MPM: names become numbers in httpd's parent, before it has children.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Httpd ();

plan skip_all => 'only root can make accounts' if $< != 0;
plan skip_all => 'useradd and groupadd are not there' if grep { !-x "/usr/sbin/$_" } qw(useradd userdel groupadd groupdel);

my $name = "spawntest-$$";
my ($home, $owner) = ("/tmp/$name-home", $$);
my @made;

sub make {
    my ($kind, $of, @words) = @_;
    if (system("/usr/sbin/${kind}add", '--system', @words, $of) != 0) {
        plan skip_all => "no $kind can be made here";
    }
    push @made, [ "/usr/sbin/${kind}del", $of ];
    return;
}

END {
    if (defined $owner && $owner == $$) {
        my $status = $?;
        system @{$_} for reverse @made;
        rmdir $home if defined $home;
        $? = $status;    ## no critic (RequireLocalizedPunctuationVars)
    }
}

make('group', "$name-1");
make('group', "$name-2");
make('user', $name, '--no-create-home', '--home-dir', $home, '--shell', '/usr/sbin/nologin', '--no-user-group',
    '--gid', "$name-1", '--groups', "$name-2");
make('user', "$name-b", '--no-create-home', '--shell', '/usr/sbin/nologin', '--user-group');
mkdir $home or die "$home: $!\n";
my ($uid, $first) = (getpwnam $name)[ 2, 3 ];
my $second = getgrnam "$name-2";

my $httpd = SpawnTest::Httpd->new(mpm => SpawnTest::one_mpm(), conf => <<"END")->start;
SpawnBrokerUser $name-b
SpawnUser $name
<SpawnQueue other>
    SpawnGroup $name-2
</SpawnQueue>
<SpawnQueue httpds>
    SpawnUser #@{[ SpawnTest::Httpd->uid ]}
    SpawnGroup #@{[ SpawnTest::Httpd->gid ]}
</SpawnQueue>
END

sub is_in {
    my ($queue) = @_;
    my $is = $httpd->run([ '/bin/sh', '-c', 'id -u; id -g; id -G; echo $HOME; echo $USER; echo $LOGNAME' ], queue => $queue);
    diag explain $is if $is->{error};
    my @lines = split /\n/, $is->{stdout};
    $lines[2] = join ' ', sort { $a <=> $b } split ' ', $lines[2];
    return \@lines;
}

my $both = join ' ', sort { $a <=> $b } $first, $second;
is_deeply is_in('default'), [ $uid, $first, $both, $home, $name, $name ], 'what stands outside is for all queues: the account and its groups';
is_deeply is_in('other'), [ $uid, $second, $second, $home, $name, $name ], 'a queue with another group of it';
is is_in('httpds')->[0], $httpd->uid, 'a queue can have httpd\'s User again';
open my $status, '<', '/proc/' . $httpd->broker_pid . '/status' or die "the broker: $!\n";
my ($its) = map { /^Uid:\s+(\d+)/ ? $1 : () } <$status>;
is $its, scalar getpwnam "$name-b", 'the broker has its own';
like $httpd->run(['/bin/true'], user => 'root')->{error}{text}, qr/user: jobs of queue 'default' run as $name, and no other account can be had there/,
    'a job that wants another account is refused by that name';
ok !$httpd->run(['/bin/true'], user => $name, group => "$name-1")->{error}, '... and one that wants this one runs';
ok !$httpd->run(['/bin/true'], user => $uid, group => $first)->{error}, '... also by numbers';
$httpd->stop;
done_testing;
