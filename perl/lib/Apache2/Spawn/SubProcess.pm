package Apache2::Spawn::SubProcess;

# spawn_proc_prog of request objects, as Apache2::SubProcess has it, by jobs. Runs in httpd
# children. Must leave no program behind its request.

use strict;
use warnings;

our $VERSION = '0.1.0';

use APR::Pool ();
use APR::Table ();
use Apache2::RequestRec ();
use Apache2::Spawn ();
use Apache2::Spawn::Instead::Command qw(permitted);

# Code that says so as well gets this one.
$INC{'Apache2/SubProcess.pm'} ||= __FILE__;    ## no critic (RequireLocalizedPunctuationVars)

use constant { F_SETPIPE_SZ => 1031, PIPE_ROOM => 1 << 20 };

sub _spawn_proc_prog {
    my ($r, $command, $words, @options) = @_;
    $words = [] if !defined $words;
    my $wanted = wantarray;
    local ($!, $?);
    my %given = @options;
    my %job = (
        env     => permitted(_environment($r), $r, $given{queue}),
        timeout => 0,
        until   => 'request',
        stdin   => $wanted         ? 'pipe' : 'null',
        stdout  => defined $wanted ? 'pipe' : 'log',
        stderr  => $wanted         ? 'pipe' : 'log',
        %given,
    );
    my $pipe = $r->spawn_pipe([ $command, @{$words} ], %job);
    return                              if !defined $wanted;
    return delete $pipe->{out}          if !$wanted;
    my ($in, $out, $err) = map { delete $pipe->{$_} } qw(in out err);
    _keep($r, $err) if $err;
    return ($in, $out, $err);
}

# A caller that does not want it drops it: the program must not get SIGPIPE for a warning.
sub _keep {
    my ($r, $err) = @_;
    fcntl $err, F_SETPIPE_SZ, PIPE_ROOM;    # what is refused is as well
    $r->pool->cleanup_register(sub { return 0 }, $err);
    return;
}

# As httpd makes one of subprocess_env: a name has letters, digits and _ only.
sub _environment {
    my ($r) = @_;
    my %env;
    $r->subprocess_env->do(
        sub {
            my ($name, $value) = @_;
            $name =~ s/\A[0-9]/_/;
            $name =~ s/\W/_/ga;
            $env{$name} = $value if length $name;
            return 1;
        });
    return \%env;
}

{
    no warnings 'redefine';
    *Apache2::RequestRec::spawn_proc_prog = \&_spawn_proc_prog;
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::SubProcess - spawn_proc_prog as Apache2::SubProcess has it, without its faults

=head1 SYNOPSIS

    use Apache2::Spawn::SubProcess ();      # was: use Apache2::SubProcess ();

    $r->subprocess_env->set(REPORT => $id);
    my $out = $r->spawn_proc_prog('/usr/local/bin/report', [ '--html' ]);
    print while <$out>;

    my ($in, $from, $err) = $r->spawn_proc_prog('/usr/bin/tr', [ 'a-z', 'A-Z' ]);
    print {$in} "loud\n";
    close $in;
    my $loud = <$from>;

In httpd.conf, for code that cannot be changed:

    PerlModule Apache2::Spawn::SubProcess

=head1 DESCRIPTION

L<Apache2::SubProcess> copies the httpd child to start a program, as C<system> does
(L<Apache2::Spawn/THE PROBLEM>). This module has its method and its contract; the program is a job.
Code that was written for it stays as it is. New code better says what it wants:
L<< C<< $r->spawn_run >>|Apache2::Spawn::Httpd/METHODS >>, L<< C<< $r->spawn_pipe >>|Apache2::Spawn::Pipe >>,
L<< C<< $r->spawn_stream >>|Apache2::Spawn::Stream >>.

A process has one C<spawn_proc_prog>. When this module was loaded, a C<use Apache2::SubProcess> that
comes later does nothing; when Apache2::SubProcess was loaded before, its method is replaced. So one
line of httpd.conf is enough for all code of this httpd.

=head1 METHODS

Of every request object:

=over

=item $r->spawn_proc_prog($command, \@arguments, %options)

Starts a program. C<$command> is text, its path (a name without a slash is looked up as that of
L<Apache2::Spawn/spawn>); C<\@arguments> is a reference to an array, and can be left out. No shell
reads them.

=over

=item *

In scalar context: returns a handle to read what the program writes to its standard output. Its
standard input is empty, its standard error is the error log.

=item *

In list context: returns three handles, to write to its standard input (flushed at each C<print>),
and to read its standard output and its standard error.

=item *

In void context: returns nothing. Its standard input is empty, and what it writes is in the error log.

=back

Returns when the program runs. Its environment is that of the request, C<< $r->subprocess_env >> (each
character of a name that is no letter, digit or underscore becomes an underscore), above the clean set
that each job has (L<env|Apache2::Spawn::Options/Surroundings>). In a queue with C<SpawnAllow> it lacks
those that jobs may not set there (C<PATH>, C<HOME>, C<LD_...>, C<PERL...> and others). It starts in F</>.

When the request has ended, it gets TERM, and after C<grace> (5 seconds without it) KILL:
L<until|Apache2::Spawn::Options/Limits>. Before that it has no time limit. In the rare cases in which
nobody can end it with its request (broker and child were both killed, or the error log has MS0219) it
has none afterwards either: with C<< timeout => 3600 >> among the options it has.

C<%options>, which Apache2::SubProcess does not have, are those of L<Apache2::Spawn/pipe> and
L<Apache2::Spawn::Options>, in place of what is said here: C<< queue => 'reports' >>,
C<< timeout => 30 >>, C<< stderr => 'null' >>.

Throws L<Apache2::Spawn::Error>: C<start_failed> when there is no such program, and what
L<Apache2::Spawn/pipe> throws.

=back

=head1 WHAT IS DIFFERENT

=over

=item *

No copy of the child, and none of its sockets and handles in the program.

=item *

A program that is not there is an error of the call. It was a program that ended at once.

=item *

The handles block, as others do: C<< <$out> >> gives lines, and C<IO::Select> with
C<sysread> is not needed (and works).

=item *

A program that reads its standard input sees end of file in scalar and void context. It waited for
ever.

=item *

What nobody reads does not stop it: standard error goes to the error log in scalar context. In list
context a third handle that is not taken stays open until the request has ended, and has room for
up to 1 MB where the kernel grants it.

=item *

It has the variables of the clean set, C<PATH> for one, where the request has none.

=back

The exit code is not told: the handles are all there is. C<< $r->spawn_pipe >> and C<< $r->spawn_run >>
tell it.

=head1 SEE ALSO

L<Apache2::Spawn>, L<Apache2::Spawn::Pipe>, L<Apache2::SubProcess>

=cut
