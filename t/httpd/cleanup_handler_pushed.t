#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SpawnCleanupHandler is no handler that push_handlers and its like know: they die,
# and say what to use, instead of doing nothing. For other handlers they are what
# they were.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::Calls ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, conf => <<'END')->start;
<Perl>
    use Apache2::ServerUtil ();
    $My::told = eval { Apache2::ServerUtil->server->push_handlers(SpawnCleanupHandler => 'My::X'); 1 } ? 'nothing' : $@;
    $@ = '';    # would be the section's error
</Perl>
END
        my $answer = SpawnTest::Calls->ask($httpd, <<'END');
use Apache2::RequestUtil ();
use Apache2::ServerUtil ();
my @said;
for my $object ($r, $r->server) {
    for my $method (qw(push_handlers set_handlers get_handlers)) {
        for my $name (qw(SpawnCleanupHandler PerlSpawnCleanupHandler)) {
            my @code = $method eq 'get_handlers' ? () : sub { 1 };
            push @said, eval { $object->$method($name => @code); 1 } ? "$method: nothing" : $@;
        }
    }
}
my @before = @{ $r->get_handlers('PerlCleanupHandler') || [] };
$r->push_handlers(PerlCleanupHandler => 'My::Noted');
$r->push_handlers(PerlCleanupHandler => [ 'My::Noted::b', sub { 0 } ]);
my $pushed = @{ $r->get_handlers('PerlCleanupHandler') } - @before;
$r->set_handlers(PerlCleanupHandler => []);
my $left = @{ $r->get_handlers('PerlCleanupHandler') || [] };
my $unknown = $r->push_handlers(PerlNoSuchHandler => 'X') ? 1 : 0;
my $few = eval { $r->push_handlers; 1 } ? 'taken' : 'usage';
push @said, $My::told;
(\@said, $pushed, $left, $unknown, $few)
END
        my ($said, @rest) = @{ $answer->{values} || [] } or diag explain $answer;
        is scalar @{$said}, 13, 'in requests, and while httpd starts';
        for (@{$said}) {
            like $_, qr/\A(?:push|set|get)_handlers: (?:Perl)?SpawnCleanupHandler is no handler of mod_perl's: .*\$r->spawn_cleanup.*directive SpawnCleanupHandler at /,
                'is told what to use, and where it was called';
        }
        is_deeply \@rest, [ 3, 0, 0, 'usage' ], 'other handlers as ever' or diag explain \@rest;
    }
);
done_testing;
