# SPDX-License-Identifier: Apache-2.0
#
# A private httpd with mod_perl and mod_spawn for a test: own directory under
# /tmp, own port on 127.0.0.1, any MPM, any configuration; it can be stopped,
# restarted and killed in every way, and nothing of it outlives the test. Runs
# in test scripts; signals only processes that it started or whose command line
# names its own directory. Its httpd.conf is Httpd/Conf.pm's, its spawner and broker
# are Httpd/Pair.pm's.
#
# Why not Apache::Test: that makes one server for a whole checkout, in the
# checkout (which httpd's User may be unable to enter), from the system's
# httpd.conf, and hides its start and stop. These tests are about start and
# stop, of several servers, with three MPMs in turn. HTTP::Tiny, which comes
# with Perl, asks the questions.

package SpawnTest::Httpd;

use strict;
use warnings;

use Cwd ();
use File::Copy qw(copy);
use File::Find ();
use File::Path qw(make_path remove_tree);
use File::Temp ();
use HTTP::Tiny ();
use IO::Socket::INET ();
use JSON::PP ();
use POSIX qw(WNOHANG);
use Scalar::Util qw(weaken);
use Test::More ();

use SpawnTest::Process qw(children_of);
use SpawnTest::Wait qw(wait_until);

use parent qw(SpawnTest::Httpd::Conf SpawnTest::Httpd::Pair);

use constant START_SECONDS => $ENV{SPAWN_IN_VM} ? 600 : 60;
use constant STOP_SECONDS => 60;

my %all;                                # every httpd of this test, weak
my $json = JSON::PP->new->canonical->allow_nonref;

# new(%options); nothing runs yet.
#   mpm       prefork (default), worker, event
#   conf      more lines of httpd.conf, at its end
#   perl      Perl code evaluated in the httpd parent after the handlers'
#   handlers  0: no Perl module is loaded, the tests' handlers neither
#   children  most requests at once (default 4)
#   spawn     0: mod_spawn is not loaded
#   single    1: httpd -X
#   as        the account that starts httpd, when a test that runs as root wants
#             an ordinary one
#   wrapper   words of a command that runs httpd in a surrounding of its own
#   runtime   DefaultRuntimeDir, of another httpd of the same test
#   module    mod_spawn.so, when it is not the build's
#   switches  more of PerlSwitches
#   lib       where Apache2::Spawn is, when it is not the build's
#   log       code that returns the error log, when it is not the file
sub new {
    my ($class, %options) = @_;
    my $self = bless {
        mpm => 'prefork',
        conf => '',
        perl => '',
        children => 4,
        spawn => 1,
        single => 0,
        handlers => 1,
        wrapper => [],
        module => SpawnTest::build_dir() . '/mod_spawn.so',
        %options,
        owner => $$,
    }, $class;

    # The real path: what /proc tells is compared with it.
    $self->{dir} = Cwd::realpath(
        File::Temp::tempdir('spawn-test-XXXXXXXX', DIR => $self->{disk} ? _disk() : '/tmp', CLEANUP => 0));
    chmod 0755, $self->{dir} or die "$self->{dir}: $!\n";
    $self->{guest} = defined $self->{runtime};    # the pair is another one's
    $self->{runtime} ||= "$self->{dir}/run";
    _open_dir("$self->{dir}/$_") for qw(bin perl htdocs);
    _open_dir($self->{runtime});
    mkdir $self->work or die "$self->{dir}/work: $!\n";
    chmod 01777, $self->work or die "$self->{dir}/work: $!\n";
    $self->_copy_perl;
    $self->_give_to($self->{as}) if defined $self->{as} && $< == 0;

    $all{$self} = $self;
    weaken($all{$self});
    return $self;
}

# Durable jobs want one, and /tmp is in memory on many machines.
sub _disk {
    my $type = `stat -f -c %T /tmp`;
    return $type eq "tmpfs\n" ? '/var/tmp' : '/tmp';
}

# ---- where things are ----

sub dir       { return $_[0]{dir} }
sub pid       { return $_[0]{pid} }
sub port      { return $_[0]{port} }
sub url       { return "http://127.0.0.1:$_[0]{port}$_[1]" }
sub conf_file { return "$_[0]{dir}/httpd.conf" }
sub work      { return "$_[0]{dir}/work" }               # jobs may write here
sub socket    { return "$_[0]{runtime}/spawn/socket" }   ## no critic (ProhibitBuiltinHomonyms)

# A connection of the test script's own, which has loaded Apache2::Spawn. It waits for the
# broker so long that a busy machine is no failure; to give up is the test of other ones.
sub connection { return Apache2::Spawn->connect($_[0]->socket, timeout => 60) }

