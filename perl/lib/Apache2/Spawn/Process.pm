package Apache2::Spawn::Process;

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn ();
use Config ();
use Errno ();
use File::Spec ();
use IO::FDPass ();
use IO::Handle ();
use Scalar::Util ();
use Socket ();
use Time::HiRes ();

# The perl of new_exec, when it is not the one that can be found.
our $PERL;

# A head of a command or an answer: what it is, and how long its body is.
use constant HEAD => 5;
use constant BODY_MAX => 0xFFFF_FFFF;

# How long a method waits for the process, without the option.
use constant DEADLINE => 60;

# How long after the end of the socket the news may come why.
use constant NEWS => 5;

use constant SERVE => 'Apache2::Spawn::Process::Serve';

# ---- new processes ----

sub new {
    my ($class, @options) = @_;
    return _begin($class, 'new', \@options, sub {
        my ($via, $number, $limits, $options) = @_;
        return $via->spawn_call(SERVE . '::main', [$number, @{$limits}], @{$options}, load => SERVE, want => 'void');
    });
}

sub new_exec {
    my ($class, @options) = @_;
    return _begin($class, 'new_exec', \@options, sub {
        my ($via, $number, $limits, $options) = @_;
        (my $lib = File::Spec->rel2abs(__FILE__)) =~ s{/Apache2/Spawn/Process\.pm\z}{};
        return $via->spawn(
            [_perl(), "-I$lib", '-M' . SERVE, '-e', SERVE . '::exec_main()', $number, @{$limits}],
            stderr => 'log', @{$options});
    });
}

sub new_from_fh {
    my ($class, $fh, @options) = @_;
    _descriptor($fh, 'new_from_fh');
    my $own = _own_options('new_from_fh', \@options, 'deadline');
    $fh->blocking(0);
    return _object($class, fh => $fh, deadline => $own->{deadline});
}

sub fork {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, @options) = @_;
    local ($@, $!);
    my $own   = _own_options('fork', \@options, qw(deadline timeout grace));
    my $until = $self->_until;
    my ($fh,     $theirs) = _pair(Socket::SOCK_STREAM());
    my ($status, $told)   = _pair(Socket::SOCK_SEQPACKET());
    $self->_command('f', pack('(N/a*)*', map { defined $_ ? $_ : '' } @{$own}{qw(timeout grace)}), $until);
    $self->_pass($_, $until) for $theirs, $told;
    my $deadline = defined $own->{deadline} ? $own->{deadline} : $self->{deadline};
    return _object(ref $self, fh => $fh, status => $status, deadline => $deadline);
}

sub _begin {
    my ($class, $method, $options, $submit) = @_;
    local ($@, $!);
    my %own = (via => 'Apache2::Spawn', %{ _own_options($method, $options, qw(via deadline), 1) });
    my %options = @{$options};
    for my $name (grep { exists $options{$_} } qw(load want objects)) {
        _throw('unknown_option', "$method: $name has no meaning here: the process is set up by require, eval and send_arg");
    }
    _throw('invalid', "$method: reply: 'finished' would wait for a process that waits for you")
        if defined $options{reply} && $options{reply} eq 'finished';
    my $fds = delete $options{fds} || {};
    _throw('invalid', "$method: fds: wanted: a reference to a hash") if ref $fds ne 'HASH';
    my ($number) = grep { !exists $fds->{$_} } reverse 3 .. 63;
    my ($fh, $theirs) = _pair(Socket::SOCK_STREAM());
    my @limits = map { defined $options{$_} ? $options{$_} : '' } qw(timeout grace);
    my $job;
    eval { $job = $submit->($own{via}, $number, \@limits, [%options, fds => { %{$fds}, $number => $theirs }]); 1 }
        or _rethrow($@);
    return _object($class, fh => $fh, job => $job, deadline => $own{deadline});
}

sub _object {
    my ($class, %self) = @_;
    $self{deadline} = DEADLINE if !defined $self{deadline};
    return bless \%self, ref $class || $class;
}

# Takes those of this class out of the list; others may be left only with $more.
sub _own_options {
    my ($method, $options, @names) = @_;
    my $more = $names[-1] eq '1' && pop @names;
    _throw('invalid', "$method: options come in pairs: name => value") if @{$options} % 2;
    my %all = @{$options};
    my %own;
    for my $name (@names) {
        next if !exists $all{$name};
        $own{$name} = delete $all{$name};
        _throw('invalid', "$method: $name is undefined: leave it out for its default") if !defined $own{$name};
        _throw('invalid', "$method: $name: '$own{$name}' is not a number of seconds")
            if $name ne 'via' && !_is_time($own{$name});
    }
    _throw('unknown_option', sprintf q{%s: no option '%s'; there are: %s}, $method, (sort keys %all)[0], join ', ', @names)
        if %all && !$more;
    @{$options} = %all;
    return \%own;
}

