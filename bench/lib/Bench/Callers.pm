# SPDX-License-Identifier: Apache-2.0
#
# The ways in which a handler calls a Perl function in another process and waits for
# its value: ours and those of others. Each is a name, the modules that it needs and
# code that is given the request's arguments once and returns the code of a call.
# Processes that it starts stay with httpd's child. Loaded in the suite to know what
# can be measured, and in httpd's children, where they run.

package Bench::Callers;

use strict;
use warnings;

use POSIX ();
use Socket qw(AF_UNIX SOCK_SEQPACKET pack_sockaddr_un);

use Bench::Ways ();

my %caller = (
    spawn => {
        name => 'call',
        need => ['Apache2::Spawn'],
        prepare => \&_spawn,
    },
    rpc => {
        name => 'AnyEvent::Fork::RPC',
        need => [ 'AnyEvent', 'AnyEvent::Fork', 'AnyEvent::Fork::RPC' ],
        prepare => \&_rpc,
    },
    gearman => {
        name => 'Gearman, 1 worker',
        need => ['Gearman::Client'],
        prepare => \&_gearman,
    },
    anyevent_fork => {
        name => 'AnyEvent::Fork in the handler',
        need => [ 'AnyEvent', 'AnyEvent::Fork' ],
        prepare => \&_anyevent_fork,
    },
    frozen => {
        name => 'limit: a frozen Perl in C that forks, no record',
        prepare => \&_frozen,
    },
    fork => {
        name => 'fork in the handler',
        prepare => \&_fork,
    },
    none => {
        name => 'no call',
        prepare => sub { return sub { return $_[0] } },
    },
);

sub shown { return $caller{ $_[0] }{name} }

# Loads the modules that a caller needs; what is missing, or nothing.
sub missing { return Bench::Ways::missing($caller{ $_[0] }) }

my %ready;

# prepared($name, \%in): code that calls Bench::Work::echo with a value and returns
# what it gives. Made once for each name and template or queue.
sub prepared {
    my ($name, $in) = @_;
    my $key = join q{ }, $name, map { defined $in->{$_} ? "$_=$in->{$_}" : () } qw(template queue megabytes server);
    return $ready{$key} ||= do {
        my $caller = $caller{$name} or die "no such caller: $name\n";
        my $missing = missing($name);
        die "$missing\n" if $missing;
        $caller->{prepare}->($in);
    };
}

# queue or template
sub _spawn {
    my ($in) = @_;
    my @options = map { defined $in->{$_} ? ($_ => $in->{$_}) : () } qw(queue template);
    return sub { return scalar Apache2::Spawn->call('Bench::Work::echo', [ $_[0] ], @options) };
}

# A process that loads the module, for all calls of this child.
sub _rpc {
    my $rpc = AnyEvent::Fork->new_exec->eval(_inc())->require('Bench::Work')
        ->AnyEvent::Fork::RPC::run('Bench::Work::echo', on_error => sub { die "rpc: $_[0]\n" });
    return sub {
        my $got = AnyEvent->condvar;
        $rpc->($_[0], sub { $got->send(@_) });
        return scalar $got->recv;
    };
}

# server: HOST:PORT
sub _gearman {
    my ($in) = @_;
    my $client = Gearman::Client->new(job_servers => [ $in->{server} ]);
    return sub {
        my $got = $client->do_task('echo', $_[0]);
        die "gearman: no answer\n" if !defined $got;
        return ${$got};
    };
}

# server: where bench/c/fork_frozen.c listens
sub _frozen {
    my ($in) = @_;
    socket my $socket, AF_UNIX, SOCK_SEQPACKET, 0 or die "socket: $!\n";
    connect $socket, pack_sockaddr_un($in->{server}) or die "$in->{server}: $!\n";
    return sub {
        send $socket, $_[0], 0 or die "send: $!\n";
        defined recv $socket, my $answer, 100, 0 or die "recv: $!\n";
        return $answer;
    };
}

# A template of these megabytes in each of httpd's children, as AnyEvent::Fork's
# manual has it, forked for each call.
sub _anyevent_fork {
    my ($in) = @_;
    my $template = AnyEvent::Fork->new_exec->eval(_inc())->require('Bench::Work');
    $template->eval('Bench::Work::grow(' . $in->{megabytes} . ')') if $in->{megabytes};
    return sub {
        my $got = AnyEvent->condvar;
        my ($watcher, $answer) = (undef, '');
        $template->fork->send_arg($_[0])->run('Bench::Work::answer', sub {
            my ($handle) = @_;
            $watcher = AnyEvent->io(fh => $handle, poll => 'r', cb => sub {
                my $n = sysread $handle, $answer, 100, length $answer;
                return if $n;
                undef $watcher;
                $got->send($answer);
            });
            return;
        });
        return scalar $got->recv;
    };
}

# Where Bench::Work is, for processes that know nothing.
sub _inc {
    (my $dir = $INC{'Bench/Work.pm'}) =~ s{/Bench/Work\.pm\z}{};
    return "use lib '$dir';";
}

# httpd's child itself is the template.
sub _fork {
    return sub {
        my ($value) = @_;
        pipe my $in, my $out or die "pipe: $!\n";
        my $pid = fork;
        defined $pid or die "fork: $!\n";
        if ($pid == 0) {
            syswrite $out, Bench::Work::echo($value);
            POSIX::_exit(0);
        }
        close $out;
        sysread $in, my $answer, 100;
        waitpid $pid, 0;
        return $answer;
    };
}

1;
