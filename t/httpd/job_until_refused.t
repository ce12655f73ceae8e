#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# until => 'request' is refused with the reason where it cannot be: no request, a job that is
# posted, durable, waited for, or for after the answer; and nothing runs.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use Test::More;

use SpawnTest qw(each_mpm);

use Apache2::Spawn ();

my $package = <<'END';
package My::Refused;
use Apache2::Spawn ();
use JSON::PP ();
my @true = (['/bin/true']);
my @until = (until => 'request');
sub told { my ($code) = @_; return eval { $code->(); 1 } ? 'taken' : ref $@ ? $@->code . ': ' . $@->message : $@ }
sub handler {
    my ($r) = @_;
    my %told = (
        value => told(sub { $r->spawn(@true, until => 'answer') }),
        posted => told(sub { $r->spawn(@true, @until, reply => 'posted') }),
        finished => told(sub { $r->spawn(@true, @until, reply => 'finished') }),
        run => told(sub { $r->spawn_run(@true, @until) }),
        call => told(sub { Apache2::Spawn->call('My::Refused::told', [], @until) }),
        durable => told(sub { $r->spawn(@true, @until, durable => 1) }),
        cleanup => told(sub { $r->spawn_cleanup(@true, @until) }),
        elsewhere => told(sub { Apache2::Spawn->connect($r->dir_config('Socket'))->spawn(@true, @until) }),
        none => told(sub { Apache2::Spawn->spawn(@true, @until) }),
        job => Apache2::Spawn->call('My::Refused::in_a_job'),
    );
    $r->print(JSON::PP->new->encode({ told => \%told, jobs => scalar Apache2::Spawn->list }));
    return 0;
}
sub in_a_job { return told(sub { Apache2::Spawn->spawn(@true, @until) }) }
1;
END

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, perl => $package);
        $httpd->{conf} = "PerlSetVar Socket @{[ $httpd->socket ]}\n" . <<'END';
<Location /refused>
    SetHandler modperl
    PerlResponseHandler My::Refused
</Location>
END
        $httpd->start;
        my $answer = JSON::PP->new->decode($httpd->get('/refused')->{content});
        my %wanted = (
            value => qr/'answer' is not allowed; wanted: request/,
            posted => qr/a posted job comes to the broker in its own time/,
            finished => qr/wait for the end of the job themselves/,
            run => qr/wait for the end of the job themselves/,
            call => qr/wait for the end of the job themselves/,
            durable => qr/a durable job outlives the end of everything/,
            cleanup => qr/begins when its request has ended/,
            elsewhere => qr/this process serves no request/,
            none => qr/no request is known here.*GlobalRequest/,
            job => qr/this process serves no request/,
        );
        like $answer->{told}{$_}, qr/\Ainvalid: until: .*$wanted{$_}/, $_ for sort keys %wanted;
        is $answer->{jobs}, 1, 'nothing ran but the job that asked';
    }
);

my $done = eval { Apache2::Spawn->connect('/nowhere/socket')->spawn(['/bin/true'], until => 'request'); 1 };
is $done, undef, 'outside httpd it is refused';
like $@, qr/until: this process serves no request/, '... with the reason';
done_testing;
