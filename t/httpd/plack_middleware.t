#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Plack::Middleware::Spawn under Plack::Handler::Apache2: $env->{'psgix.spawn'} has the jobs
# of the request; cleanup handlers that name a function run after the answer in a job, code
# references in the child as before. And without httpd.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use HTTP::Tiny ();
use JSON::PP ();
use Test::More;

use SpawnTest qw(each_mpm mpms wait_until);

my $module = <<'END';
package My::Job;
use strict;
use warnings;
use Apache2::Spawn ();
sub want { return wantarray ? ('a', 'list') : 'scalar' }
sub add { my ($x, $y) = @_; return $x + $y }
sub note {
    my ($file, @words) = @_;
    my $job = eval { Apache2::Spawn->job } ;
    open my $out, '>>', $file or die "$file: $!\n";
    print {$out} join(' ', @words, $job ? 'in a job' : "in $$"), "\n";
    close $out or die "$file: $!\n";
    return;
}
sub env {
    my ($env) = @_;
    note($env->{'my.file'}, 'env', $env->{PATH_INFO}, (grep { ref } values %{$env}), sort grep { /secret|HTTP_X_SHOWN/ } %{$env});
    return;
}
sub fails { die "as it should\n" }
1;
END

my $app = <<'END';
use strict;
use warnings;
use JSON::PP ();
use Plack::Builder;
builder {
    enable 'Spawn';
    sub {
        my ($env) = @_;
        my $spawn = $env->{'psgix.spawn'};
        my $file = $env->{'my.file'} = '@FILE@';
        my $handlers = $env->{'psgix.cleanup.handlers'};
        my @plain = (200, [ 'Content-Type' => 'text/plain' ]);
        if ($env->{PATH_INFO} eq '/jobs') {
            my $job = $spawn->spawn_call('My::Job::add', [ 1, 2 ]);
            my $run = $spawn->run([ '/bin/echo', 'hello' ]);
            my $pipe = $spawn->pipe(['/bin/cat'], timeout => 30, until => 'request');
            print { $pipe->in } "to and fro\n";
            my %told = (
                psgix => $env->{'psgix.cleanup'} ? 1 : 0,
                result => $job->result(60), run => [ $run->stdout, $run->context->{uri} ], pipe => scalar readline $pipe->out,
                call => [ $spawn->call('My::Job::add', [ 20, 22 ]) ], want => [ $spawn->call('My::Job::want'), scalar $spawn->call('My::Job::want') ], job => $spawn->job($job->id)->status->state,
                list => scalar(my @all = $spawn->list) > 1 ? 1 : 0,
                error => eval { $spawn->run(['/nowhere/x']); 1 } ? 'taken' : $@->code . ' ' . ($@->file =~ /psgi/ ? 'here' : $@->file),
            );
            return [ @plain, [ JSON::PP->new->encode(\%told) ] ];
        }
        if ($env->{PATH_INFO} eq '/cleanup') {
            push @{$handlers}, 'My::Job::env', [ 'My::Job::note', [ $file, 'array' ], label => 'array' ],
                [ [ '/bin/sh', '-c', 'echo program in a job >>"$1"', 'sh', $file ] ], sub { My::Job::note($file, 'code') },
                [ 'My::Job::note', [ sub { 1 } ] ], [], [ 'My::Job::note', [ $file, 'never' ], only_if => 'error' ];
            return [ @plain, ["$$\n"] ];
        }
        return sub {
            my ($respond) = @_;
            if ($env->{PATH_INFO} eq '/whole') {
                push @{$handlers}, [ 'My::Job::note', [ $file, 'whole' ] ];
                $respond->([ @plain, ["whole\n"] ]);
                return;
            }
            push @{ $plain[1] }, 'Content-Length' => 8;
            my $writer = $respond->([@plain]);
            $writer->write("one\n");
            push @{$handlers}, [ 'My::Job::note', [ $file, 'stream' ] ];
            $writer->write("two\n");
            $writer->close if $env->{PATH_INFO} ne '/open';
        };
    };
};
END

sub lines {
    my ($file) = @_;
    open my $in, '<', $file or return;
    chomp(my @lines = <$in>);
    @lines = sort @lines;
    return @lines;
}

