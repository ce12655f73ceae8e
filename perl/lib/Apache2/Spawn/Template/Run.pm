package Apache2::Spawn::Template::Run;

# Calls functions: the one of a job, or those of a worker one after another, each in
# the surroundings that it is promised. Puts the result where the caller finds it.
#
# Runs in a process that was forked from a template, called from C, and once in the
# template, so that all jobs share what a first call makes. Must never run a call twice,
# nor in a process that a call has forked.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn::Current ();
use Apache2::Spawn::Template::Value qw(arguments document obituary refuse text_of);
use Sereal::Encoder ();

# The number of a template's link to the spawner, and of a worker's link to the broker.
use constant LINK => 3;

my $template;    # its name
my $in_httpd;    # it was forked from httpd
my @hooks;       # of after_fork, in order

# ---- in the template ----

# Which template this is, for those that are forked from it; in_httpd: it was forked
# from httpd.
sub set_template {
    ($template, $in_httpd) = @_;
    return;
}

sub add_hook {
    push @hooks, @_;
    return;
}

# One call of nothing: it finds methods and makes codecs, so that all jobs share the
# memory for that.
sub rehearse {
    my $args = Sereal::Encoder->new->encode([]);
    my %order = (
        id => '', function => __PACKAGE__ . '::_nothing', args => $args, fds => [], context => ['uri=/'],
        want => _WANT_LIST());
    for my $objects (0, _WANT_OBJECTS()) {
        Apache2::Spawn::Current->_begin({%order}, $template);
        my @values = _call({ %order, want => _WANT_LIST() | $objects });
        document(\@values, $objects);
    }
    Apache2::Spawn::Current->_end;
    return;
}

sub _nothing { return }

# ---- modules ----

# The file of a module; none: that is no name of one.
sub file_of {
    my ($module) = @_;
    return if $module !~ /\A [A-Za-z_]\w* (?: ::\w+)* \z/x;
    (my $file = "$module.pm") =~ s{::}{/}g;
    return $file;
}

# Perl compiles a file in the package that requires it.
my $require = do { package main; sub { require $_[0] } };    ## no critic (ProhibitMultiplePackages)

# undef, or why it could not be loaded, without what the require here adds.
sub load {
    my ($file) = @_;
    return if eval { $require->($file); 1 };
    my $text = text_of($@);
    my $here = quotemeta __FILE__;
    $text =~ s/(?:\nCompilation failed in require)? at $here line \d+\.\n\z/\n/;
    return $text;
}

# ---- a job, called from C ----

sub job {
    my ($order) = @_;
    return _serve_calls($order) if $order->{is_worker};
    return _answer($order, \&_run_hooks);
}

# One call: puts its result or its exception on the board; returns the exit code.
sub _answer {
    my ($order, $before) = @_;
    my $own = $$;
    my @values;
    Apache2::Spawn::Current->_begin($order, $template);
    my $returned = eval { $before->() if $before; @values = _call($order); 1 };
    my $error = $@;
    if ($$ != $own) {    # the function forked, and let the child run into its end
        _print(text_of($error)) if !$returned;
        return $returned ? 0 : 255;
    }
    if ($returned) {
        my $document = eval { document(\@values, $order->{want} & _WANT_OBJECTS()) };
        if (defined $document) {
            _put_result(_RETURNED(), $document);
            return 0;
        }
        $error = $@;
    }
    _put_result(_DIED(), obituary($error));
    _print(text_of($error));
    return 255;
}

# In a worker: call after call, until the broker has no more for it. Runs no
# call twice, and none in a process that a call has forked.
sub _serve_calls {
    my ($order) = @_;
    my $own  = $$;
    my $link = take_link(LINK);
    return 255 if $link < 0;
    my ($jobs, $memory) = @{$order}{qw(worker_jobs worker_memory)};
    $0 = "mod_spawn worker $order->{queue}";
    if (!eval { _run_hooks(); 1 }) {
        my $text = text_of($@);
        chomp $text;
        _tell_ready($link, _START_FAILED(), $text);
        return 255;
    }
    my %env = %ENV;
    _note_environment();
    return 0 if _tell_ready($link, 0, q{}) != 0;
    while (my $call = _next_call($link)) {
        $call->{queue} = $order->{queue};
        my $code = _answer($call);
        return $code if $$ != $own;
        if (_environment_changed()) {
            %ENV = %env;    ## no critic (RequireLocalizedPunctuationVars)
            _note_environment();
        }
        my $last = $jobs && --$jobs == 0 || $memory && _is_bigger($memory);
        return $code if _tell_returned($link, $last ? 1 : 0) != 0;    # its end tells of the call then
        return 0     if $last;
    }
    return 0;
}

