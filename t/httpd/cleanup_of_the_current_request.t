#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Apache2::Spawn->cleanup leaves a job for the request that is served just now, as
# $r->spawn_cleanup does. Where no request is known it says so, and nothing runs.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::AfterHttpd;

use Apache2::Spawn ();

my $deep = <<'END';
package My::Deep;
use Apache2::Spawn ();
use JSON::PP ();
sub leave {
    my (@job) = @_;
    my $job = eval { Apache2::Spawn->cleanup(@job) } or return { code => ref $@ ? $@->code : 'none', text => "$@" };
    return { id => $job->id };
}
sub handler {
    my ($r) = @_;
    my @note = ([ '/bin/sh', '-c', "echo \$SPAWN_JOB_ID @{[ $r->uri ]} >>" . $r->dir_config('Ran') ]);
    my @told = (leave(@note), leave(@note, only_if => 'error'), leave(sub { 1 }), leave(@note, colour => 'red'));
    my $other = eval { Apache2::Spawn->connect('/nowhere/socket')->cleanup(@note); 1 } ? 'taken' : $@->code;
    my $known = $told[0]{id} ? eval { Apache2::Spawn->job($told[0]{id})->status; 1 } || $@->code : undef;
    $r->print(JSON::PP->new->encode({ told => \@told, other => $other, known => $known,
        job => Apache2::Spawn->call('My::Deep::in_a_job') }));
    return 0;
}
sub in_a_job { return leave(['/bin/true']) }
# while httpd starts
eval { Apache2::Spawn->cleanup(['/bin/true']) };
warn 'while it starts: ', ref $@ ? $@->code : 'taken', "\n";
$@ = '';    # mod_perl looks
1;
END

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::AfterHttpd->new(mpm => $mpm, perl => $deep);
        $httpd->{conf} .= <<"END";
PerlSetVar Ran @{[ $httpd->work ]}/ran
<Location /script>
    SetHandler perl-script
    PerlResponseHandler My::Deep
</Location>
<Location /global>
    SetHandler modperl
    PerlOptions +GlobalRequest
    PerlResponseHandler My::Deep
</Location>
<Location /none>
    SetHandler modperl
    PerlResponseHandler My::Deep
</Location>
END
        $httpd->start;
        like $httpd->error_log, qr/^while it starts: unreachable$/m, 'while httpd starts it is refused';
        my %ids;
        for my $where (qw(script global)) {
            my $answer = JSON::PP->new->decode($httpd->get("/$where")->{content});
            my @told = @{ $answer->{told} };
            ok $told[0]{id}, "/$where: a job is left" or diag explain $answer;
            $ids{ $told[0]{id} } = "/$where";
            is $answer->{known}, 'no_such_job', '... which is posted later';
            ok $told[1]{id}, '... with only_if, too';
            is $told[2]{code}, 'not_sendable', '... a code reference is refused';
            is $told[3]{code}, 'unknown_option', '... and a wrong option';
            is $answer->{other}, 'invalid', '... and a connection, which has no request';
        }
        my $none = JSON::PP->new->decode($httpd->get('/none')->{content});
        is $none->{told}[0]{code}, 'invalid', 'without GlobalRequest it is an error';
        is $none->{job}{code}, 'unreachable', 'so it is in a Perl job';
        like $none->{told}[0]{text}, qr/no request is known here.*GlobalRequest.*\$r->spawn_cleanup.* at .* line/,
            '... which says what to do';

        # the request before has left nothing behind
        $httpd->wait_for_ran(2);
        my %ran = map { split / / } $httpd->ran;
        is_deeply \%ran, \%ids, 'after the answer those of the requests ran, and no other';
        my ($id) = sort keys %ids;
        my $job = $httpd->wait($id);
        is $job->{context}{uri}, $ids{$id}, 'its context is the request';
        is $job->{context}{status}, 200, '... and how it ended';
    }
);

delete local $ENV{SPAWN_SOCKET};
my $done = eval { Apache2::Spawn->cleanup(['/bin/true']); 1 };
is $done, undef, 'outside httpd it is refused';
is $@->code, 'unreachable', '... as unreachable';
done_testing;
