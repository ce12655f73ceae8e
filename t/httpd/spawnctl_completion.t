#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Completion of spawnctl in bash and zsh: each verb and each option that there is, and no other;
# the values that an option takes; names of queues and of recurring jobs, and ids of jobs. Without
# a broker, nothing, and no word about it. Text that is typed, or stands in a job, is not
# executed.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(build_dir one_mpm root_dir wait_until);

use lib SpawnTest::build_dir() . '/perl';
use Apache2::Spawn ();

my $root = root_dir();

sub slurp {
    my ($file) = @_;
    open my $in, '<', "$root/$file" or die "$file: $!\n";
    local $/ = undef;
    return scalar <$in>;
}

# A word a line, as the shell would show them. zsh's own functions are played.
my %driver = (
    bash => <<'END',
. "$ROOT/packaging/completion/spawnctl.bash"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_spawnctl
[ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\n' "${COMPREPLY[@]}"
END
    zsh => <<'END',
fpath=("$ROOT/packaging/completion" $fpath)
out=()
compadd() {
    while (( $# )); do
        case $1 in
            -V) shift ;;
            -a) shift; out+=(${(P)1}) ;;
            *) out+=("$1") ;;
        esac
        shift
    done
}
_describe() { out+=(${${(P)@[-1]}%%:*}) }
compset() { PREFIX=${PREFIX#*=} }
_files() { }; _command_names() { }; _users() { }; _groups() { }
autoload -Uz _spawnctl
words=("$@"); CURRENT=$#; PREFIX=$@[-1]
_spawnctl
for word in $out; do [[ $word != ${(b)PREFIX}* ]] || print -r -- $word; done
END
);

sub complete {
    my ($shell, @words) = @_;
    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        open STDERR, '>&', \*STDOUT;
        $ENV{ROOT} = $root;
        $ENV{PATH} = build_dir() . ":$ENV{PATH}";
        delete $ENV{SPAWN_SOCKET};
        exec $shell, ($shell eq 'zsh' ? '-f' : '--norc'), '-c', $driver{$shell}, $shell, 'spawnctl', @words or POSIX::_exit(127);
    }
    my @found = <$out>;
    close $out;
    chomp @found;
    @found = sort @found;
    return @found;
}

# ---- what there is, by the sources ----

my ($table) = slurp('ctl/main.c') =~ /\bverbs\[\] = \{(.*?)\};/s;
my @verbs = sort $table =~ /\{"([\w-]+)",/g;
my ($common) = slurp('ctl/ctl.h') =~ /define CTL_LONG_OPTIONS(.*?)\n\n/s;
my @common = $common =~ /\{"([a-z-]+)",/g;

sub options_of {
    my ($verb) = @_;
    my $file = $verb eq 'run' ? 'ctl/options.c' : $verb =~ /^(?:pause|resume|drain|scale)$/ ? 'ctl/queue_change.c' : 'ctl/' . $verb =~ tr/-/_/r . '.c';
    my ($options) = slurp($file) =~ /struct option \w+\[\] = \{(.*?)\};/s;
    my %is = map { $_ => 1 } $options =~ /(?:OPTION\(|\{)"([a-z-]+)",/g, @common;
    delete $is{undo} if $verb eq 'resume';
    delete $is{json} if $verb =~ /^(?:logs|metrics|top|check-code)$/;    # refused, or no other form
    delete $is{limit};                                        # another name of limits
    return map {"--$_"} sort keys %is;
}

# ---- a server with some jobs ----

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), handlers => 0, conf => <<'END')->start;
SpawnSubmitTimeout 60s
<SpawnQueue images>
</SpawnQueue>
<SpawnQueue mail>
</SpawnQueue>
SpawnCron "0 0 1 1 *" name=new-year /bin/true
END
my $spawn = $httpd->connection;
my $gate = SpawnTest::Gate->new($httpd, 'gate');
my $runs = $spawn->spawn($gate->job(''), stdout => 'null', reply => 'started', label => '","id":"evil","queue":"evil', queue => 'mail',
    context => { 'id' => 'evil', '","id' => '","id":"evil' });
my $ended = $spawn->spawn([ '/bin/echo', '"id":"evil"', ',"id":"evil"' ]);
my $dead = $spawn->spawn([ '/bin/false' ], retry => 1, backoff => [0.1]);
my $later = $spawn->spawn([ '/bin/true' ], delay => 3600);
$_->wait(60) for $ended, $dead;
my $ctl = SpawnTest::Ctl->new($httpd);
ok wait_until(sub { $ctl->run(qw(ps --state dead))->{out} =~ /false/ }, 60), 'the history is there';
my ($run_id, $end_id, $dead_id, $later_id) = map { $_->id } $runs, $ended, $dead, $later;
my $end_of = sub { my ($id) = @_; return $id =~ s/.*-//r };
my @socket = ('--socket', $httpd->socket);

for my $shell (qw(bash zsh)) {
    SKIP: {
        skip "no $shell", 1 if !grep { -x "$_/$shell" } split /:/, $ENV{PATH};
        my $has = sub {
            my ($words, $want, $name) = @_;
            local $Test::Builder::Level = $Test::Builder::Level + 1;
            return is_deeply [ complete($shell, @{$words}) ], [ sort @{$want} ], "$shell: $name";
        };
        $has->([''], \@verbs, 'all verbs');
        $has->(['re'], [qw(resume retry)], 'those that begin so');
        $has->(['--'], [ map {"--$_"} sort @common, 'standalone', 'timeout' ], 'options before the verb');
        $has->([ $_, '--' ], [ options_of($_) ], "options of $_") for @verbs;

        # values of an option, as spawnctl says them when it is given another one
        for my $case ([qw(run reply)], [qw(run leftovers)], [qw(run on-conflict)], [qw(run after-failed)], [qw(run unique-for)],
            [qw(run retry-on)], [qw(run ionice)], [qw(ps state)], [qw(ps outcome)], [qw(wait for)]) {
            my ($verb, $option) = @{$case};
            my ($wanted) = $ctl->run($verb, "--$option", '?', '/bin/true')->{err} =~ /wanted: (.*)/;
            $wanted =~ s/ or (?:a time|exit codes.*|best-effort:.*)|or some of //;
            $has->([ $verb, "--$option", '' ], [ grep { $_ ne 'or' } $wanted =~ /([a-z_-]+)/g ], "values of $verb --$option");
        }

        # words that the broker knows: it is given a second, which can be too little on a busy machine
        my $known = sub {
            my ($words, $want, $name) = @_;
            local $Test::Builder::Level = $Test::Builder::Level + 1;
            wait_until(sub { "@{[ complete($shell, @{$words}) ]}" eq "@{[ sort @{$want} ]}" }, 60);
            return $has->($words, $want, $name);
        };
        $known->([ @socket, 'pause', '' ], [qw(default images mail)], 'queues');
        $known->([ @socket, qw(run --queue im) ], ['images'], 'a queue that begins so');
        $known->([ @socket, 'kill', '' ], [ map { $end_of->($_) } $run_id, $later_id ], 'a job that has not ended, by its end');
        $known->([ @socket, qw(logs -f), '' ], [ map { $end_of->($_) } $run_id, $end_id, $dead_id, $later_id ], 'each that is known');
        $known->([ @socket, 'show', substr $end_id, 0, 35 ], [$end_id], 'a whole id for who has begun one');
        $known->([ @socket, 'retry', '' ], [ $end_of->($dead_id) ], 'those that are dead');
        $known->([ @socket, 'start', '' ], [ $end_of->($later_id) ], 'those that wait for their time');
        $known->([ @socket, qw(cron pause), '' ], ['new-year'], 'a recurring job');
        $known->([ @socket, 'wait', $end_of->($run_id), '' ], [], 'one id, and no other');

        # nobody there
        $has->([ '--socket', $httpd->dir . '/none', @{$_}, '' ], [], "nothing for @{$_} without a broker")
            for ['pause'], ['show'], [qw(run --queue)], [qw(cron run)];
        my $made = $httpd->work . '/made';
        $has->([ @socket, 'show', "\$(touch $made)" ], [], 'what is typed');
        $has->([ '--socket', "\$(touch $made)", 'show', '' ], [], '... as a socket, too');
        ok !-e $made, "$shell: ... is not executed";
    }
}
done_testing;
