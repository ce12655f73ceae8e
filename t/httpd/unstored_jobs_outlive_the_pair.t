#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# kill -9 of the broker, the spawner or both in the moment in which a job runs and the
# store does not have it yet: it goes on, runs once, and its end is told and recorded,
# whoever submitted it and however. A caller that waits for its end has it. So it is of
# a Perl job whose template httpd has forked.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Process qw(alive);
use SpawnTest::Templates ();

my $function = <<'PERL';
package My::Moment;
sub passes {
    my ($ran, $began, $gate) = @_;
    open my $out, '>>', $ran or die "$ran: $!\n";
    syswrite $out, "$ENV{SPAWN_JOB_ID}\n";
    open my $say, '>', $began or die "$began: $!\n";
    syswrite $say, "$ENV{SPAWN_JOB_ID} $$\n";
    open my $in, '<', $gate or die "$gate: $!\n";
    sysread $in, my $line, 1;
    return 'through';
}
1;
PERL

sub slurp {
    my ($path) = @_;
    open my $in, '<:raw', $path or return q{};
    local $/ = undef;
    return scalar <$in>;
}

# Do the files of the store have the bytes of this id?
sub is_stored {
    my ($httpd, $id) = @_;
    my $bytes = pack 'H*', $id =~ tr/-//dr;
    my ($store) = $httpd->socket =~ m{(.*)/};
    return scalar grep { index(slurp("$store/store/$_"), $bytes) >= 0 } qw(jobs.db jobs.db-wal);
}

# In a process of its own: prints what came of it.
sub in_child {
    my ($does) = @_;
    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!\n";
    return $out if $pid;
    my $said = eval { $does->() } // "died: $@";
    print "$said\n";
    STDOUT->flush;
    POSIX::_exit(0);
}

# A spawner that dies young is replaced at once only the first time.
my %last = (
    prefork => [ 'run', 'spawner' ],
    worker  => [ 'accepted', 'spawner', 'broker' ],
    event   => [ 'call', 'spawner', 'broker' ],
);
my $conf = "SpawnSubmitTimeout 30\n<SpawnQueue parent>\nSpawnTemplate loaded\n</SpawnQueue>\n" . SpawnTest::Httpd->rounds_are_short;
my $unstored = 0;

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Templates->new(mpm => $mpm, conf => $conf, perl => $function,
            files => { 'My/Moment.pm' => $function },
            templates => "SpawnTemplate loaded parent\nSpawnTemplate app exec inc=\@INC\@ preload=My::Moment")->start;
        my $httpd = $t->httpd;
        my $ran = $httpd->work . '/ran';
        my $gate = SpawnTest::Gate->new($httpd, 'gate');
        my $began = SpawnTest::Gate->new($httpd, 'began');
        my $sh = "echo \$SPAWN_JOB_ID >>$ran; echo \$SPAWN_JOB_ID \$\$ >" . $began->path . '; read line <' . $gate->path . '; exit 7';
        my @argv = ('/bin/sh', '-c', $sh);

        # How a job comes, and what is told to who waits for its end.
        my $call = sub { $httpd->connection->call('My::Moment::passes', [ $ran, $began->path, $gate->path ], @_) };
        my %ways = (
            run      => sub { $httpd->run([@argv])->{exit_code} },
            call     => sub { $call->() },
            parent   => sub { $call->(queue => 'parent') },
            accepted => sub { $httpd->spawn([@argv])->{id} },
            posted   => sub { $httpd->spawn([@argv], reply => 'posted')->{id} },
        );
        my %told = (run => 7, call => 'through', parent => 'through');

        my $moment = sub {
            my ($way, @victims) = @_;
            my $name = "$way, without " . join ' and ', @victims;
            my %old = map { $_ => $_ eq 'broker' ? $httpd->broker_pid : $httpd->spawner_pid } qw(spawner broker);
            my $answer = in_child($ways{$way});
            my ($id, $pid) = split ' ', readline $began->{pipe};
            kill STOP => $old{broker};
            $unstored++ if !is_stored($httpd, $id);
            kill KILL => map { $old{$_} } @victims;
            kill CONT => $old{broker};
            ok $httpd->new_pid('broker', $old{broker}), "$name: another one comes";
            ok alive($pid), "$name: the job runs on";
            my $state = $httpd->status($id)->{state};
            $gate->let;
            my $end = $httpd->wait($id);
            my $ended = $end->{outcome};
            if (grep { $_ eq 'spawner' } @victims) {    # nobody may have known yet that it runs
                ok + (grep { $ended eq $_ } qw(exited code_unknown lost)), "$name: its end is told"
                    or diag explain $end;
            }
            else {
                is $state, 'running', "$name: and is known to";
                is $ended, 'exited', "$name: its end is told" or diag explain $end;
                chomp(my $said = <$answer>);
                is $said, $told{$way} // $id, "$name: and who waits has it";
            }
            close $answer;
            wait_until(sub { !alive($pid) }, 20);
            is scalar(grep { $_ eq "$id\n" } split /(?<=\n)/, slurp($ran)), 1, "$name: it ran once";
            return;
        };
        $moment->($_, 'broker') for qw(run call parent accepted posted);
        $moment->(@{ $last{$mpm} });
        $moment->('parent', 'spawner', 'broker');
    }
);
cmp_ok $unstored, '>', 0, 'some were not stored yet';
done_testing;
