# SPDX-License-Identifier: Apache-2.0
#
# The callers of a soak, each a process: they submit job after job until the time is over.
# A plain one is a script outside httpd, a web one asks httpd's children, and a shell one
# runs spawnctl. Runs in the soak's processes.

package SpawnTest::Soak::Client;

use strict;
use warnings;

use Apache2::Spawn ();
use HTTP::Tiny ();
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(usleep);

use SpawnTest::Soak::Act ();
use SpawnTest::Soak::Journal qw(journal ms);
use SpawnTest::Soak::Mix ();
use SpawnTest::Soak::Random ();

use constant LONGEST => 150;    # seconds for what was begun at the end

# Starts one: world, kind (plain, web, shell), name, ms at which it ends. Its pid. It is
# executed, so that it has the clock that is stepped.
sub start {
    my ($world, $kind, $name, $until) = @_;
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    return $pid if $pid;
    my %world = (%{$world}{qw(seed ctl log accepted)}, socket => $world->{httpd}->socket, url => $world->{httpd}->url('/soak'),
        program => $SpawnTest::Soak::Act::program, ledger => $SpawnTest::Soak::Act::ledger);
    exec $^X, '-MSpawnTest::Soak::Client', '-e', 'SpawnTest::Soak::Client::main(@ARGV)', JSON::PP::encode_json(\%world), $kind,
        $name, $until
        or POSIX::_exit(127);
}

sub main {
    my ($given, $kind, $name, $until) = @_;
    my $world = JSON::PP::decode_json($given);
    $SpawnTest::Soak::Journal::dir = $world->{log};
    ($SpawnTest::Soak::Act::program, $SpawnTest::Soak::Act::ledger) = @{$world}{qw(program ledger)};
    %SpawnTest::Soak::Mix::accepted = %{ $world->{accepted} };
    my $done = eval {
        local $SIG{ALRM} = sub { die "client $name hangs\n" };
        alarm LONGEST + ($until - ms()) / 1000;
        my $random = SpawnTest::Soak::Random->new($world->{seed}, $name);
        my $loop = { plain => \&_plain, web => \&_web, shell => \&_shell }->{$kind};
        $loop->($world, $random, $name, $until);
        1;
    };
    journal('X', $name, undef, "$@") if !$done;
    POSIX::_exit($done ? 0 : 1);
}

sub _plain {
    my ($world, $random, $name, $until) = @_;
    my $spawn = Apache2::Spawn->connect($world->{socket});
    for (my $n = 1; ms() < $until; $n++) {
        SpawnTest::Soak::Act::act($spawn, SpawnTest::Soak::Mix::job($random, "$name.$n", 'perl'), $name);
        _breath($random);
    }
    return;
}

sub _web {
    my ($world, $random, $name, $until) = @_;
    my $http = HTTP::Tiny->new(timeout => 120, keep_alive => 0);
    for (my $n = 1; ms() < $until;) {
        my @jobs = map { SpawnTest::Soak::Mix::job($random, "$name." . $n++, 'httpd') } 1 .. $random->between(1, 12);
        my $answer = $http->post($world->{url}, { content => JSON::PP::encode_json(\@jobs) });
        if ($answer->{success}) {
            journal('W', $_->{token}, undef) for grep { $_->{way} eq 'cleanup' } @jobs;
        } else {
            usleep(50_000);    # httpd is stopped, or its child was killed
        }
        _breath($random);
    }
    return;
}

# Busy, with pauses: nobody submits for ever at the same rate.
sub _breath {
    my ($random) = @_;
    usleep($random->percent(4) ? $random->below(300_000) : $random->below(3000));
    return;
}

# ---- spawnctl ----

sub _shell {
    my ($world, $random, $name, $until) = @_;
    for (my $n = 1; ms() < $until; $n++) {
        my $job = SpawnTest::Soak::Mix::job($random, "$name.$n", 'ctl');
        next if $job->{has_handle};
        my $verb = $random->weighted([ 40, 'run' ], [ 40, 'detach' ], [ 10, 'ps' ], [ 10, 'templates' ])->[1];
        if ($verb eq 'ps' || $verb eq 'templates') {
            _ctl($world, '--json', $verb);
            next;
        }
        $job->{way} = $verb eq 'run' ? 'run' : 'spawn';
        next if $job->{at} || $job->{options}{after} || ($verb eq 'run' && $job->{delay});    # who waits cannot
        next if ($job->{options}{on_conflict} || '') eq 'keep';
        _submit($world, $job, $verb);
        usleep($random->below(20_000));
    }
    return;
}

sub _submit {
    my ($world, $job, $verb) = @_;
    my ($token, %options) = ($job->{token}, %{ $job->{options} });
    my $bytes = delete $options{stdin_bytes};
    delete @options{qw(reply)};
    my @options = $verb eq 'run' ? ('--json', 'run') : qw(run --detach);
    for my $name (sort keys %options) {
        my $value = $options{$name};
        my @values = !ref $value ? $value : map {"$_=$value->{$_}"} sort keys %{$value};
        (my $long = $name) =~ tr/_/-/;
        push @options, $name =~ /\A(?:no_new_privs|durable)\z/ ? "--$long" : ("--$long", $_) for @values;
    }
    push @options, '--stdin', '-' if $bytes;
    $job->{has_handle} = 1 if $bytes;    # its stdin: a file of ours
    SpawnTest::Soak::Act::submits($job, 'spawnctl');
    my ($code, $out) = _ctl($world, { stdin => $bytes }, @options, '--',
        $job->{missing} ? "$SpawnTest::Soak::Act::program.not_there" : $SpawnTest::Soak::Act::program,
        $SpawnTest::Soak::Act::ledger, $token, @{ $job->{words} });
    if ($verb eq 'detach') {
        return journal('A', $token, $1) if $code == 0 && $out =~ /^([0-9a-f-]{36})\s*\z/;
        return journal('U', $token, undef, "spawnctl: $code");    # its words say more than its code
    }
    my $end = $out =~ /\A\{/ ? eval { JSON::PP::decode_json($out) } : undef;
    return journal('U', $token, undef, "spawnctl: $code") if !$end || ($end->{state} || '') ne 'done';
    journal('T', $token, @{$end}{qw(id outcome exit_code signal result_kind step elapsed_ms)}, '');
    if ($job->{then} && $job->{then}[0] eq 'wait') {
        _ctl($world, 'wait', $end->{id});
    }
    return;
}

# Exit code and stdout.
sub _ctl {
    my ($world, @words) = @_;
    my $options = ref $words[0] ? shift @words : {};
    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!\n";
    if (!$pid) {
        delete @SIG{qw(INT TERM HUP PIPE ALRM)};
        open STDERR, '>', '/dev/null';
        if (my $bytes = $options->{stdin}) {
            open my $in, '+>', undef or POSIX::_exit(99);
            print {$in} 'x' x $bytes;
            $in->flush;
            seek $in, 0, 0;
            open STDIN, '<&', $in;
        } else {
            open STDIN, '<', '/dev/null';
        }
        $ENV{SPAWN_SOCKET} = $world->{socket};    ## no critic (RequireLocalizedPunctuationVars)
        exec { $world->{ctl} } 'spawnctl', @words or POSIX::_exit(99);
    }
    my $text = do { local $/ = undef; <$out> };
    close $out;
    return ($? & 127 ? -($? & 127) : $? >> 8, defined $text ? $text : '');
}

1;
