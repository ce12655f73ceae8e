#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Each PerlInterpScope, where mod_perl has them, and virtual hosts with
# interpreters of their own (+Clone, +Parent), with threads: calls, work after the answer and SpawnCleanupHandler
# do what they should in thousands of requests, several at once, with
# subrequests in them, and no child dies. SPAWN_MANY says how many requests.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use HTTP::Tiny ();
use JSON::PP ();
use POSIX ();
use Test::More;

use SpawnTest qw(mpms wait_until);

my @mpms = grep { $_ ne 'prefork' } mpms();
plan skip_all => 'no MPM with threads here' if !@mpms;

my $clients = 6;
my $each = int(($ENV{SPAWN_MANY} || 240) / $clients);    # of each site

# mod_perl 2.0.11 and later know no scopes any more.
my @scopes = qw(request subrequest handler);
my ($unknown) = SpawnTest::Httpd->new(mpm => $mpms[0], conf => "PerlInterpScope handler\n")->check_conf;
if ($unknown) {
    note 'this mod_perl has no PerlInterpScope';
    @scopes = ();
}

# A request's steps: a call, every tenth time; a subrequest; a job after it.
my $module = <<'END';
package My::Scope;
use strict;
use warnings;
use Apache2::Const -compile => qw(OK);
use Apache2::RequestIO ();
use Apache2::RequestRec ();
use Apache2::RequestUtil ();
use Apache2::SubRequest ();
use Apache2::Spawn ();
sub handler {
    my ($r) = @_;
    my ($n) = $r->uri =~ /([0-9]+)\z/;
    my $answer = $n % 10 ? 'none' : Apache2::Spawn->call('SpawnTest::Functions::sum', [ $n, 1 ]);
    $r->lookup_uri("/part/$n")->run;
    $r->spawn_cleanup('SpawnTest::Handled::about', [ $r->dir_config('Ran'), $r->uri ]);
    $r->content_type('text/plain');
    $r->print("answer $answer\n");
    return Apache2::Const::OK;
}
sub part { my ($r) = @_; $r->print('part of '); return Apache2::Const::OK }
1;
END

sub site {
    my ($name, $options) = @_;
    return <<"END";
<VirtualHost *>
    ServerName $name
$options
    <Location /x>
        SetHandler modperl
        PerlResponseHandler My::Scope
        SpawnCleanupHandler SpawnTest::Handled::second
    </Location>
    <Location /part>
        SetHandler modperl
        PerlResponseHandler My::Scope::part
    </Location>
</VirtualHost>
END
}

# In a process of its own: exits with 0 when all answers are right.
sub client {
    my ($httpd, $number, @sites) = @_;
    # as a proxy: for names that nobody resolves
    my $http = HTTP::Tiny->new(timeout => 120, keep_alive => $number % 2, http_proxy => $httpd->url('/'));
    for my $n (0 .. $each - 1) {
        for my $site (@sites) {
            my $id = $number * $each + $n;
            # a busy server closes connections that are kept: once more
            my $response;
            for (1 .. 3) {
                $response = $http->get("http://$site/x/$site/$id");
                last if $response->{status} != 599;
            }
            my $answer = $id % 10 ? 'none' : $id + 1;
            next if $response->{success} && $response->{content} eq "part of answer $answer\n";
            print STDERR "$site/$id: $response->{status} $response->{content}\n";
            POSIX::_exit(1);
        }
    }
    POSIX::_exit(0);
}

for my $mpm (@mpms) {
    subtest "with $mpm" => sub {
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, children => 10);
        my $dir = $httpd->dir;
        my $ran = $httpd->work . '/ran';
        $httpd->file('../perl/My_Scope.pm', $module);
        $httpd->{perl} = "require '$dir/perl/My_Scope.pm';";
        my $own = "PerlModule Apache2::Spawn SpawnTest::Handled\nPerlRequire $dir/perl/My_Scope.pm\n";
        $httpd->{conf} = join '', <<"END", (map { site("scope-$_", "PerlInterpScope $_\n") } @scopes),
KeepAlive On
MaxKeepAliveRequests 17
SpawnMaxQueued 200000
SpawnHistory 100000
SpawnTemplate app exec preload=Apache2::Spawn::Cleanup,SpawnTest::Handled,SpawnTest::Functions inc=$dir/perl
PerlModule SpawnTest::Handled
PerlSetVar Ran $ran
END
            site('plain', ''),
            site('clone', "PerlOptions +Clone\nPerlInterpStart 1\nPerlInterpMax 3\n"),
            site('parent', "PerlOptions +Parent\nPerlSwitches -I$dir/perl\nPerlInterpStart 1\nPerlInterpMax 3\n$own");
        my @sites = ((map {"scope-$_"} @scopes), qw(plain clone parent));
        $httpd->start;

        my @pids = map {
            my $number = $_;
            my $pid = fork;
            defined $pid or die "fork: $!\n";
            client($httpd, $number, @sites) if !$pid;
            $pid;
        } 0 .. $clients - 1;
        my @status = map { waitpid $_, 0; $? >> 8 } @pids;
        is_deeply \@status, [ (0) x $clients ], 'all are answered, with subrequest and call' or return;

        my $requests = $clients * $each * @sites;
        my $lines = sub {
            open my $in, '<', $ran or return;
            return map { JSON::PP::decode_json($_) } <$in>;
        };
        wait_until(sub { my @lines = $lines->(); return @lines >= 2 * $requests }, 60 + $requests / 20);
        my (%job, %handler);
        for my $line ($lines->()) {
            $line->{who} ? $handler{ $line->{uri} }++ : $job{ $line->{arguments}[0] }++;
        }
        for my $site (@sites) {
            my @uris = map {"/x/$site/$_"} 0 .. $clients * $each - 1;
            is_deeply [ grep { ($job{$_} || 0) != 1 } @uris ], [], "$site: each leaves its job, once";
            is_deeply [ grep { ($handler{$_} || 0) != 1 } @uris ], [], '... and has its handler run, once';
        }
        unlike $httpd->error_log, qr/exit signal|Segmentation|panic|Attempt to free|failed to resolve/, 'no child died';
    };
}
done_testing;
