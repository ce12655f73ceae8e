package Apache2::Spawn::Template;

use strict;
use warnings;

our $VERSION = '0.1.0';

use Scalar::Util ();
use Sereal::Decoder ();
use Sereal::Encoder ();
use XSLoader ();

require Apache2::Spawn::Current;

XSLoader::load(__PACKAGE__, $VERSION);

# Where a template finds its link to the spawner.
use constant LINK => 3;

# Most characters of an exception's text, and of a place in a value.
use constant TEXT_MAX  => 65_536;
use constant PLACE_MAX => 200;

my $name;     # of this template
my $pid;      # its process, while it preloads
my $link;
my $stage;    # what it preloads just now
my @hooks;    # of after_fork, in order

# ---- the template ----

sub serve {
    my (@given) = @_;
    @ARGV = ();
    my $preload = _arguments(@given);
    $link = _take_link(LINK);
    die "serve: descriptor 3 is no link: a template is started by httpd with mod_spawn, see SpawnTemplate\n"
        if $link < 0;
    $pid = $$;
    for (@{$preload}) {
        my ($what, $file) = @{$_};
        $stage = $what;
        _stage($file);
    }
    undef $stage;
    $0 = "mod_spawn template $name";
    _get_ready($link);
    _tell_preloaded($link, 0, sprintf '%d modules, %d kB', scalar(keys %INC), _resident()) == 0 or _end(0);
    my $error = _serve($link);
    if ($error) {
        local $! = $error;
        print {*STDERR} "template $name: its link to the spawner cannot be used: $!\n";
    }
    _end($error ? 1 : 0);
    return;
}

sub name { return $name }

sub after_fork {
    my $code = $_[-1];
    if (Scalar::Util::reftype($code || '') ne 'CODE') {
        require Carp;
        Carp::croak('after_fork: wanted: a code reference, which each Perl job runs at its start');
    }
    push @hooks, $code;
    return;
}

# name=, preload= and require=: the stages in their order, [title, file].
sub _arguments {
    my (@given) = @_;
    my (@modules, @files);
    for (@given) {
        my ($what, $value) = /\A(name|preload|require)=(.+)\z/s
            or die "serve: '$_' is not known here; wanted: name=, preload= or require=\n";
        if    ($what eq 'name')    { $name = $value }
        elsif ($what eq 'preload') { push @modules, ["preload $value", _file_of($value)] }
        else                       { push @files, ["require $value", $value] }
    }
    die "serve: the template has no name: name= is missing\n" if !defined $name;
    return [@modules, @files];
}

sub _file_of {
    my ($module) = @_;
    return if $module !~ /\A [A-Za-z_]\w* (?: ::\w+)* \z/x;
    (my $file = "$module.pm") =~ s{::}{/}g;
    return $file;
}

sub _stage {
    my ($file) = @_;
    _fail('that is not the name of a module') if !defined $file;
    my $before = _threads();
    my $error = _load($file);
    _fail($error) if defined $error;
    my @threads = _threads();
    return if @threads == 1;
    _fail(sprintf '%d thread%s that it started still run%s (%s): a process with threads cannot be forked safely;'
            . ' start threads in an after_fork hook, or let them end',
        @threads - 1, @threads == 2 ? ('', 's') : ('s', ''), join ', ', @threads);
    return;
}

# Perl compiles a file in the package that requires it.
my $require = do { package main; sub { require $_[0] } };    ## no critic (ProhibitMultiplePackages)

# undef, or why it could not be loaded, without what the require here adds.
sub _load {
    my ($file) = @_;
    return if eval { $require->($file); 1 };
    my $text = _text_of($@);
    my $here = quotemeta __FILE__;
    $text =~ s/(?:\nCompilation failed in require)? at $here line \d+\.\n\z/\n/;
    return $text;
}

# The names of this process's threads.
sub _threads {
    opendir my $dir, '/proc/self/task' or return 'perl';
    my @names;
    for my $tid (grep { /\A\d+\z/ } readdir $dir) {
        open my $in, '<', "/proc/self/task/$tid/comm" or next;
        push @names, scalar(<$in>) =~ /(.*)/;
        close $in;
    }
    closedir $dir;
    return @names;
}

sub _resident {
    open my $in, '<', '/proc/self/status' or return 0;
    my ($kb) = map { /\AVmRSS:\s*(\d+)/ } <$in>;
    close $in;
    return $kb || 0;
}

