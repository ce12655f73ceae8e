# SPDX-License-Identifier: Apache-2.0
#
# AnyEvent::Fork: a process of its template, which becomes the program. A handler
# has no event loop of its own, so it runs one until all is passed on; the program
# starts later. The template process stays with httpd's child. Runs in httpd's children.

use strict;
use warnings;

my $code = <<'PERL';
sub start {
    my ($socket, @argv) = @_;
    open STDIN, '<', '/dev/null';
    exec { $argv[0] } @argv;
}
PERL

+{
    order => 120,
    name => 'AnyEvent::Fork, passed on',
    need => [ 'AnyEvent', 'AnyEvent::Fork' ],
    start => sub {
        my ($r, $argv) = @_;
        my $there = AnyEvent->condvar;
        AnyEvent::Fork->new->eval($code)->send_arg(@{$argv})->run('start', $there);
        $there->recv;
    },
};
