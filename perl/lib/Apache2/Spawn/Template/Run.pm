package Apache2::Spawn::Template::Run;

# What a Perl job or worker does in Perl: the start of a worker, hooks, functions that are
# not simply there, exceptions. The calls themselves are made in C
# (perl/xs/template/call.c), which calls this where it needs Perl.
#
# Runs in a process that was forked from a template, and once in the template, so that
# all jobs share what a first call makes.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn::Current ();
use Apache2::Spawn::Template::Value qw(obituary refuse text_of);
use Sereal::Encoder ();

# The number of a template's link to the spawner, and of a worker's link to the broker.
use constant LINK => 3;

my $template;    # its name
my $in_httpd;    # it was forked from httpd
my $loaded;      # when it had loaded all, a time; undef: that does not matter
our @hooks;      # of after_fork, in order: hashes; C looks whether there are any
my %env;         # of a worker, between two calls

# ---- in the template ----

# Which template this is, for those that are forked from it; in_httpd: it was forked
# from httpd; loaded: when.
sub set_template {
    ($template, $in_httpd, $loaded) = @_;
    return;
}

# Code that may take so many seconds, and where it was registered.
sub add_hook {
    my ($code, $seconds, $where) = @_;
    push @hooks, {
        code => $code,
        seconds => $seconds,
        text => "after_fork: the hook of $where has not returned within $seconds s",
    };
    return;
}

# What a hook that hangs is told to have died of, made now since it is late then.
sub _prepare_hooks {
    $_->{document} ||= obituary(bless { text => "$_->{text}\n" }, 'Apache2::Spawn::Template::Refusal') for @hooks;
    return;
}

# A call of nothing: it finds methods and makes codecs, so that all jobs share the
# memory for that.
sub rehearse {
    my ($alone) = @_;
    my $args = Sereal::Encoder->new->encode(['x']);
    _prepare($alone);
    _prepare_hooks();
    _rehearse($args, $_) for 0, 1;
    return;
}

# What a spare calls, in C, to have its memory ready.
sub _idle { return $_[0] }

sub _nothing {
    Apache2::Spawn::Current->job;
    return;
}

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

# A worker: gets ready, then serves call after call in C. Returns the exit code.
sub _serve_calls {
    my ($order) = @_;
    my $link = take_link(LINK);
    return 255 if $link < 0;
    $0 = "mod_spawn worker $order->{queue}";
    if (!eval { _run_hooks($link); 1 }) {
        my $text = text_of($@);
        chomp $text;
        _tell_ready($link, _START_FAILED(), $text);
        return 255;
    }
    %env = %ENV;
    _note_environment();
    return 0 if _tell_ready($link, 0, q{}) != 0;
    return _serve($link, map { $order->{$_} || 0 } qw(worker_jobs worker_memory));
}

# After a call that changed it.
sub _restore_environment {
    %ENV = %env;    ## no critic (RequireLocalizedPunctuationVars)
    _note_environment();
    return;
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

# With the link of a worker.
sub _run_hooks {
    my ($link) = @_;
    _prepare_hooks();
    for my $hook (@hooks) {
        _hook_begins(@{$hook}{qw(seconds document text)}, defined $link ? $link : -1);
        my $returned = eval { $hook->{code}->(); 1 };
        my $error = $@;
        _hook_ended();
        refuse(undef, 'after_fork: ' . text_of($error)) if !$returned;
    }
    return;
}

# A reference to the function, once the module that is to be loaded for it is there.
sub _function {
    my ($function, $load) = @_;
    if (defined $load) {
        my $file = file_of($load);
        refuse('invalid', "load: '$load' is not the name of a module") if !defined $file;
        my $error = load($file);
        refuse('invalid', _not_loaded($load, $error)) if defined $error;
    }
    no strict 'refs';    ## no critic (ProhibitNoStrict)
    return \&{$function} if defined &{$function} || exists &{$function};
    refuse('invalid', "no function $function in template $template, and none in the module $load that was loaded for it" . _age())
        if defined $load;
    my ($module) = $function =~ /\A(.+)::/;
    $module = 'My::Module' if !defined $module;
    my $why
        = $module =~ /\A(?:ModPerl::ROOT|Plack::Sandbox)::/
        ? q{a script's own functions exist in no other process; move it to a module}
        : $in_httpd ? "load its module in httpd.conf (PerlModule $module) or use load => '$module'"
        :             "preload its module or use load => '$module'";
    refuse('invalid', "no function $function in template $template; $why" . _age());
    return;
}

# A template of before a restart may serve on, without what the restart has added.
sub _age {
    return q{} if !defined $loaded;
    my ($second, $minute, $hour, $day, $month, $year) = localtime $loaded;
    return sprintf '; the template was loaded at %04d-%02d-%02d %02d:%02d:%02d: when httpd was restarted since,'
        . ' the new one has failed (MS0601 in the error log)', $year + 1900, $month + 1, $day, $hour, $minute, $second;
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

# What the call died of, to the caller and to the job's stderr.
sub _died {
    my ($error) = @_;
    _put_result(_DIED(), obituary($error));
    _print(text_of($error));
    return;
}

# In a process that the function has forked.
sub _print_error {
    _print(text_of($_[0]));
    return;
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

The Perl part of what a process does that is forked from a template. It runs the hooks,
finds functions that are not simply there, loads modules, says what a function died of,
and makes a worker of the process. All else that leads to a function and back is in
the library that L<Apache2::Spawn::Template> loads. There is no reason to load this
module: templates do.

What a function finds, and how it ends, stands in L<Apache2::Spawn::Template>.

=head1 FUNCTIONS

In the template:

=over

=item set_template($name, $in_httpd, $loaded)

The template's name, for messages and L<Apache2::Spawn::Current>; true when it was
forked from httpd; when it was loaded, in seconds since 1970, for messages (undef: they
do not tell it).

=item add_hook($code, $seconds, $where)

Code that each job runs first, the seconds that it may take, and where it comes from.

=item rehearse($alone)

A call of nothing, which makes what all jobs share. C<$alone>: the memory is the
template's own, and not httpd's too.

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

=item open_handles

Opens those of STDIN, STDOUT and STDERR again that are not at their numbers. Called from
C, when one is not.

=back

=head1 SEE ALSO

L<Apache2::Spawn::Template>, L<Apache2::Spawn::Template::Value>,
L<Apache2::Spawn::Current>

=cut
