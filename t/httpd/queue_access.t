#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SpawnDefaultQueue and SpawnQueueAccess: which queue jobs of a request run in that name
# none, and which they may name; of server, virtual host, location, directory and
# .htaccess, the inner one counts. For every way to submit with a request of Perl's.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use HTTP::Tiny ();
use JSON::PP ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();

my $json = JSON::PP->new->canonical->allow_nonref;

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, conf => <<'END');
<SpawnQueue reports>
</SpawnQueue>
<SpawnQueue images>
</SpawnQueue>
<SpawnQueue late>
</SpawnQueue>
SpawnDefaultQueue late
<LocationMatch "^/(reports|only|nothing|site|files)">
    SetHandler modperl
    PerlResponseHandler SpawnTest::Calls
</LocationMatch>
<Location /reports>
    SpawnDefaultQueue reports
</Location>
<Location /reports/images>
    SpawnDefaultQueue images
</Location>
<Location /only>
    SpawnQueueAccess reports images
</Location>
<Location /only/all>
    SpawnQueueAccess all
</Location>
<Location /nothing>
    SpawnQueueAccess none
</Location>
<VirtualHost *>
    ServerName first
</VirtualHost>
<VirtualHost *>
    ServerName other
    SpawnDefaultQueue images
    SpawnQueueAccess images
</VirtualHost>
END
        my $dir = $httpd->dir . '/htdocs/files';
        for my $made ($dir, "$dir/few", "$dir/few/in") {
            mkdir $made or die "$made: $!\n";
            chmod 0755, $made or die "$made: $!\n";
        }
        $httpd->{conf} .= <<"END";
<Directory $dir>
    AllowOverride FileInfo AuthConfig
    Require all granted
</Directory>
<Directory $dir/few>
    SpawnQueueAccess reports images
