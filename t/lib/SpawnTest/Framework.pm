# SPDX-License-Identifier: Apache-2.0
#
# An application of examples/frameworks below a test's httpd, asked as docs/frameworks.md says.
# Runs in test scripts.

package SpawnTest::Framework;

use strict;
use warnings;

use HTTP::Tiny ();
use JSON::PP qw(decode_json);
use Test::More;

use SpawnTest qw(each_mpm root_dir wait_until);

# Is there this module, and what it runs below? That can be loaded in mod_perl only.
sub has {
    my ($module) = @_;
    (my $file = "$module.pm") =~ s{::}{/}g;
    return 2 == grep {
        my $needed = $_;
        grep { -e "$_/$needed" } @INC
    } $file, 'Plack/Handler/Apache2.pm';
}

# $name: of the .psgi file.
sub try_it {
    my ($name) = @_;
    my $conf = do {
        open my $in, '<', root_dir() . '/examples/frameworks/httpd.conf' or die "httpd.conf: $!\n";
        local $/ = undef;
        <$in>;
    };
    my ($section) = $conf =~ m{^(<Location /\Q$name\E>\n.*?^</Location>\n)}ms or die "no section of $name\n";
    each_mpm(
        sub {
            my ($mpm) = @_;
            my $httpd = SpawnTest::Httpd->new(mpm => $mpm);
            my $to = $httpd->dir . '/frameworks';
            system('cp', '-r', root_dir() . '/examples/frameworks', $to) == 0 or die "cp: $?\n";
            $httpd->{switches} = "-I$to/lib";
            $httpd->{conf} = "PerlModule Example::Work\n" . $section =~ s{/srv/frameworks}{$to}gr;
            $httpd->start;
            _ask($httpd, $name);
        }
    );
    return;
}

sub _ask {
    my ($httpd, $name) = @_;
    my $base = 'http://127.0.0.1:' . $httpd->port . "/$name";
    my $http = HTTP::Tiny->new(timeout => 120);
    my $get = sub { my $answer = $http->get("$base/$_[0]"); return ($answer->{status}, eval { decode_json($answer->{content}) } || $answer->{content}) };

    is_deeply [ $get->('total/3/4') ], [ 200, { total => 7 } ], 'a function is called' or diag $httpd->tail;

    my $made = $http->post("$base/report/may");
    is $made->{status}, 202, 'a job is submitted' or diag $made->{content};
    my $job = eval { decode_json($made->{content}) } || {};
    like $job->{job}, qr/\A[0-9a-f-]{36}\z/, '... and its id told' or diag($httpd->tail), return;
    is $job->{status}, "$base/job/$job->{job}", '... and where its status is';
    my (@seen, $code, $status);
    ok wait_until(
        sub {
            ($code, $status) = $get->("job/$job->{job}");
            push @seen, $status->{progress}{done} if ref $status && $status->{progress};
            return ref $status && $status->{state} eq 'done';
        },
        60
    ), 'its status is asked until it is done' or diag explain $status;
    is $status->{outcome}, 'exited', '... and it ended well';
    ok scalar(@seen), '... and told how far it was';
    is_deeply [ @seen ], [ sort { $a <=> $b } @seen ], '... which grew';
    is $httpd->status($job->{job})->{context}{uri}, "/$name/report/may", 'its record has the request';
    is_deeply [ $get->("job/$_") ], [ 404, { error => 'no such job' } ], "$_: one that is not there" for '01900000-0000-7000-8000-000000000000', 'nope';

    is_deeply [ $get->('thanks/alice') ], [ 200, { thanks => 'alice' } ], 'an answer';
    ok $httpd->wait_for_log(qr/noted: $name alice$/m, 60), '... and what was to be done after it' or diag $httpd->tail;
    my ($after) = grep { ($_->function // '') eq 'Example::Work::note' } $httpd->connection->list;
    ok $after, '... was a job';
    return;
}

1;
