#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A queue with SpawnAllow runs what it lists, also when the program comes with the environment of
# its caller (spawn_proc_prog, system, Background, Simple): variables that jobs may not set there
# are left out. A queue without a list gets all of them.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use Test::More;

use SpawnTest qw(each_mpm);

my $package = <<'END';
package My::Listed;
use strict;
use warnings;
use Apache2::Spawn::Background ();
use Apache2::Spawn::Instead qw(readpipe), { queue => 'listed' };
use Apache2::Spawn::Simple ();
use Apache2::Spawn::SubProcess ();
use JSON::PP ();
sub of { my (@lines) = @_; chomp @lines; return { map { split /=/, $_, 2 } @lines } }
sub of_file { my ($path) = @_; open my $in, '<', $path or return { error => "$path: $!" }; return of(<$in>) }
sub handler {
    my ($r) = @_;
    my ($file, %told) = ($r->dir_config('File'));
    my %set = (PATH => '/opt/own:/usr/bin:/bin', PERL5LIB => '/opt/own', LD_LIBRARY_PATH => '/opt/own', HOME => '/opt', MY_OWN => 'yes');
    local @ENV{ keys %set } = values %set;
    $r->subprocess_env->set($_ => $set{$_}) for keys %set;
    for my $queue (qw(listed open)) {
        $told{"subprocess $queue"} = eval { my $out = $r->spawn_proc_prog('/usr/bin/env', [], queue => $queue); of(<$out>) } || { error => "$@" };
        unlink $file;
        my $process = Apache2::Spawn::Background->new({ stdout => $file, job => { queue => $queue } }, '/usr/bin/env', '-u', 'none');
        $told{"background $queue"} = $process ? do { $process->wait; of_file($file) } : { error => "$!" };
        unlink $file;
        my $simple = Apache2::Spawn::Simple->new;
        $simple->options(queue => $queue);
        $simple->redirect_output($file);
        $told{"simple $queue"} = $simple->start('/usr/bin/env', '-u', 'none') ? do { $simple->wait; of_file($file) } : { error => "$!" };
    }
    my @lines = `/usr/bin/env`;
    $told{'instead listed'} = @lines ? of(@lines) : { error => "$!" };
    $told{own} = eval { $r->spawn_run(['/usr/bin/env'], queue => 'listed', env => { PERL5LIB => '/x' }); 1 } ? 'taken' : $@->code;
    $r->content_type('text/plain');
    $r->print(JSON::PP->new->encode(\%told));
    return 0;
}
1;
END

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, perl => $package);
        $httpd->{conf} = join "\n", '<SpawnQueue listed>', 'SpawnAllow /usr/bin/env', '</SpawnQueue>', '<SpawnQueue open>', '</SpawnQueue>',
            'PerlSetVar File ' . $httpd->work . '/out', '<Location /listed>', 'SetHandler perl-script', 'PerlResponseHandler My::Listed', '</Location>';
        $httpd->start;
        my $content = $httpd->get('/listed')->{content};
        my $told = eval { JSON::PP->new->decode($content) } or return fail("listed: $content") || diag $httpd->tail;
        my @power = qw(HOME LD_LIBRARY_PATH PATH PERL5LIB);
        for my $face (qw(subprocess background simple instead)) {
            my $env = $told->{"$face listed"};
            is $env->{MY_OWN}, 'yes', "$face: the program of a queue with a list runs, with its variables" or diag explain $env;
            is_deeply [ grep { ($env->{$_} // '') =~ /opt/ } @power ], [], '... but for those that it may not set';
            is $env->{PATH}, '/usr/local/bin:/usr/bin:/bin', '... so it has the PATH of all jobs';
        }
        for my $face (qw(subprocess background simple)) {
            my $env = $told->{"$face open"};
            is_deeply [ grep { ($env->{$_} // '') =~ /opt/ } @power ], \@power, "$face: in a queue without a list it has all of them";
        }
        is $told->{own}, 'not_permitted', 'a job that names one itself is refused';
    }
);
done_testing;
