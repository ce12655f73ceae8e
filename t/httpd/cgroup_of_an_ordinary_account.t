#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# An httpd that an ordinary account starts, in a cgroup below a directory that was given to
# it: its jobs have cgroups, in the directory that it names, or in its own. Where it may not
# use the directory, or not move a process there, it does not start, and says why; nor does
# one that root starts, whose spawner has no right to what is another account's.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use Apache2::Spawn ();
use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Cgroup ();
use SpawnTest::Httpd ();

plan skip_all => 'only root can give a directory of cgroup v2 to another account' if $> != 0;
my $missing = SpawnTest::Cgroup::missing();
plan skip_all => $missing if $missing;

my $account = SpawnTest::Httpd->user;
my $group = SpawnTest::Cgroup->new('given');
my $given = $group->path . '/given';
my $other = $group->path . '/other';
for my $dir ($given, "$given/httpd", "$given/jobs", $other) {
    mkdir $dir or die "$dir: $!\n";
    $group->give($dir, $account);
}

# One that is started in a cgroup.
sub httpd {
    my ($in, $conf, %options) = @_;
    my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), handlers => 0, conf => "$conf\nLogLevel spawn:info\n", as => $account, %options);
    unshift @{ $httpd->{wrapper} }, 'sh', '-c', "echo \$\$ >$in/cgroup.procs && exec \"\$@\"", 'sh';
    return $httpd;
}

# As the job sees it, and its id.
sub cgroup_of_a_job {
    my ($httpd) = @_;
    my $ran = $httpd->connection->run([ '/bin/cat', '/proc/self/cgroup' ]);
    my ($is) = $ran->stdout =~ m{^0::(\S*)$}m;
    return ($is // '', $ran->id);
}

for (
    [ "SpawnCgroup $given/jobs", 'jobs',  "a directory that is named" ],
    [ 'SpawnCgroup auto',        'httpd', 'its own' ],
    )
{
    my ($conf, $below, $what) = @$_;
    my $httpd = httpd("$given/httpd", $conf)->start;
    ok $httpd->wait_for_log(qr{MS0386: jobs have cgroups in \Q$given/$below\E$}m, 30), "$what: it is used";
    my ($is, $id) = cgroup_of_a_job($httpd);
    like $is, qr{/given/$below/spawn-[0-9a-f]{8}-\Q$id\E\z}, '... and a job is there';
    ok wait_until(sub { !glob "$given/$below/spawn-*" }, 90), '... and its directory goes with it';
    unlike $httpd->error_log, qr/MS0387/, '... and nothing failed';
    $httpd->stop;
    ok $httpd->pair_gone, '... and all has gone';
}

# Where it does not start.
for (
    [ "$given/httpd", $other, qr/MS0289: line \d+ of \S+httpd\.conf: SpawnCgroup: .* to \Q$other\E: it may not write to \Q${\$group->path}\E\/cgroup.procs,/, 'no way there' ],
    [ $group->path, "$given/jobs", qr/MS0289: line \d+ of \S+httpd\.conf: SpawnCgroup: .* may not write to \Q${\$group->path}\E\/cgroup.procs,/, 'no way from where it is' ],
    [ "$given/httpd", $group->path, qr/Permission denied: .*MS0287: line \d+ of \S+httpd\.conf: SpawnCgroup: \Q${\$group->path}\E is no directory/, "root's" ],
    )
{
    my ($in, $path, $why, $what) = @$_;
    my ($code, $said) = httpd($in, "SpawnCgroup $path")->start_refused;
    ok $code, "$what: it does not start";
    like $said, $why, '... and says why';
}
my ($code, $said) = httpd($group->path, "SpawnCgroup $given/jobs", as => undef)->start_refused;
ok $code, "root's httpd, with another account's directory: it does not start";
like $said, qr/Permission denied: .*MS0287: line \d+ of \S+httpd\.conf: SpawnCgroup: \Q$given\E\/jobs is no directory/, '... and says why';

# Nothing was asked for: it starts, and says why there are none.
my $httpd = httpd($group->path, '')->start;
ok $httpd->wait_for_log(qr/MS0388: jobs have no cgroups: the cgroup that httpd was started in was not given to it$/m, 30),
    'with auto, where nothing was given: it starts, and says so';
done_testing;
