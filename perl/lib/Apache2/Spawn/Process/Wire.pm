package Apache2::Spawn::Process::Wire;

# The messages between Apache2::Spawn::Process and a process that is set up: commands
# go to the process, answers come back. Here are their letters and their form, once for
# both sides; Process::Socket and Process::Serve send and receive them.
#
# Runs in the caller and in the process. Every process of new_exec loads this file when
# it starts: it must load nothing but strict (a test asks for warnings), and it never
# sends, waits or dies.

use strict;

our $VERSION = '0.1.0';

## no critic (ProhibitSubroutinePrototypes, RequireFinalReturn)

# Commands, in the order of the manual, with their bodies.
sub CMD_REQUIRE () { 'q' }    # place, modules ...
sub CMD_EVAL ()    { 'e' }    # place, code, strings ...
sub CMD_ARGS ()    { 'a' }    # strings ...
sub CMD_HANDLE ()  { 'h' }    # a byte, how many; the handles ride on it
sub CMD_FORK ()    { 'f' }    # timeout, grace; the socket of the copy rides on them
sub CMD_RUN ()     { 'r' }    # the name of the function, alone
sub CMD_PID ()     { 'p' }    # none

# Answers: to CMD_RUN and CMD_PID, and to whatever failed.
sub ANSWER_DONE ()   { 'k' }    # the process's number, as text
sub ANSWER_FAILED () { 'e' }    # code, text, class of the exception or nothing

# Before any answer of a copy: none; the socket of its waiter rides on the letter.
sub ANSWER_WAITER () { 'w' }

# A letter, and the length of the body.
sub HEAD ()     { 5 }
sub BODY_MAX () { 0xFFFF_FFFF }

## use critic

# The constants, into who uses this file. Exporter is more than strict.
sub import {
    my $user = caller;
    no strict 'refs';    ## no critic (ProhibitNoStrict)
    *{"${user}::$_"} = \&{$_}
        for qw(CMD_REQUIRE CMD_EVAL CMD_ARGS CMD_HANDLE CMD_FORK CMD_RUN CMD_PID ANSWER_DONE ANSWER_FAILED ANSWER_WAITER HEAD BODY_MAX);
    return;
}

# A whole message.
sub message { return pack 'a N/a*', @_ }

# The letter and the length of the body.
sub head { return unpack 'a N', $_[0] }

# A body of several strings, and these of a body.
sub body    { return pack '(N/a*)*', @_ }
sub strings { return unpack '(N/a*)*', $_[0] }

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Process::Wire - the messages to a process that is set up, and
its answers

=head1 SYNOPSIS

    use Apache2::Spawn::Process ();     # uses this by itself

=head1 DESCRIPTION

A message is a letter, the length of its body in four bytes, big-endian, and the
body. Most bodies are lists of strings, each with its length before it. Handles
ride on bytes (C<SCM_RIGHTS>): those of a command on the first byte of its body, up to
253, and that of an answer on its letter.

L<Apache2::Spawn::Process> sends commands, L<Apache2::Spawn::Process::Serve> obeys and
answers; this is what both have to know. There is no reason to load it. Nothing here
throws.

=head1 FUNCTIONS

C<use> brings the constants, and these have to be called by their full names.

=over

=item message($letter, $body)

The bytes of a message. The body is bytes, too, at most C<BODY_MAX>.

=item head($bytes)

The letter, and the length of the body, of C<HEAD> bytes.

=item body(@strings)

A body made of strings, which are bytes.

=item strings($body)

The strings of such a body.

=back

=head1 CONSTANTS

C<CMD_REQUIRE>, C<CMD_EVAL>, C<CMD_ARGS>, C<CMD_HANDLE>, C<CMD_FORK>, C<CMD_RUN> and
C<CMD_PID> are the letters of commands, C<ANSWER_DONE>, C<ANSWER_FAILED> and
C<ANSWER_WAITER> those of answers. C<HEAD> is the length of what stands before a body, C<BODY_MAX> that of the
longest body.

=head1 SEE ALSO

L<Apache2::Spawn::Process>, L<Apache2::Spawn::Process::Socket>,
L<Apache2::Spawn::Process::Serve>

=cut
