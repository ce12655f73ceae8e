#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# What a package with Apache2::Spawn::Instead starts is a job: of the queue that the
# package names, of the request, with %ENV and by the queue's rules. Other packages, and
# CORE::system, start programs as Perl does.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use Test::More;

use SpawnTest qw(each_mpm);

my $package = <<'END';
package MyApp;
use strict;
use warnings;
use Apache2::Spawn::Instead qw(system readpipe), { queue => 'legacy', label => 'old code' };
sub parents { return (`echo \$PPID`, CORE::readpipe('echo $PPID'), MyApp::Other::parent()) }
sub environment { local $ENV{MINE} = 'a b'; return `echo "\$MINE, \$SPAWN_QUEUE, \${HOME:+home}, [\$REQUEST_METHOD\$HTTP_HOST\$MOD_PERL], \$SPAWN_JOB_ID"` }
sub opened { open my $in, '-|', 'echo $PPID; true' or die; my $pid = <$in>; close $in; return $pid }
package MyApp::Other;
sub parent { return `echo \$PPID` }
package MyApp::Limited;
use Apache2::Spawn::Instead { timeout => '300ms', queue => 'other' };
sub late { my $rv = system 'sleep', 600; open my $in, '-|', 'sleep 600; true' or die; my @l = <$in>; close $in; return ($rv, $?) }
package MyApp;
our $at_start = `echo \$PPID` == $$ ? 1 : 0;
sub in_a_job { my ($parent, $queue) = split / /, `echo "\$PPID \$SPAWN_QUEUE"`; return ($parent == $$ ? 1 : 0, $queue) }
sub handler {
    my ($r) = @_;
    chomp(my @parents = (parents(), opened()));
    my ($env, @late) = (environment(), MyApp::Limited::late());
    my ($id) = $env =~ /(\S+)\n/;
    my $job = Apache2::Spawn->job($id)->status;
    $r->print(JSON::PP->new->encode({ pid => $$, parents => \@parents, env => $env, late => \@late,
        job => { queue => $job->queue, label => $job->label, argv => $job->argv, uri => $job->context->{uri} },
        start => $at_start, called => [ Apache2::Spawn->call('MyApp::in_a_job') ],
        others => scalar(Apache2::Spawn->list(queue => 'other')) }));
    return 0;
}
1;
END

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, perl => 'use JSON::PP ();', conf => <<'END');
<SpawnQueue legacy>
</SpawnQueue>
<SpawnQueue other>
</SpawnQueue>
PerlModule MyApp
<Location /app>
    SetHandler perl-script
    PerlResponseHandler MyApp
</Location>
<Location /script>
    SetHandler perl-script
    PerlResponseHandler ModPerl::Registry
    Options +ExecCGI
</Location>
END
        $httpd->script('../htdocs/script', <<'END');
use strict;
use warnings;
use Apache2::Spawn::Instead;
my $parent = `echo \$PPID`;
print $parent == $$ ? 'own' : 'job', ' ', system('exit 3; true');
END
        $httpd->file('../perl/MyApp.pm', $package);
        $httpd->start;
        my $answer = $httpd->get('/app')->{content};
        my $told = eval { JSON::PP->new->decode($answer) } or return fail "an answer: $answer";
        my @parents = @{ $told->{parents} };
        isnt $parents[0], $told->{pid}, 'backticks of the package: no child of httpd\'s child';
        is $parents[1], $told->{pid}, 'CORE::readpipe is Perl\'s own';
        is $parents[2], $told->{pid}, 'so are backticks of another package';
        is $parents[3], $told->{pid}, 'and open, which was not named';
        like $told->{env}, qr/\Aa b, legacy, home, \[\], [0-9a-f-]{36}\n\z/,
            'the program has %ENV, and nothing of the request';
        is $told->{job}{queue}, 'legacy', 'the job is of the queue that the package names';
        is $told->{job}{label}, 'old code', '... with the label';
        is $told->{job}{uri}, '/app', '... and of the request';
        is $told->{job}{argv}[0], '/bin/sh', '... a shell, as Perl uses one';
        is_deeply $told->{late}, [ 15, 15 ], 'what takes too long is ended';
        is $told->{start}, 1, 'while httpd starts they are Perl\'s own';
        is_deeply $told->{called}, [ 0, "legacy\n" ], 'in a Perl function that is a job they are jobs, too';
        is $httpd->get('/script')->{content}, 'job 768', 'in a Registry script, twice' for 1, 2;
        is $told->{others}, 2, '... system and open of all names';
    }
);
done_testing;