# httpd's User when it starts as root; else who starts it.
sub user {
    my ($self) = @_;
    return scalar getpwuid $< if $< != 0;
    return $self->{as} if ref $self && defined $self->{as};
    for my $name (qw(www-data apache httpd nobody)) {
        return $name if getpwnam $name;
    }
    die "no account for httpd's children was found\n";
}

sub uid { my ($self) = @_; return scalar getpwnam $self->user }
sub gid { my ($self) = @_; return (getpwnam $self->user)[3] }

# ---- files for jobs ----

# Writes an executable file where jobs can reach it; returns its path.
sub script {
    my ($self, $name, $text) = @_;
    return $self->_file("bin/$name", $text, 0755);
}

# Writes a plain file; returns its path.
sub file {
    my ($self, $name, $text, $mode) = @_;
    return $self->_file("bin/$name", $text, defined $mode ? $mode : 0644);
}

# The program that reports what a job sees; returns its path.
sub probe {
    my ($self) = @_;
    my $to = "$self->{dir}/bin/probe";
    if (!-e $to) {
        my $from = SpawnTest::build_dir() . '/t/probe';
        copy($from, $to) or die "$from (make probe): $!\n";
        chmod 0755, $to or die "$to: $!\n";
    }
    return $to;
}

# The probe's report, or undef when it is not there within the seconds.
sub report {
    my ($self, $path, $seconds) = @_;
    wait_until(sub { -e $path }, defined $seconds ? $seconds : 20) or return;
    return $json->decode(_slurp($path));
}

# ---- start and stop ----

# Starts httpd and waits until it answers; dies with the log's tail if not.
sub start {
    my ($self) = @_;
    for my $try (1 .. 5) {
        $self->{port} ||= free_port();
        my $from = length $self->error_log;
        return $self if $self->_try_start;
        my $said = substr $self->error_log, $from;
        die "httpd did not start:\n" . $self->tail if $said !~ /Address already in use/;
        delete $self->{port};
    }
    die "no free port was found\n";
}

# Starts httpd, which is expected to refuse: returns its exit status and what
# it wrote to the error log.
sub start_refused {
    my ($self) = @_;
    $self->{port} ||= free_port();
    my $from = length $self->error_log;
    my $started = $self->_try_start;
    my $status = $self->{status};
    $self->stop if $started;
    return ($started ? undef : $status >> 8, substr $self->error_log, $from);
}

# httpd -t with this configuration: exit status and what it said.
sub check_conf {
    my ($self) = @_;
    $self->{port} ||= free_port();
    $self->write_conf;
    my @command = ($self->_program, '-t', '-f', $self->conf_file);
    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        open STDERR, '>&', \*STDOUT;
        exec @command or POSIX::_exit(127);
    }
    my $said = do { local $/ = undef; <$out> };
    close $out;
    return ($? >> 8, $said);
}

# As typed at a terminal (apachectl): -k start and the like. The exit code, and
# what came on the terminal.
sub typed {
    my ($self, @words) = @_;
    $self->{port} ||= free_port();
    $self->write_conf;
    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        POSIX::setsid();
        open STDERR, '>&', \*STDOUT;
        delete @ENV{ grep { /^(?:HARNESS|PERL5LIB|TEST_)/ } keys %ENV };
        exec @{ $self->{wrapper} }, $self->_program, @words, '-d', $self->dir, '-f', $self->conf_file
            or POSIX::_exit(127);
    }
    my $said = do { local $/ = undef; <$out> };
    close $out;
    return ($? >> 8, defined $said ? $said : '');
}

# SIGTERM, and waits for the httpd parent. The pair may go on: pair_gone.
sub stop {
    my ($self) = @_;
    return 1 if !$self->{pid};
    kill TERM => $self->{pid};
    return 1 if $self->_reaped(STOP_SECONDS);
    Test::More::diag("httpd $self->{pid} did not stop on SIGTERM");
    $self->kill9;
    return 0;
}

# kill -9 of the httpd parent, which is then reaped. Its children, which no
# longer have anybody, are ended too unless keep_children is given.
sub kill9 {
    my ($self, %options) = @_;
    return if !$self->{pid};
    my @children = $options{keep_children} ? () : $self->children;
    kill KILL => $self->{pid};
    $self->_reaped(STOP_SECONDS);
    for my $pid (@children) {
        kill KILL => $pid if $self->_is_ours($pid);
    }
    return;
}

# Graceful restart; returns when the new generation runs.
sub graceful {
    my ($self) = @_;
    return $self->_again('USR1', qr/resuming normal operations/);
}

