#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Arguments from a handler: what cannot travel is refused there, with its place,
# and no job is made; data that holds itself travels as it is.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Calls qw(each_template);

my %refused = (
    'code'        => [ 'sub { 1 }',                'not_sendable', qr/argument 2 is a code reference/ ],
    'code inside' => [ '{ a => [ sub { 1 } ] }',   'not_sendable', qr/argument 2: ->\{a\}\[0\] is a code reference/ ],
    'a glob'      => [ '*SpawnTest::Calls::here',  'not_sendable', qr/argument 2 is a (?:glob|handle)/ ],
    'a handle'    => [ '\*STDERR',                 'not_sendable', qr/argument 2 is a handle/ ],
    'the request' => [ '$r',                       'not_sendable', qr/argument 2 is an object of class Apache2::RequestRec/ ],
    'too much'    => [ '"x" x (5 << 20)',          'too_big',      qr/the arguments have \d+ bytes .* at most 4194304/ ],
);

each_template(
    sub {
        my ($mpm, $kind) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, kind => $kind)->start;
        my $ask = sub { return SpawnTest::Calls->ask($httpd, @_) };
        my $ran = $httpd->work . '/ran';
        for my $name (sort keys %refused) {
            my ($value, $code, $text) = @{ $refused{$name} };
            for my $method ('Apache2::Spawn->call', 'Apache2::Spawn->spawn_call', '$r->spawn_call', '$r->spawn_cleanup') {
                my $answer = $ask->("my \$made = $method('SpawnTest::Functions::write_file', [ \$_[0], $value ]); 1", $ran);
                is $answer->{error}{code}, $code, "$name: $method refuses" or diag explain $answer;
                like $answer->{error}{text}, $text, '... and says what and where';
                is $answer->{error}{id}, undef, '... before there is a job';
            }
        }
        is_deeply $ask->(<<'END')->{values}, ['the one'], 'data that holds itself comes as it went';
            my $self = { name => 'the one' };
            $self->{self} = $self;
            my $answer = Apache2::Spawn->call('SpawnTest::Functions::circular', [ $self ]);
            delete $self->{self};
            return $answer;
END
        ok !-e $ran, 'nothing that was refused has run';
    }
);
done_testing;