sub _is_time {
    my ($value) = @_;
    return Scalar::Util::looks_like_number($value) && $value >= 0 && $value < 1e9;
}

sub _pair {
    my ($type) = @_;
    socketpair my $own, my $theirs, Socket::AF_UNIX(), $type, 0
        or _throw('system', 'socketpair', errno => $! + 0);
    $own->blocking(0);
    return ($own, $theirs);
}

sub _perl {
    return $PERL if defined $PERL;
    return $^X if $^X =~ m{\A/.*/perl(?:\d+(?:\.\d+)*)?\z};
    return $Config::Config{perlpath};
}

# ---- setting up ----

sub require {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, @modules) = @_;
    local ($@, $!);
    for my $module (@modules) {
        next if defined $module && $module =~ m{\A [A-Za-z_]\w* (?: (?:::|/)\w+)* \z}x;
        _throw('invalid', 'require: ' . (defined $module ? "'$module'" : 'undef') . ' is not the name of a module');
    }
    return $self->_command('q', _strings('require', _place(), @modules));
}

sub eval {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, $code, @given) = @_;
    local ($@, $!);
    return $self->_command('e', _strings('eval', _place(), $code, @given));
}

sub send_arg {
    my ($self, @given) = @_;
    local ($@, $!);
    return $self->_command('a', _strings('send_arg', @given));
}

sub send_fh {
    my ($self, @handles) = @_;
    local ($@, $!);
    my $until = $self->_until;
    _descriptor($_, 'send_fh') for @handles;
    for my $handle (@handles) {
        CORE::eval { $handle->flush };    # what has been written comes first
        $self->_command('h', pack('N', 1), $until);
        $self->_pass($handle, $until);
    }
    return $self;
}

sub run {
    my ($self, $function, $code) = @_;
    my $fh = $self->_give_away('run', 'r', $function);
    $code->($fh) if $code;
    return $fh;
}

sub to_fh {
    my ($self, $code) = @_;
    my $fh = $self->_give_away('to_fh', 'p', '');
    $code->($fh) if $code;
    return $fh;
}

# The process has done all that was sent, and the socket is the caller's.
sub _give_away {
    my ($self, $method, $what, $function) = @_;
    local ($@, $!);
    _throw('invalid', "$method: wanted: the name of a function, as text")
        if !defined $function || ref $function || $what eq 'r' && !length $function;
    $self->_ask($what, $what eq 'r' ? _octets('run', $function) : '');
    $self->{gone} = "$method was called";
    return delete $self->{fh};
}

sub _strings {
    my ($method, @given) = @_;
    return pack '(N/a*)*', map { _octets($method, $_) } @given;
}

sub _octets {
    my ($method, $text) = @_;
    return '' if !defined $text;
    my $bytes = "$text";
    utf8::downgrade($bytes, 1)
        or _throw('invalid', "$method: '" . substr($bytes, 0, 40) . q{' has wide characters; processes take bytes: encode it first});
    return $bytes;
}

sub _descriptor {
    my ($handle, $method) = @_;
    my $tied = CORE::eval { tied *{$handle} };
    _throw('invalid', "$method: a tied handle has no descriptor to pass") if $tied;
    my $fd = CORE::eval { fileno $handle };
    _throw('invalid', "$method: wanted: an open handle") if !defined $fd;
    _throw('invalid', "$method: a handle in memory has no descriptor to pass") if $fd < 0;
    return $fd;
}

# ---- what becomes of it ----

sub job { return $_[0]{job} }

sub pid {
    my ($self) = @_;
    local ($@, $!);
    $self->_ask('p', '') if !defined $self->{pid};
    return $self->{pid};
}

sub wait {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, $seconds) = @_;
    local ($@, $!);
    _throw('invalid', 'wait: ' . (length $seconds ? "'$seconds'" : q{''}) . ' is not a number of seconds')
        if defined $seconds && !_is_time($seconds);
    return 1 if $self->{ended};
    return $self->_wait_for_job($seconds) if $self->{job};
    $self->_needs_status('wait');
    my $until = defined $seconds ? _now() + $seconds : undef;
    while (!$self->{ended}) {
        $self->_news($until) or return '';
    }
    $self->_known('wait');
    return 1;
}

sub exit_status {
    my ($self) = @_;
    $self->wait(0);
    return $self->{exit};
}

sub kill {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, $signal) = @_;
    local ($@, $!);
    if ($self->{job}) {
        my $sent;
        CORE::eval { $sent = $self->{job}->kill(defined $signal ? $signal : 'TERM'); 1 } or _rethrow($@);
        return $sent;
    }
    $self->_needs_status('kill');
    my $number = _signal_number(defined $signal ? $signal : 'TERM');
    my $until  = $self->_until;
    send $self->{status}, "kill $number", Socket::MSG_NOSIGNAL() if !$self->{ended};
    delete $self->{killed};
    while (!$self->{ended} && !defined $self->{killed}) {
        $self->_news($until) or _throw('deadline', "kill: no answer in $self->{deadline} s", job => $self->{job});
    }
    $self->_known('kill');
    return $self->{killed} ? 1 : '';
}