sub _fail {
    my ($text) = @_;
    my $said = "$stage: $text";
    chomp $said;
    utf8::encode($said) if utf8::is_utf8($said);
    undef $stage;
    _tell_preloaded($link, _START_FAILED(), $said);
    _end(1);
    return;
}

# exit in a module or in the startup file
END {
    _fail("it called exit($?)") if defined $stage && $$ == $pid;
}

# ---- the job, called from C, in its own process ----

sub _job {
    my ($order) = @_;
    my $own = $$;
    my @values;
    _clean($order);
    Apache2::Spawn::Current->_begin($order, $name);
    my $returned = eval { @values = _call($order); 1 };
    my $error = $@;
    if ($$ != $own) {    # the function forked, and let the child run into its end
        _print(_text_of($error)) if !$returned;
        return $returned ? 0 : 255;
    }
    if ($returned) {
        my $document = eval { _document(\@values, $order->{want} & _WANT_OBJECTS()) };
        if (defined $document) {
            _put_result(_RETURNED(), $document);
            return 0;
        }
        $error = $@;
    }
    _put_result(_DIED(), _obituary($error));
    _print(_text_of($error));
    return 255;
}

sub _clean {
    my ($order) = @_;
    %ENV = map { split /=/, $_, 2 } grep { /\A[^=]+=/ } @{ $order->{env} };
    delete @SIG{ grep { defined $SIG{$_} } keys %SIG };
    $0  = "spawn $order->{function} $order->{id}";
    $^T = time;
    for ([\*STDIN, '<&=', 0], [\*STDOUT, '>&=', 1], [\*STDERR, '>&=', 2]) {
        my ($handle, $mode, $fd) = @{$_};
        next if tied *{$handle} || defined fileno $handle && fileno $handle == $fd;
        open $handle, $mode, $fd or next;    ## no critic (RequireBriefOpen)
    }
    return;
}

sub _call {
    my ($order) = @_;
    for my $hook (@hooks) {
        eval { $hook->(); 1 } or _refuse(undef, 'after_fork: ' . _text_of($@));
    }
    my $function = _function($order);
    my $args     = _args($order);
    my $want     = $order->{want} & ~_WANT_OBJECTS();
    return $function->(@{$args})        if $want == _WANT_LIST();
    return scalar $function->(@{$args}) if $want == _WANT_SCALAR();
    $function->(@{$args});
    return;
}

sub _function {
    my ($order) = @_;
    my $function = $order->{function};
    my $load     = $order->{load};
    if (defined $load) {
        my $file = _file_of($load);
        _refuse('invalid', "load: '$load' is not the name of a module") if !defined $file;
        my $error = _load($file);
        _refuse(undef, "load $load: $error") if defined $error;
    }
    no strict 'refs';    ## no critic (ProhibitNoStrict)
    return \&{$function} if defined &{$function} || exists &{$function};
    _refuse('invalid', "no function $function in template $name, and none in the module $load that was loaded for it")
        if defined $load;
    my ($module) = $function =~ /\A(.+)::/;
    $module = 'My::Module' if !defined $module;
    _refuse('invalid', "no function $function in template $name; preload its module or use load => '$module'");
    return;
}

sub _args {
    my ($order) = @_;
    my $document = delete $order->{args};
    return [] if !defined $document;
    my $objects = $order->{want} & _WANT_OBJECTS();
    my $args;
    eval { $args = Sereal::Decoder->new({ refuse_objects => !$objects })->decode($document); 1 }
        or _refuse('invalid', 'the arguments cannot be read: ' . _first_line($@));
    _refuse('invalid', 'the arguments are not an array') if ref $args ne 'ARRAY';
    return $args;
}

# ---- what came of it ----

# What a job is told that is no exception of its function.
sub _refuse {
    my ($code, $text) = @_;
    die bless { code => $code, text => $text }, 'Apache2::Spawn::Template::Refusal';    ## no critic (RequireCarping)
}

