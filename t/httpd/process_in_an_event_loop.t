#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Modules that build upon AnyEvent::Fork can build upon our processes: remote
# calls and a pool of workers, in an event loop. AnyEvent::Fork::RPC and
# AnyEvent::Fork::Pool themselves when they are installed; and always a small
# stand-in that makes the same calls of the object: require, send_arg with an
# undefined argument, run with a callback, as a function called as a method.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Processes qw(process module);

plan skip_all => 'AnyEvent (package libanyevent-perl) is not installed' if !eval { require AnyEvent; 1 };

module('My::Remote', <<'END');
package My::Remote;
use strict;
use warnings;
# The child's side: lines of numbers in, a line of what the function makes of each out.
sub run {
    my ($fh, @before) = @_;
    my ($function, $init, $name) = splice @before, -3;
    no strict 'refs';
    &{$init}(@before) if length $init;
    while (sysread $fh, my $length, 4) {
        sysread $fh, my $body, unpack 'N', $length;
        syswrite $fh, pack 'N/a*', &{$function}(unpack '(N/a*)*', $body);
    }
    exit;
}
1;
END
module('My::Worker', <<'END');
package My::Worker;
our $greeting = 'no init';
sub init { $greeting = "hello @_" }
sub work { return join ' ', $greeting, $$, map { $_ * 2 } @_ }
1;
END

# The caller's side.
sub My::RPC::run {
    my ($process, $function, %arg) = @_;
    my ($fh, $watch, $write, @waiting);
    my ($out, $in) = ('', '');
    my $flush = sub {
        my $sent = syswrite $fh, $out;
        substr $out, 0, $sent || 0, '';
        undef $write if !length $out;
    };
    $process->require('My::Remote')->send_arg($function, $arg{init}, 'name')->run('My::Remote::run', sub {
        $fh = shift;
        $watch = AE::io($fh, 0, sub {
            my $got = sysread $fh, $in, 1000, length $in;
            if (defined $got && !$got) {
                undef $watch;
                return $arg{on_destroy}->();
            }
            while (length $in >= 4 && length $in >= 4 + unpack 'N', $in) {
                my $body = unpack 'N/a*', $in;
                substr $in, 0, 4 + length $body, '';
                (shift @waiting)->($body);
            }
        });
        $write ||= AE::io($fh, 1, $flush) if length $out;
    });
    return sub {
        return shutdown $fh, 1 if !@_;
        push @waiting, pop;
        $out .= pack 'N/a*', pack '(N/a*)*', @_;
        $write ||= $fh && AE::io($fh, 1, $flush);
    };
}

sub within {
    my ($cv) = @_;
    my $late = AE::timer(30, 0, sub { $cv->croak('late') });
    return $cv->recv;
}

for my $exec (0, 1) {
    my $end = AE::cv();
    my $rpc = process(exec => $exec)->require('My::Worker')->send_arg('there')
        ->My::RPC::run('My::Worker::work', init => 'My::Worker::init', on_destroy => $end);
    my @answers = map { my $cv = AE::cv(); $rpc->($_, $cv); $cv } 1 .. 20;
    my @said = map { within($_) =~ /\Ahello there \d+ (\d+)\z/ } @answers;
    is_deeply \@said, [ map { 2 * $_ } 1 .. 20 ], 'twenty calls';
    $rpc->();
    within($end);
    pass 'the end is seen';

    my $template = process(exec => $exec)->require('My::Worker', 'My::Remote');
    my @ends = map { AE::cv() } 1 .. 3;
    my @pool = map { $template->fork->My::RPC::run('My::Worker::work', on_destroy => $_) } @ends;
    my @cv = map { my $cv = AE::cv(); $pool[ $_ % 3 ]->($_, $cv); $cv } 0 .. 8;
    my %by = map { my ($pid) = within($_) =~ /\Ano init (\d+) \d+\z/; ($pid => 1) } @cv;
    is scalar keys %by, 3, 'a pool of three';
    $_->() for @pool;
    within($_) for @ends;
}

SKIP: {
    skip 'AnyEvent::Fork::RPC is not installed', 1 if !eval { require AnyEvent::Fork::RPC; 1 };
    my @inc = grep { !ref } @INC;
    my $end = AE::cv();
    my $rpc = process()->eval('unshift @INC, @_', @inc)->require('My::Worker')
        ->AnyEvent::Fork::RPC::run('My::Worker::work', on_destroy => $end);
    my @cv = map { my $cv = AE::cv(); $rpc->($_, $cv); $cv } 1 .. 5;
    is_deeply [ map { within($_) =~ /(\d+)\z/ } @cv ], [ 2, 4, 6, 8, 10 ], 'AnyEvent::Fork::RPC';
    undef $rpc;
    within($end);
}

SKIP: {
    skip 'AnyEvent::Fork::Pool is not installed', 1 if !eval { require AnyEvent::Fork::Pool; 1 };
    my @inc = grep { !ref } @INC;
    my $end = AE::cv();
    my $pool = process()->eval('unshift @INC, @_', @inc)->require('My::Worker')
        ->AnyEvent::Fork::Pool::run('My::Worker::work', max => 3, idle => 1, load => 2, on_destroy => $end);
    my @cv = map { my $cv = AE::cv(); $pool->($_, $cv); $cv } 1 .. 12;
    is_deeply [ map { within($_) =~ /(\d+)\z/ } @cv ], [ map { 2 * $_ } 1 .. 12 ], 'AnyEvent::Fork::Pool';
    undef $pool;
    within($end);
}
done_testing;