plan tests => scalar(mpms()) + 9;
SKIP: {
    skip 'Plack (package libplack-perl) is not installed', scalar(mpms()) + 9 if !eval { require Plack; 1 };
    each_mpm(
        sub {
            my ($mpm) = @_;
            my $httpd = SpawnTest::Httpd->new(mpm => $mpm);
            mkdir $httpd->dir . '/perl/My' or die "My: $!\n";
            chmod 0755, $httpd->dir . '/perl/My';
            $httpd->file('../perl/My/Job.pm', $module);
            my $file = $httpd->work . '/noted';
            my $psgi = $httpd->file('app.psgi', $app =~ s/\@FILE\@/$file/r);
            $httpd->{conf} = <<"END";
PerlModule My::Job
<Location /app>
    SetHandler perl-script
    PerlResponseHandler Plack::Handler::Apache2
    PerlSetVar psgi_app $psgi
</Location>
END
            $httpd->start;
            my $content = $httpd->get('/app/jobs')->{content};
            my $told = eval { JSON::PP->new->decode($content) } or return fail("jobs: $content") || diag $httpd->tail;
            is $told->{psgix}, 1, 'the server has psgix.cleanup';
            is $told->{result}, 3, 'spawn_call';
            is_deeply $told->{run}, [ "hello\n", '/app/jobs' ], 'run, a job of the request';
            is $told->{pipe}, "to and fro\n", 'pipe, and until';
            is_deeply $told->{call}, [42], 'call';
            is_deeply $told->{want}, [qw(a list scalar)], '... which sees its caller\'s context';
            is $told->{job}, 'done', 'job';
            is $told->{list}, 1, 'list';
            is $told->{error}, 'start_failed here', 'errors are of the line of the application';

            my $pid = HTTP::Tiny->new->get($httpd->url('/app/cleanup'), { headers => {
                Authorization => 'Basic secret', 'Proxy-Authorization' => 'Basic secret', Cookie => 'a=secret', 'X-Shown' => 1 } })->{content};
            like $pid, qr/\A(\d+)\n\z/, 'an answer';
            chomp $pid;
            my @wanted = sort 'array in a job', "code in $pid", 'env /cleanup HTTP_X_SHOWN in a job', 'program in a job';
            ok wait_until(sub { my @now = lines($file); return @now == @wanted }, 30), 'cleanup handlers have run';
            is_deeply [ lines($file) ], \@wanted, '... those that name something in jobs, code in the child';
            ok $httpd->wait_for_log(qr/Plack::Middleware::Spawn: .*argument 1 is a code reference/), 'what cannot travel is in the error log';
            ok $httpd->wait_for_log(qr/a code reference in psgix\.cleanup\.handlers runs in this child/), '... and so is that code stays';

            ok $httpd->wait_for_log(qr/Plack::Middleware::Spawn: a cleanup handler is empty; wanted: /), '... and an empty one';

            for my $how (qw(stream open)) {
                unlink $file;
                my $answer = $httpd->get("/app/$how");
                is $answer->{content}, "one\ntwo\n", "a stream: $how";
                is $answer->{headers}{'content-length'}, 8, '... has the length that the application gives';
                ok wait_until(sub { my @now = lines($file); return @now == 1 }, 30), '... and a handler that comes while it goes';
                is_deeply [ lines($file) ], ['stream in a job'], '... is a job';
            }
            unlink $file;
            is $httpd->get('/app/whole')->{content}, "whole\n", 'a whole answer by way of code';
            ok wait_until(sub { my @now = lines($file); return @now == 1 }, 30), '... and its handler is a job';
        }
    );

    # as another server calls it
    require Plack::Middleware::Spawn;
    my (@ran, $said);
    no warnings 'once';
    *My::Here::note = sub { push @ran, [@_] };
    my $call = sub {
        my ($answer, @handlers) = @_;
        open my $errors, '>', \($said = '') or die "errors: $!\n";
        my $env = {
            'psgix.cleanup' => 1, 'psgix.cleanup.handlers' => [], PATH_INFO => '/x', HTTP_COOKIE => 'a=b', REDIRECT_HTTP_AUTHORIZATION => 'Basic',
            'psgi.input' => \*STDIN, 'psgi.errors' => $errors,
        };
        @ran = ();
        my $response = Plack::Middleware::Spawn->wrap(sub { push @{ $_[0]{'psgix.cleanup.handlers'} }, @handlers; return $answer })->($env);
        my @got;
        if (ref $response eq 'CODE') {
            $response->(sub { push @got, $_[0]; return bless [ \@got ], 'My::Writer' });
        }
        $_->($env) for @{ $env->{'psgix.cleanup.handlers'} };
        return @got;
    };
    *My::Writer::write = sub { push @{ $_[0][0] }, $_[1]; return 'written' };
    *My::Writer::close = sub { push @{ $_[0][0] }, 'closed'; return };
    *My::Writer::poll_cb = sub { return 'polled' };
    $call->([ 200, [], [] ], 'My::Here::note', [ 'My::Here::note', [ 1, 2 ] ], sub { push @ran, 'code' });
    is ref $ran[0][0] eq 'HASH' ? $ran[0][0]{PATH_INFO} : '-', '/x', 'without httpd: a name is called by the server, with the environment';
    is_deeply [ grep { /HTTP_/ } keys %{ $ran[0][0] } ], [], '... but for cookies and passwords';
    is_deeply [ @ran[ 1, 2 ] ], [ [ 1, 2 ], 'code' ], '... and so are the others, in their order';
    my @each = map { [ 'My::Here::note', [$_], only_if => $_ ] } qw(success error aborted);
    $call->([ 204, [], [] ], @each, []);
    is_deeply \@ran, [ ['success'] ], 'only_if, of an answer that is one';
    like $said, qr/a cleanup handler is empty/, '... and an empty handler is told of';
    $call->([ 404, [], [] ], @each);
    is_deeply \@ran, [ ['error'] ], '... and of one that is none';
    {
        no warnings 'redefine';
        local *Apache2::Spawn::spawn = sub { push @ran, [ @_[ 1 .. $#_ ] ] };
        $call->([ 200, [], [] ], [ ['/bin/true'], only_if => 'success', label => 'x' ], [ ['/bin/false'], only_if => 'error' ]);
    }
    is_deeply \@ran, [ [ ['/bin/true'], label => 'x' ] ], '... of a program, without the option that others do not have';
    my @more;
    my @got = $call->(
        sub {
            my $writer = $_[0]->([ 200, [ 'Content-Length' => 3 ] ]);
            push @more, $writer->write('abc'), $writer->poll_cb, $writer->can('poll_cb') ? 'can' : 'cannot', $writer->can('other') ? 'can' : 'cannot';
            $writer->close;
        });
    is_deeply \@got, [ [ 200, [ 'Content-Length' => 3 ] ], 'abc', 'closed' ], 'a stream: the headers and parts are the application\'s';
    is_deeply \@more, [qw(written polled can cannot)], '... by the writer of the server';
}