sub _signal_number {
    my ($signal) = @_;
    my @names  = split / /, $Config::Config{sig_name};
    my %number = map { $names[$_] => $_ } 1 .. $#names;
    return $signal if $signal =~ /\A[1-9]\d*\z/ && $signal <= 64;
    (my $name = $signal) =~ s/\ASIG//;
    return $number{$name} if exists $number{$name};
    return _throw('invalid', "kill: no signal '$signal'");
}

sub _wait_for_job {
    my ($self, $seconds) = @_;
    my $result;
    CORE::eval { $result = $self->{job}->wait(defined $seconds ? $seconds : ()); 1 } or _rethrow($@);
    return '' if !$result;
    $self->{ended} = 1;
    $self->{exit} = $result->exit_code << 8 if defined $result->exit_code;
    $self->{exit} = $result->signal | ($result->core ? 128 : 0) if defined $result->signal;
    $self->{pid} = $result->pid if !defined $self->{pid};
    return 1;
}

sub _needs_status {
    my ($self, $method) = @_;
    return if $self->{status};
    return _throw('invalid', "$method: a process that came by new_from_fh is not known here;"
            . ' ask the object that to_fh was called of, or watch the handle');
}

# A message of the waiter; false when none came in time.
sub _news {
    my ($self, $until) = @_;
    _ready($self->{status}, 0, $until) or return;
    my $got = sysread $self->{status}, my $said, 100;
    return 1 if !defined $got && ($!{EINTR} || $!{EAGAIN});
    if (!$got) {
        $self->{ended} = 1;
        $self->{lost} = 1 if $self->{waiter};
        return 1;
    }
    my ($what, $number) = $said =~ /\A(\w+) (\d+)/ or return 1;
    if ($what eq 'pid')       { $self->{pid} = $self->{waiter} = $number + 0 }
    elsif ($what eq 'killed') { $self->{killed} = $number + 0 }
    elsif ($what eq 'exit')   { @{$self}{qw(ended exit waiter)} = (1, $number + 0, 0) }
    return 1;
}

sub _known {
    my ($self, $method) = @_;
    return if !$self->{lost};
    return _throw('unreachable', "$method: the process that waits for process $self->{pid} is gone; nobody knows what becomes of it");
}

# ---- the socket ----

sub _until { return _now() + $_[0]{deadline} }

sub _now { return Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) }

# Whether it can be read from, or written to, before it is too late.
sub _ready {
    my ($handle, $write, $until) = @_;
    while (1) {
        my $left = defined $until ? $until - _now() : undef;
        $left = 0 if defined $left && $left < 0;
        vec(my $wanted = '', fileno $handle, 1) = 1;
        my $ready = $write ? select undef, $wanted, undef, $left : select $wanted, undef, undef, $left;
        return 1 if $ready > 0;
        return if !$ready;
    }
}

sub _usable {
    my ($self) = @_;
    die $self->{error} if $self->{error};    ## no critic (RequireCarping)
    _throw('invalid', "the process cannot be set up any more: $self->{gone}", job => $self->{job}) if !$self->{fh};
    return;
}

# Sends a command, and returns the object.
sub _command {
    my ($self, $what, $body, $until) = @_;
    $self->_usable;
    _throw('too_big', 'at most 4 GB can be sent at once') if length $body > BODY_MAX;
    $until = $self->_until if !defined $until;
    my $bytes = pack 'a N/a*', $what, $body;
    my $from = 0;
    while ($from < length $bytes) {
        my $sent = send $self->{fh}, $from ? substr($bytes, $from, 1 << 20) : substr($bytes, 0, 1 << 20), Socket::MSG_NOSIGNAL();
        if (defined $sent) { $from += $sent }
        else               { $self->_not_sent($until) }
    }
    return $self;
}

# Passes a handle, which rides on a byte.
sub _pass {
    my ($self, $handle, $until) = @_;
    # httpd ignores it, and its threads share what is set here
    local $SIG{PIPE} = 'IGNORE' if !$ENV{MOD_PERL};
    while (!IO::FDPass::send(fileno $self->{fh}, fileno $handle)) {
        $self->_not_sent($until);
    }
    return;
}

sub _not_sent {
    my ($self, $until) = @_;
    return if $!{EINTR};
    $self->_ended($until) if !$!{EAGAIN};
    return if _ready($self->{fh}, 1, $until);
    return $self->_late('did not take what was sent');
}