# Restart; returns when the new generation runs.
sub restart {
    my ($self) = @_;
    return $self->_again('HUP', qr/resuming normal operations/);
}

# Has the httpd parent ended by itself? Its wait status is kept in {status}.
sub ended {
    my ($self) = @_;
    return 1 if !$self->{pid};
    if (waitpid($self->{pid}, WNOHANG) == $self->{pid}) {
        $self->{status} = $?;
        delete $self->{pid};
        return 1;
    }
    return 0;
}

# ---- log ----

sub error_log {
    my ($self) = @_;
    return $self->{log}->() if $self->{log};
    my $text = _slurp("$self->{dir}/error_log");
    return defined $text ? $text : '';
}

# The last lines of it.
sub tail {
    my ($self, $lines) = @_;
    my @lines = split /^/m, $self->error_log;
    $lines = 40 if !defined $lines;
    splice @lines, 0, @lines - $lines if @lines > $lines;
    return join '', @lines;
}

# Waits until the log, from the given length on, matches.
sub wait_for_log {
    my ($self, $pattern, $seconds, $from) = @_;
    $from = 0 if !defined $from;
    return wait_until(sub { substr($self->error_log, $from) =~ $pattern },
        defined $seconds ? $seconds : 20);
}

# ---- requests ----

sub get {
    my ($self, $path) = @_;
    return HTTP::Tiny->new(timeout => 120, keep_alive => 0)->get($self->url($path));
}

# One action of SpawnTest::Handlers: do('spawn', argv => [...], ...). The
# answer is what the action returned, or { error => {...} }.
sub do {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, $action, %arguments) = @_;
    my $response = HTTP::Tiny->new(timeout => 180, keep_alive => 0)->post(
        $self->url("/do/$action"),
        {
            content => $json->utf8->encode(\%arguments),
            headers => { 'Content-Type' => 'application/json' },
        }
    );
    die "action $action: $response->{status} $response->{content}\n" . $self->tail
        if !$response->{success};
    return $json->utf8->decode($response->{content});
}

# A job by its argv and options: { id => ..., pid => ... } or { error => ... }.
sub spawn {
    my ($self, $argv, %options) = @_;
    return $self->do('spawn', argv => $argv, options => \%options);
}

# To its end: the result's fields, or { error => ... }.
sub run {
    my ($self, $argv, %options) = @_;
    return $self->do('run', argv => $argv, options => \%options);
}

sub status {
    my ($self, $id) = @_;
    return $self->do('status', id => $id);
}

# Its status when it is done, or { error => { code => 'timed_out' } }.
sub wait {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, $id, $seconds) = @_;
    return $self->do('wait', id => $id, seconds => defined $seconds ? $seconds : 30);
}

# ---- processes ----

# httpd's children that serve requests: all but the spawner.
sub children {
    my ($self) = @_;
    return if !$self->{pid};
    my %pair = map { $_ => 1 } $self->spawner_pids;
    return grep { !$pair{$_} } children_of($self->{pid});
}

# ---- the end ----

# Ends everything that was started and removes the directory. After a failed
# test the error log is shown.
sub clean {
    my ($self) = @_;
    return if $self->{cleaned}++ || $self->{owner} != $$;
    local $?;
    local $@;
    $self->stop if $self->{pid};
    $self->_end_pair if !$self->{guest};
    if (!Test::More->builder->is_passing) {
        Test::More::diag("error log of $self->{dir}:\n" . $self->tail(60));
    }
    $self->_keep_reports;
    if ($ENV{SPAWN_KEEP}) {
        Test::More::diag("kept: $self->{dir}");
    } else {
        remove_tree($self->{dir}, { safe => 0 });
    }
    delete $all{$self};
    return;
}

sub DESTROY { $_[0]->clean; return }

END {
    my $status = $?;
    $_->clean for grep { defined } values %all;
    $? = $status;    ## no critic (RequireLocalizedPunctuationVars)
}

# Ctrl-C, a kill of prove, nobody who reads any longer: all go through END.
$SIG{$_} ||= sub { exit 1 } for qw(INT TERM HUP PIPE);   ## no critic (RequireLocalizedPunctuationVars)

# ---- inside ----

# A directory that every account can enter, whatever our umask.
sub _open_dir {
    my ($path) = @_;
    make_path($path);
    chmod 0755, $path or die "$path: $!\n";
    return;
}

