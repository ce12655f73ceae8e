#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A call that a spare runs finds what every call finds: seen from inside, beside one
# whose process was forked for it, from both kinds of template. Before a first call
# there are no spares.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::Process qw(open_files parent_of);
use SpawnTest::Spares ();

my @options = (
    [],
    [
        cwd => '/tmp', env => { GIVEN => "a\nb" }, umask => oct 27, nice => 3, limits => { files => 77, core => 0 },
        no_new_privs => 1, stderr => 'log', timeout => 30
    ],
    [ stdin => \'data', stdout => '/dev/full', queue => 'other', label => 'a label' ],
);

# Without what is each process's own.
sub common {
    my ($look) = @_;
    my %common = %{$look};
    my $id = $common{env}{SPAWN_JOB_ID};
    delete @common{qw(pid random began)};
    $common{$_} = $common{$_} == $look->{pid} for qw(group session);
    # our own descriptors have any number from 64 on
    my $fds = $common{fds};
    $common{fds} = { map { $_ => $fds->{$_} } grep { $_ < 64 } keys %{$fds} };
    $common{own_fds} = [ sort map { $fds->{$_} } grep { $_ >= 64 } keys %{$fds} ];
    s/\Q$id\E// for @common{qw(name c_env)}, $common{env}{SPAWN_JOB_ID};
    $common{c_env} =~ s/^_=.*\n//mg;
    s/^(Max realtime timeout +)\d+ /${1}mark / for @{ $common{limits} = [ @{ $common{limits} } ] };    # each has its own
    return \%common;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Spares->new(
            mpm => $mpm, conf => "<SpawnQueue other>\n</SpawnQueue>\n",
            templates => "SpawnTemplate no_parent parent spares=0\nSpawnTemplate no_exec exec inc=\@INC\@ preload=My::Spare spares=0\n",
        )->start;
        my $spawn = $t->spawn;
        is_deeply [ $t->spares ], [], 'no spares before the first call';
        for my $kind (qw(parent exec)) {
            my %randoms;
            my %parents;
            for my $options (@options) {
                my %given = @{$options};
                my $about = "$kind (@{[ sort keys %given ]})";
                my @spares = $t->have_spares($kind, 2);
                my %is = map { $_ => 1 } @spares;
                $parents{ parent_of($_) } = 1 for @spares;
                my $from = time;
                my $ready = $spawn->call('My::Spare::look', [], template => $kind, @{$options});
                my $forked = $spawn->call('My::Spare::look', [], template => "no_$kind", @{$options});
                ok $is{ $ready->{pid} }, "$about: a spare ran it";
                if ($kind eq 'parent') {    # each is its own template's child
                    ok delete $parents{ $ready->{parent} }, '... a child of its template';
                    $ready->{parent} = $forked->{parent};
                }
                is_deeply common($ready), common($forked), '... and found the same as another';
                cmp_ok $ready->{began}, '>=', $from, '... which begins now';
                $randoms{ $_->{random} }++ for $ready, $forked;
            }
            is scalar(keys %randoms), 2 * @options, "$kind: no random number twice";
            my @spares = $t->have_spares($kind, 2);
            for my $pid (@spares) {
                my %open = open_files($pid);
                is scalar(grep { $_ > 2 && $open{$_} =~ /socket/ } keys %open), 1, 'a spare has one socket';
                is_deeply [ grep { $_ > 2 && $open{$_} !~ m{socket|pidfd|\A/dev/null\z} } keys %open ], [], '... and no file';
            }
        }
        is_deeply [ $t->spares('no_parent'), $t->spares('no_exec') ], [], 'spares=0: there are none';
        unlike $t->httpd->error_log, qr/MS03(?:16|17|31)/, 'the log is quiet';
    }
);
done_testing;
