#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The jobs of a request can be found: spawnctl lists its jobs, and those that its jobs
# submitted, by its id, its user and its virtual host; lines of the error log have that
# id; and a client cannot make its words so long that a job is refused.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::AfterHttpd ();
use SpawnTest::Ctl ();

my $handlers = <<'END';
package My::Asks;
use Apache2::RequestIO ();
use Apache2::RequestRec ();
use Apache2::RequestUtil ();
use Apache2::Spawn ();

our %way = (
    # a program that fails, and says so
    fails => sub { $_[0]->spawn(['/bin/sh', '-c', 'echo words >&2; exit 3'], stderr => 'log')->id },
    # the program at the end of the URI's arguments: it submits another job
    program => sub { my ($r) = @_; $r->spawn([split /,/, $r->args])->id },
    function => sub { $_[0]->spawn_call('My::Asks::submits', [])->id },
    same => sub { $_[0]->spawn(['/bin/true'], id => $_[0]->args)->id },
    long => sub { my ($r) = @_; $r->user('u' x 9_000); $r->method('M' x 9_000); $r->spawn(['/bin/true'])->id },
);

sub submits {
    Apache2::Spawn->spawn(['/bin/true'], label => 'by a function');
    Apache2::Spawn->spawn(['/bin/true'], label => 'by a function, its own', context => { request_id => 'mine', job => '' });
    return;
}

sub handler {
    my ($r) = @_;
    my ($name) = $r->uri =~ m{([a-z]+)\z};
    $r->user($r->headers_in->get('X-User')) if $r->headers_in->get('X-User');
    my $id = $way{$name}->($r);
    $r->content_type('text/plain');
    $r->print($id);
    return 0;
}
$INC{'My/Asks.pm'} = __FILE__;
END

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, perl => $handlers, conf => <<'END')->start;
SpawnSubmitTimeout 30s
ServerName main.example
CustomLog id_log "%L %{spawn-jobs}n"
<Location /asks>
    SetHandler modperl
    PerlResponseHandler My::Asks
</Location>
END
        my $ctl = SpawnTest::Ctl->new($httpd);
        my $ask = sub {
            my ($way, %headers) = @_;
            my $id = HTTP::Tiny->new(timeout => 60)->get($httpd->url("/asks/$way"), { headers => \%headers })->{content};
            like $id, qr/\A[0-9a-f-]{36}\z/, "$way: a job";
            return $id;
        };
        # the id of the request that has submitted this job, as the access log says it
        my $request_of = sub {
            my ($job) = @_;
            my $found;
            wait_until(
                sub {
                    open my $in, '<', $httpd->dir . '/id_log' or return 0;
                    ($found) = map { /\A(\S+) \Q$job\E\n/ ? $1 : () } <$in>;
                    return defined $found;
                },
                30
            );
            return $found;
        };
        my $listed = sub {
            my ($jobs) = $ctl->json(qw(ps --all), @_);
            return [ map { $_->{label} || $_->{id} } @{ $jobs || [] } ];
        };

        my $job = $ask->('fails', 'X-User' => 'ann');
        my $request = $request_of->($job);
        like $request, qr/\A\S{8,}\z/, 'the access log has its id';
        ok $httpd->wait_for_log(qr/job \Q$job\E \(request \Q$request\E\) stderr: words$/m, 60), 'what it prints names its request';
        ok $httpd->wait_for_log(qr/job \Q$job\E exited with code 3 .*request \Q$request\E/, 60), 'how it ended, too';

        my $other = $ask->('fails', 'X-User' => 'bob');
        is_deeply $listed->('--request', $request), [$job], 'ps --request';
        is_deeply $listed->('--user', 'ann'), [$job], 'ps --user';
        is_deeply $listed->('--user', 'an'), [], 'a part of a name is another name';
        is_deeply $listed->('--vhost', 'main.example'), [ $other, $job ], 'ps --vhost';
        is_deeply $listed->('--vhost', 'main.example', '--user', 'bob'), [$other], 'both';
        is_deeply $listed->('--request', $request, '--user', 'bob'), [], 'or none of it';
        like $ctl->run('show', $job)->{out}, qr/request_id=\Q$request\E$(?s:.*)user=ann$/m, 'show has them';
        unlike $ctl->run('ps', '--user', 'ann')->{err}, qr/dead/, 'nothing of others';
        for my $option (qw(--request --user --vhost)) {
            my $ran = $ctl->run('ps', $option, '');
            is $ran->{code}, 125, "$option without a value";
            like $ran->{err}, qr/$option: wanted: 1 to 256 bytes/, 'is told so';
        }

        my $function = $ask->('function');
        $request = $request_of->($function);
        ok wait_until(sub { @{ $listed->('--request', 'mine') } }, 60), 'a function has submitted';
        is_deeply $listed->('--request', $request), [ 'by a function', $function ], 'a job that a function submits is of its request';
        is_deeply $listed->('--request', 'mine'), ['by a function, its own'], 'unless it says otherwise';
        my ($by) = grep { ($_->{label} || '') eq 'by a function' } @{ ($ctl->json(qw(ps --all)))[0] };
        is $by->{context}{job}, $function, 'it says which job submitted it';

        my $program = $ask->('program?' . join ',', $ctl->{path}, 'run', '--socket', $httpd->socket, '--label', 'by_spawnctl', '--', '/bin/true');
        $request = $request_of->($program);
        ok wait_until(sub { @{ $listed->('--request', $request) } == 2 }, 60), 'a job that spawnctl submits in a job';
        is_deeply $listed->('--request', $request), [ 'by_spawnctl', $program ], 'is of its request, too';
        is_deeply [ map { ($_->{context} || {})->{job} } grep { ($_->{label} || '') eq 'by_spawnctl' } @{ ($ctl->json(qw(ps --all)))[0] } ],
            [$program], 'and says by which job';
        $ctl->run(qw(run --label outside -- /bin/true));
        my ($outside) = grep { ($_->{label} || '') eq 'outside' } @{ ($ctl->json(qw(ps --all)))[0] };
        ok !$outside->{context}, 'outside a job there is none';

        my $id = SpawnTest::AfterHttpd->new_id;
        is $ask->("same?$id"), $id, 'one request submits a job';
        is $ask->("same?$id"), $id, 'another one the same: that is no other job';

        my $long = $ask->('long');
        is length $httpd->wait($long)->{context}{user}, 256, 'a long name is cut, and the job runs';
    }
);
done_testing;