sub _document {
    my ($values, $objects) = @_;
    my $document = eval { Sereal::Encoder->new({ croak_on_bless => !$objects })->encode($values) };
    my $error = $@;
    # Sereal sends patterns as text, and the caller could not compile code in one
    if (!defined $document || $objects && $document =~ /\(\?\??\{/) {
        my $what = _unsendable($values, $objects);
        _refuse('not_sendable', "return value $what") if defined $what;
        _refuse('not_sendable', 'the return value cannot be encoded: ' . _first_line($error)) if !defined $document;
    }
    _refuse('too_big', sprintf 'the return value has %d bytes when encoded; at most %d (%d MB) travel:'
            . ' write it to a file, or to a handle that was passed by fds',
        length $document, _RESULT_MAX(), _RESULT_MAX() >> 20)
        if length $document > _RESULT_MAX();
    return $document;
}

# Where in the values the first thing is that cannot travel, and what it is.
sub _unsendable {
    my ($values, $objects) = @_;
    my @todo = map { [\$values->[$_], "[$_]"] } reverse 0 .. $#{$values};
    my %seen;
    while (my $next = pop @todo) {
        my ($where, $place) = @{$next};
        my $what = _why_not(${$where}, $objects);
        if (defined $what) {
            substr $place, PLACE_MAX / 2, length($place) - PLACE_MAX, '...' if length $place > PLACE_MAX;
            return "$place $what";
        }
        my $type = Scalar::Util::reftype(${$where});
        next if !defined $type || $seen{ Scalar::Util::refaddr(${$where}) }++;
        if ($type eq 'ARRAY') {
            my $list = ${$where};
            push @todo, map { [\$list->[$_], "$place\[$_]"] } reverse 0 .. $#{$list};
        }
        elsif ($type eq 'HASH') {
            my $hash = ${$where};
            push @todo, map { [\$hash->{$_}, "$place\{" . (/\A\w+\z/ ? $_ : "'$_'") . '}'] } reverse sort keys %{$hash};
        }
        elsif ($type =~ /\A(?:REF|SCALAR|LVALUE|VSTRING|GLOB)\z/) {
            push @todo, [${$where}, "$place\$*"];
        }
    }
    return;
}

sub _why_not {
    my ($value, $objects) = @_;
    return _glob(\$value) if ref \$value eq 'GLOB';
    my $type = Scalar::Util::reftype($value);
    return if !defined $type;
    return 'is a code reference' if $type eq 'CODE';
    return _glob($value)         if $type eq 'GLOB';
    return 'is a handle'         if $type eq 'IO';
    return 'is a format'         if $type eq 'FORMAT';
    if ($type eq 'REGEXP') {
        return 'is a pattern with code inside' if "$value" =~ /\(\?\??\{/;
        return $objects ? undef : 'is a compiled pattern; objects => 1 lets it travel, or return its text';
    }
    my $class = Scalar::Util::blessed($value);
    return if !defined $class || $objects;
    return "is an object of class $class; objects => 1 lets it travel, or return its data";
}

sub _glob {
    my ($glob) = @_;
    return defined *{$glob}{IO} ? 'is a handle' : 'is a glob';
}

# A Sereal document of how the function died.
sub _obituary {
    my ($error) = @_;
    my %said = (text => _text_of($error), class => Scalar::Util::blessed($error), data => undef);
    if (ref $error eq 'Apache2::Spawn::Template::Refusal') {
        $said{class} = undef;
        $said{code} = $error->{code} if defined $error->{code};
        return Sereal::Encoder->new->encode(\%said);
    }
    my $encoder = Sereal::Encoder->new({ no_bless_objects => 1 });
    my $document = eval { $encoder->encode({ %said, data => ref $error ? $error : undef }) };
    return $document if defined $document && length $document <= _RESULT_MAX();
    return $encoder->encode(\%said);
}

sub _text_of {
    my ($error) = @_;
    my $text
        = ref $error eq 'Apache2::Spawn::Template::Refusal' ? $error->{text}
        : eval { "$error" };
    $text = 'an object of class ' . ref($error) . ', which cannot be made a text' if !defined $text;
    $text = 'it died, and what it died of is lost' if $text eq '';
    return substr $text, 0, TEXT_MAX;
}

sub _first_line {
    my ($text) = @_;
    my ($first) = $text =~ /\A(.*?)(?: at \S+ line \d+)?\.?$/m;
    return $first;
}

# To the job's stderr, as perl does with what nobody catches.
sub _print {
    my ($text) = @_;
    $text .= "\n" if $text !~ /\n\z/;
    no warnings;    ## no critic (ProhibitNoWarnings)
    eval { print {*STDERR} $text };
    return;
}

1;

__END__
