#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# $r->spawn_stream: its errors name the caller's line; an exception in the middle, as of a
# signal handler, goes through to the caller, and the program is ended.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use Test::More;

use SpawnTest qw(each_mpm);
use Apache2::Spawn ();

my $package = <<'END';
package MyStream;
use strict;
use warnings;
use JSON::PP ();
use Apache2::Spawn ();
sub thrown { my ($r, @job) = @_; return eval { $r->spawn_stream(@job); 1 } ? 'nothing' : ref $@ eq 'HASH' ? $@ : [ $@->code, $@->file =~ /(\w+\.pm)\z/, $@->line - __LINE__, $@->message ] }
sub handler {
    my ($r) = @_;
    my @got = map { thrown($r, @{$_}) } [ ['/nowhere/x'] ], [ ['true'], colour => 1 ], [ ['true'], stdout => 'null' ], [ ['true'], 'odd' ];
    $r->print(JSON::PP->new->encode(\@got));
    return 0;
}
sub breaks {
    my ($r) = @_;
    my $mine = bless $r, 'MyStream::Request';
    my @heard;
    local $SIG{__DIE__} = sub { push @heard, ref $_[0] };
    my $got = thrown($mine, [ '/bin/sh', '-c', 'echo x; exec sleep 600' ], label => 'broken', timeout => 0);
    CORE::print STDERR 'thrown: ', JSON::PP->new->encode([ $got, \@heard ]), "\n";
    return 0;
}
package MyStream::Request;
our @ISA = ('Apache2::RequestRec');
sub print { die { by => 'alarm' } }
1;
END

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm);
        $httpd->file('../perl/MyStream.pm', $package);
        $httpd->{conf} = join "\n", 'PerlModule MyStream',
            map { ("<Location /$_->[0]>", 'SetHandler modperl', "PerlResponseHandler $_->[1]", '</Location>') }
            [ errors => 'MyStream' ], [ breaks => 'MyStream::breaks' ];
        $httpd->start;
        my $answer = $httpd->get('/errors')->{content};
        my $told = eval { JSON::PP->new->decode($answer) } or return fail "an answer: $answer";
        is_deeply [ map { [ @{$_}[ 0 .. 2 ] ] } @{$told} ],
            [ map { [ $_, 'MyStream.pm', 0 ] } qw(start_failed unknown_option invalid invalid) ], 'errors have the line of the call';
        like $told->[2][3], qr/\Astdout: spawn_stream does not take/, 'an option that would not count is refused';

        $httpd->get('/breaks');
        ok $httpd->wait_for_log(qr/^thrown: \[\{"by":"alarm"\},\["HASH"\]\]$/m), 'what it dies of goes through, and __DIE__ hears of it once'
            or diag $httpd->error_log;
        my $spawn = $httpd->connection;
        my ($job) = grep { ($_->label // '') eq 'broken' } $spawn->list;
        ok $job, 'the program ran' or return;
        my $end = $job->job->wait(60);
        like $end ? $end->outcome : 'none', qr/\A(?:cancelled|signalled)\z/, '... and is ended';
    }
);
done_testing;