</Directory>
END
        my $htaccess = sub {
            my ($text, $below) = @_;
            my $file = $dir . ($below || '') . '/.htaccess';
            open my $out, '>', $file or die "$file: $!\n";
            print {$out} $text;
            close $out or die "$file: $!\n";
            chmod 0644, $file or die "$file: $!\n";
            return;
        };
        $htaccess->("SpawnDefaultQueue images\nSpawnQueueAccess images\n");
        $httpd->start;

        # The queue of a job that a request to this path submits, or why there is none.
        my $ask = sub {
            my ($path, $code) = @_;
            my $response = HTTP::Tiny->new(timeout => 120, keep_alive => 0)
                ->post($httpd->url($path), { content => $json->encode([$code]) });
            return $response->{status} if !$response->{success};
            my $answer = $json->decode($response->{content});
            return $answer->{error} ? "$answer->{error}{code}: $answer->{error}{text}" : $answer->{values}[0];
        };
        my $queue_of = sub {
            my ($path, $options) = @_;
            $options = defined $options ? ", $options" : '';
            return $ask->($path, "\$r->spawn(['/bin/true']$options)->wait(30)->queue");
        };

        is $queue_of->('/perl'), 'late', 'of the server';
        is $queue_of->('/reports'), 'reports', 'of a location';
        is $queue_of->('/reports/images'), 'images', 'of an inner one';
        is $queue_of->('/reports', q{queue => 'images'}), 'images', 'a job that names one';
        is $queue_of->('/reports', q{queue => 'default'}), 'default', 'also the built-in one';
        is $queue_of->('/files'), 'images', 'of a .htaccess';
        is $ask->('/reports', q{Apache2::Spawn->spawn(['/bin/true'])->wait(30)->queue}), 'late', 'without a request: of the server';
        is $ask->('/reports', q{Apache2::Spawn->job($r->spawn_run(['/bin/true'])->id)->status->queue}), 'reports', 'spawn_run';
        is $ask->('/reports', q{my $j = $r->spawn_call('SpawnTest::Functions::sum', [1]); $j->result(30); $j->status->queue}), 'reports', 'spawn_call';
        my $id = $ask->('/reports', q{$r->spawn_cleanup(['/bin/true'])->id});
        ok wait_until(sub { ($httpd->status($id)->{queue} || '') eq 'reports' }, 30), 'spawn_cleanup';

        my $of_host = sub {
            my ($host, $code) = @_;
            return SpawnTest::Calls->ask_host($httpd, $host, '/perl', $code);
        };
        my $spawn = q{$r->spawn(['/bin/true'], @_)->wait(30)->queue};
        is_deeply $of_host->('other', $spawn)->{values}, ['images'], 'of a virtual host';
        is_deeply $of_host->('first', $spawn)->{values}, ['late'], 'and of another one, that says nothing';
        is $of_host->('other', q{$r->spawn(['/bin/true'], queue => 'late')})->{error}{code}, 'not_permitted', 'access of a virtual host';

        my $refused = sub {
            my ($queue, $allowed) = @_;
            return "not_permitted: queue '$queue' may not be used by this request (SpawnQueueAccess); $allowed";
        };
        my $both = 'allowed: reports, images';
        is $queue_of->('/only', q{queue => 'images'}), 'images', 'one that is allowed';
        is $queue_of->('/only', q{queue => 'default'}), $refused->('default', $both), 'one that is not';
        is $queue_of->('/only'), $refused->('late', $both), 'a default that is not';
        is $queue_of->('/only/all', q{queue => 'default'}), 'default', 'all, further in';
        is $queue_of->('/nothing', q{queue => 'images'}), $refused->('images', 'none is allowed'), 'none';
        is $queue_of->('/files', q{queue => 'reports'}), $refused->('reports', 'allowed: images'), 'of a .htaccess';
        for my $way (q{$r->spawn_run(['/bin/true'])}, q{$r->spawn_call('SpawnTest::Functions::sum', [])},
            q{$r->spawn_cleanup(['/bin/true'])}, q{$r->spawn(['/bin/true'], reply => 'posted')}) {
            is $ask->('/nothing', $way), $refused->('late', 'none is allowed'), "refused: $way";
        }

        # a .htaccess takes away, and gives nothing
        my $allowed = sub {
            my ($path) = @_;
            return join ' ', grep { $queue_of->($path, "queue => '$_'") eq $_ } qw(default reports images late);
        };
        $htaccess->('');
        is $allowed->('/files/few'), 'reports images', 'what the directory allows';
        for my $case (
            [ "SpawnQueueAccess images late\n", 'images', 'only what is allowed outside, too' ],
            [ "SpawnQueueAccess all\n", 'reports images', 'all: what is allowed outside' ],
            [ "SpawnQueueAccess late\n", '', 'nothing is left' ],
            [ "SpawnQueueAccess none\n", '', 'none' ],
            [ "SpawnDefaultQueue images\n", 'reports images', 'it says nothing of it' ]
        ) {
            $htaccess->($case->[0], '/few');
            is $allowed->('/files/few'), $case->[1], "a .htaccess: $case->[2]";
        }
        $htaccess->("SpawnQueueAccess images late\n", '/few');
        $htaccess->("SpawnQueueAccess reports images\n", '/few/in');
        is $allowed->('/files/few/in'), 'images', 'a .htaccess below another one';
        $htaccess->("SpawnQueueAccess all\n", '/few/in');
        is $allowed->('/files/few/in'), 'images', '... that says all';
        $htaccess->("SpawnQueueAccess late default\n");
        is $allowed->('/files'), 'default late', 'where nothing is said outside it says all';
        is $allowed->('/files/few/in'), 'images', 'a section further in takes the place of that';

        # mistakes in a .htaccess
        $htaccess->("SpawnDefaultQueue nowhere\n");
        is $queue_of->('/files'), 500, 'a queue that is not there';
        ok $httpd->wait_for_log(qr{\Q$dir\E/\.htaccess: SpawnDefaultQueue: queue 'nowhere' is not configured; configured: default, reports, images, late}),
            'the log says where';
        $htaccess->("SpawnNice 3\n");
        is $queue_of->('/files'), 500, 'rules of queues are not for a .htaccess';
    }
);
done_testing;