# The account can start httpd here: all it writes to is its own.
sub _give_to {
    my ($self, $name) = @_;
    my ($uid, $gid) = (getpwnam $name)[2, 3];
    open my $log, '>>', "$self->{dir}/error_log" or die "error_log: $!\n";
    close $log or die "error_log: $!\n";
    chown $uid, $gid, $self->{dir}, $self->{runtime}, "$self->{dir}/error_log" or die "chown: $!\n";
    unshift @{ $self->{wrapper} }, 'setpriv', "--reuid=$uid", "--regid=$gid", '--clear-groups';
    return;
}

sub _slurp {
    my ($path) = @_;
    open my $in, '<', $path or return;
    local $/ = undef;
    return scalar <$in>;
}

sub _file {
    my ($self, $name, $text, $mode) = @_;
    my $path = "$self->{dir}/$name";
    unlink $path;
    open my $out, '>', $path or die "$path: $!\n";
    print {$out} $text;
    close $out or die "$path: $!\n";
    chmod $mode, $path or die "$path: $!\n";
    return $path;
}

# httpd's children load Perl code too, as its User, who may be unable to enter
# the checkout: they get a copy.
sub _copy_perl {
    my ($self) = @_;
    my @from = (SpawnTest::root_dir() . '/t/lib');
    push @from, SpawnTest::build_dir() . '/perl' if !defined $self->{lib};
    for my $from (@from) {
        next if !-d $from;
        File::Find::find({
                no_chdir => 1,
                wanted => sub {
                    my $to = "$self->{dir}/perl" . substr $File::Find::name, length $from;
                    if (-d) {
                        _open_dir($to);
                    } elsif (/\.(?:pm|so)\z|\/waiter\z/) {
                        copy($_, $to) or die "$to: $!\n";
                        chmod m{/waiter\z} ? 0755 : 0644, $to;
                    }
                },
            },
            $from
        );
    }
    return;
}

# A port that nobody has. Not one of those that the kernel gives to connections:
# such a one can be somebody's as soon as we have let it go.
sub free_port {
    my ($end) = split ' ', _slurp('/proc/sys/net/ipv4/ip_local_port_range') || '';
    for my $try (1 .. 100) {
        my $port = $end && $end > 12_000 ? 10_000 + int rand $end - 10_000 : 0;
        my $socket = IO::Socket::INET->new(
            LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1, Proto => 'tcp') or next;
        return $socket->sockport;
    }
    die "no port: $@\n";
}

# Forks httpd; true when it answers, false (and {status}) when it has ended.
sub _try_start {
    my ($self) = @_;
    $self->write_conf;
    my $from = length $self->error_log;
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        # Its own session: httpd signals its whole process group.
        POSIX::setsid();
        delete @ENV{ grep { /^(?:HARNESS|PERL5LIB|TEST_)/ } keys %ENV };
        delete @SIG{qw(INT TERM HUP PIPE)};
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', '/dev/null';
        open STDERR, '>>', "$self->{dir}/error_log";
        exec @{ $self->{wrapper} }, $self->_program, ($self->{single} ? '-X' : '-DFOREGROUND'), '-d', $self->{dir},
            '-f', $self->conf_file
            or POSIX::_exit(127);
    }
    $self->{pid} = $pid;
    my $up = wait_until(
        sub {
            return 'ended' if $self->ended;
            # httpd -X does not say that it is there; it can be reached.
            return _answers($self->{port}) if $self->{single};
            return substr($self->error_log, $from) =~ /resuming normal operations/;
        },
        START_SECONDS
    );
    if (!$up) {
        Test::More::diag('httpd does not answer');
        $self->kill9;
        return 0;
    }
    return $up ne 'ended';
}

sub _answers {
    my ($port) = @_;
    return IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 5);
}

sub _again {
    my ($self, $signal, $pattern) = @_;
    $self->write_conf;
    my $from = length $self->error_log;
    kill $signal => $self->{pid} or die "httpd has gone: $!\n" . $self->tail;
    my $up = wait_until(
        sub { $self->ended || substr($self->error_log, $from) =~ $pattern },
        START_SECONDS);
    die "httpd did not restart:\n" . $self->tail if !$up || !$self->{pid};
    return $self;
}

sub _reaped {
    my ($self, $seconds) = @_;
    return wait_until(sub { $self->ended }, $seconds);
}

# Keeps the reports of sanitizers about our processes: t/run shows them, and
# fails.
sub _keep_reports {
    my ($self) = @_;
    my $reports = SpawnTest::build_dir() . '/reports';
    return if !-d $reports;
    my ($found) = $self->error_log =~ /^([^\n]*(?:ERROR: AddressSanitizer|runtime error:).*)/ms or return;
    open my $out, '>', "$reports/log.$$" or die "$reports: $!\n";
    print {$out} substr $found, 0, 20_000;
    close $out or die "$reports: $!\n";
    return;
}

1;