# Sends a command and waits for its answer.
sub _ask {
    my ($self, $what, $body) = @_;
    my $until = $self->_until;
    $self->_command($what, $body, $until);
    ($what, $body) = $self->_answer($until);
    $self->_ended($until) if !defined $what;
    $self->_failed($body) if $what ne 'k';
    $self->{pid} = $body + 0;
    return;
}

# Not a byte more than the answer: what follows is the function's.
sub _answer {
    my ($self, $until) = @_;
    my $head = $self->_read(HEAD, $until);
    return if !defined $head;
    my ($what, $length) = unpack 'a N', $head;
    my $body = $self->_read($length, $until);
    return if !defined $body;
    return ($what, $body);
}

sub _read {
    my ($self, $length, $until) = @_;
    my $bytes = '';
    while (length $bytes < $length) {
        my $got = sysread $self->{fh}, $bytes, $length - length $bytes, length $bytes;
        next if $got;
        return if defined $got || !$!{EAGAIN} && !$!{EINTR};
        _ready($self->{fh}, 0, $until) or $self->_late('has not done what was sent');
    }
    return $bytes;
}

# ---- failures ----

sub _late {
    my ($self, $what) = @_;
    return $self->_give_up('deadline',
        "the process $what within $self->{deadline} s; it is let go, and ends when it comes to that", step => 'receive');
}

sub _failed {
    my ($self, $body) = @_;
    my ($code, $text, $class) = unpack '(N/a*)*', $body;
    utf8::decode($_) for $text, $class;
    return $self->_give_up($code, $text, step => 'template',
        exception => length $class ? { text => $text, class => $class, data => undef } : undef);
}

# The socket ended. A failure may stand in it; else, how did the process end?
sub _ended {
    my ($self, $until) = @_;
    my ($what, $body) = $self->_answer($until);
    $self->_failed($body) if defined $what && $what eq 'e';
    my $told = 'the process ended while it was set up: ';
    if ($self->{job}) {
        my $result = CORE::eval { $self->{job}->wait(NEWS) };
        $self->_give_up('call_failed', $told . _how($result))
            if $result && $result->outcome =~ /\A(?:exited|signalled)\z/ && ($result->result_kind || '') ne 'died';
        $self->_give_up('call_failed', $told . 'it closed its socket, and goes on') if !$result;
        my $error = CORE::eval { $self->{job}->result(0); 1 } ? $result->outcome : $@;
        $self->_give_up($error->code, $told . $error->message, map { $_ => $error->$_ } qw(step errno exception))
            if Scalar::Util::blessed($error) && $error->isa('Apache2::Spawn::Error') && $result->function;
        $self->_give_up('call_failed', $told . (ref $error ? $result->message || $result->outcome : $error =~ s/\n\z//r),
            step => $result->step, errno => $result->errno);
    }
    my $known = CORE::eval { $self->{status} && $self->wait(NEWS) };
    $self->_give_up('call_failed', $told . _status_text($self->{exit})) if $known && defined $self->{exit};
    $self->_give_up('call_failed', $told . 'the one that it was to be forked from had ended') if $known;
    return $self->_give_up('call_failed', $told . 'nobody knows how');
}

sub _how {
    my ($result) = @_;
    return _status_text(defined $result->signal ? $result->signal : ($result->exit_code || 0) << 8);
}

sub _status_text {
    my ($status) = @_;
    return $status & 127 ? 'signal ' . (split / /, $Config::Config{sig_name})[$status & 127] : 'exit code ' . ($status >> 8);
}

# The object is of no use for setting up from now on.
sub _give_up {
    my ($self, $code, $text, %more) = @_;
    delete $self->{fh};
    CORE::eval { _throw($code, $text, step => 'none', job => $self->{job}, %more) };
    $self->{error} = $@;
    die $self->{error};    ## no critic (RequireCarping)
}

sub _throw {
    my ($code, $message, %more) = @_;
    my ($file, $line) = _caller();
    die bless {    ## no critic (RequireCarping)
        code => $code, step => 'options', errno => 0, message => $message, job => undef, exception => undef,
        file => $file, line => $line, map { $_ => $more{$_} } grep { defined $more{$_} } keys %more,
    }, 'Apache2::Spawn::Error';
}

# An error of Apache2::Spawn, with the place that called us.
sub _rethrow {
    my ($error) = @_;
    @{$error}{qw(file line)} = _caller() if Scalar::Util::blessed($error) && $error->isa('Apache2::Spawn::Error');
    die $error;    ## no critic (RequireCarping)
}

sub _caller {
    my $i = 0;
    while (my ($package, $file, $line) = caller $i++) {
        return ($file, $line) if $package ne __PACKAGE__;
    }
    return ('-', 0);
}

sub _place { return sprintf 'at %s line %d', _caller() }

1;

__END__