# The standard handles that are elsewhere, called from C.
sub open_handles {
    for ([\*STDIN, '<&=', 0], [\*STDOUT, '>&=', 1], [\*STDERR, '>&=', 2]) {
        my ($handle, $mode, $fd) = @{$_};
        next if tied *{$handle} || defined fileno $handle && fileno $handle == $fd;
        open $handle, $mode, $fd or next;    ## no critic (RequireBriefOpen)
    }
    return;
}

sub _run_hooks {
    for my $hook (@hooks) {
        eval { $hook->(); 1 } or refuse(undef, 'after_fork: ' . text_of($@));
    }
    return;
}

sub _call {
    my ($order) = @_;
    my $function = _function($order);
    my $args     = arguments(delete $order->{args}, $order->{want} & _WANT_OBJECTS());
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
        my $file = file_of($load);
        refuse('invalid', "load: '$load' is not the name of a module") if !defined $file;
        my $error = load($file);
        refuse('invalid', _not_loaded($load, $error)) if defined $error;
    }
    no strict 'refs';    ## no critic (ProhibitNoStrict)
    return \&{$function} if defined &{$function} || exists &{$function};
    refuse('invalid', "no function $function in template $template, and none in the module $load that was loaded for it")
        if defined $load;
    my ($module) = $function =~ /\A(.+)::/;
    $module = 'My::Module' if !defined $module;
    my $why
        = $module =~ /\A(?:ModPerl::ROOT|Plack::Sandbox)::/
        ? q{a script's own functions exist in no other process; move it to a module}
        : $in_httpd ? "load its module in httpd.conf (PerlModule $module) or use load => '$module'"
        :             "preload its module or use load => '$module'";
    refuse('invalid', "no function $function in template $template; $why");
    return;
}

# Where it was to be loaded, why it was not, and, when it is not there, what to do.
sub _not_loaded {
    my ($load, $error) = @_;
    chomp $error;
    my $text = "load: module $load cannot be loaded in template $template: $error";
    return $text if $error !~ /\ACan't locate /;
    return $text . '; install it, or name its directory: '
        . ($in_httpd ? 'PerlSwitches -I/directory in httpd.conf' : "inc=/directory of SpawnTemplate $template");
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

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Template::Run - the calls of functions in Perl jobs and workers

=head1 SYNOPSIS

    use Apache2::Spawn::Template ();     # uses this by itself

=head1 DESCRIPTION

Each process that is forked from a template comes here: it cleans its surroundings,
runs the hooks, finds the function and calls it, and puts what it returned or died of
where the caller finds it. A worker does so for call after call. There is no reason to
load it: templates do. It needs the library that L<Apache2::Spawn::Template> loads.

What a function finds, and how it ends, stands in L<Apache2::Spawn::Template>.

=head1 FUNCTIONS

In the template:

=over

=item set_template($name, $in_httpd)

The template's name, for messages and L<Apache2::Spawn::Current>; true when it was
forked from httpd.

=item add_hook($code)

Code that each job runs first.

=item rehearse

One call of nothing, which makes what all jobs share.

=item take_link($fd)

The number that the descriptor has from now on, out of the way of the numbers that
jobs ask for; -1 when there is none. C<LINK> is where it is found.

=item file_of($module)

The file of a module as C<require> takes it; nothing when that is no name of one.

=item load($file)

Loads a file. undef, or the text of what failed.

=back

In a job:

=over

=item job(\%order)

The whole of it, called from C; returns the exit code.

=item open_handles

Opens those of STDIN, STDOUT and STDERR again that are not at their numbers. Called from
C, when one is not.

=back

=head1 SEE ALSO

L<Apache2::Spawn::Template>, L<Apache2::Spawn::Template::Value>,
L<Apache2::Spawn::Current>

=cut
