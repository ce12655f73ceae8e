#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# spawnctl templates tells how many spares each template has ready and how many it may
# have: those that there are in /proc, none before the first call, none of another
# template's, and not those that got an order. Jobs that took the title of a spare are
# not counted where their parent is another.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Ctl ();
use SpawnTest::Spares ();

sub rows {
    my ($t) = @_;
    my ($list) = SpawnTest::Ctl->new($t->httpd)->json('templates');
    return { map { $_->{template} => $_ } @{$list} };
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Spares->new(
            mpm => $mpm, spares => 'spares=3',
            templates => "SpawnTemplate none exec inc=\@INC\@ preload=My::Spare spares=0\nSpawnTemplate broken exec inc=\@INC\@ preload=My::Missing\n",
        )->start;
        # the broken one has a process each time that it is tried
        my $rows;
        wait_until(
            sub {
                $rows = rows($t);
                return !defined $rows->{broken}{spares} && 3 == grep { $rows->{$_}{state} eq 'ready' } qw(parent exec none);
            },
            60
        );
        is_deeply [ map { @{ $rows->{$_} }{qw(spares spares_most)} } qw(parent exec none broken) ], [ 0, 3, 0, 3, 0, 0, undef, 4 ],
            'before the first call: none, of so many; not known where there is no process';
        $t->spawn->call('My::Spare::pid', [], template => 'none');
        my $impostor = fork;
        die "fork: $!\n" if !defined $impostor;
        if (!$impostor) {
            $0 = 'mod_spawn spare exec';
            sleep 60;
            exit 0;
        }
        # spares leave when nobody needs them: then there are calls again
        my ($counts, $line) = q{};
        wait_until(
            sub {
                $t->have_spares($_, 2) for qw(parent exec);
                $rows = rows($t);
                $counts = join q{ }, map { $rows->{$_}{spares} } qw(parent exec none);
                ($line) = grep {/\Aexec /} split /\n/, SpawnTest::Ctl->new($t->httpd)->run('templates')->{out};
                return $counts eq '2 2 0' && $line =~ m{ 2/3 };
            },
            60
        );
        is $counts, '2 2 0', 'after calls: those that there are';
        like $line, qr{\Aexec +exec +[0-9]+ +ready +\S+ +[0-9]+ +0 +2/3 }, '... as a table';
        kill KILL => $impostor;
        waitpid $impostor, 0;
    }
);
done_testing;
