package Apache2::Spawn::Instead::Command;

# What Perl makes of the words of system, and what a program that it starts finds around it:
# the rules of its do_exec, and of execvp. Runs in callers. Asks nobody.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn ();
use Exporter 'import';
use POSIX ();

our @EXPORT_OK = qw(command resolved environment permitted directory bytes);

# The argv of these words, and whether stderr goes where stdout does. Nothing, and $!, when
# there is no program.
sub command {
    my (@words) = map { bytes($_) } @_;
    return ([@words], 0) if @words > 1;
    my $line = @words ? $words[0] : '';
    $line =~ s/\A\s+//;
    return ([ '/bin/sh', '-c', $line ], 0)
        if $line =~ /\A\.\s/ || $line =~ /\Aexec\s/ || $line =~ /\A\w*=/a;
    # Perl leaves out these two itself, where nothing else needs a shell
    my $joined = 0;
    my $plain = $line;
    if ($plain =~ s/(?<=\s)2>&1\s*\z//) {
        $joined = 1;
    }
    else {
        $plain =~ s/\n\z//;
    }
    return ([ '/bin/sh', '-c', $line ], 0) if $plain =~ /[\$&*(){}\[\]'";\\|?<>~`\n]/;
    my @argv = split ' ', $plain;
    return ([@argv], $joined) if @argv;
    $! = POSIX::ENOENT();
    return;
}

# What C sees of a Perl value.
sub bytes {
    my ($text) = @_;
    return '' if !defined $text;
    $text = "$text";
    utf8::encode($text) if utf8::is_utf8($text);
    return $text;
}

# Where PATH of ours finds the program; nothing, and $!, if nowhere.
sub resolved {
    my ($program) = @_;
    return $program if $program =~ m{/};
    my $errno = POSIX::ENOENT();
    for my $dir (split /:/, !defined $ENV{PATH} ? '/bin:/usr/bin' : length $ENV{PATH} ? $ENV{PATH} : ':', -1) {
        my $path = (length $dir ? $dir : '.') . "/$program";
        my $there = -e $path;
        return $path if $there && -f _ && -x _;
        $errno = POSIX::EACCES() if $there || $! == POSIX::EACCES();
    }
    $! = $errno;
    return;
}

# What mod_perl makes of a request: of the client's choice, or true of this process only. No
# program has had it from a handler's system, and some would take themselves for a CGI.
my $of_request = qr/\A(?:
    AUTH_TYPE | (?:CONTENT|CONTEXT|HTTP|REDIRECT|REMOTE|REQUEST|SCRIPT|SERVER|SSL)_.* | DOCUMENT_ROOT |
    GATEWAY_INTERFACE | HTTPS | MOD_PERL(?:_API_VERSION)? | PATH_(?:INFO|TRANSLATED) | QUERY_STRING )\z/xs;

my $of_job = qr/\ASPAWN_(?:JOB_ID|QUEUE|ATTEMPT|REQUEST_ID)\z/;

# Ours. What that of mod_perl does not have, HOME for example, is of the job's clean set;
# elsewhere there is nothing of that but the job's own names.
sub environment {
    my $in_httpd = Apache2::Spawn::_inside_httpd();
    my %env = $in_httpd ? () : map { $_ => undef } qw(PATH HOME USER LOGNAME LANG);
    for my $name (keys %ENV) {
        next if $name eq '' || $name =~ /=/ || $name =~ $of_job || ($in_httpd && $name =~ $of_request);
        $env{ bytes($name) } = bytes($ENV{$name});
    }
    return \%env;
}

# Without what the queue would refuse the job for (SpawnAllow). Of a queue of another process that is
# not known.
sub permitted {
    my ($env, $r, $queue) = @_;
    return $env if !Apache2::Spawn::_inside_httpd();
    return {
        map { ($_ => $env->{$_}) }
        grep { !defined $env->{$_} || !Apache2::Spawn::Httpd::_refuses($r, $queue, "$_=$env->{$_}") } keys %{$env}
    };
}

# Where we are, if a job can go there.
sub directory {
    my $here = POSIX::getcwd();
    return '/' if !defined $here || !-x $here;
    return $here =~ /\A(.*)\z/s ? $1 : '/';    # ours, so it is no value from outside
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Instead::Command - what Perl makes of the words of system

=head1 SYNOPSIS

    use Apache2::Spawn::Instead::Command qw(command resolved environment directory);

    my ($argv, $joined) = command('sort -u list 2>&1') or die "$!\n";
    my $path = resolved($argv->[0]) or die "$!\n";

=head1 DESCRIPTION

Inner part of L<Apache2::Spawn::Instead>; not for use elsewhere.

=head1 FUNCTIONS

=over

=item command(@words)

Reference to the argv of these words, and whether standard error goes where standard output goes
(C<2E<gt>&1> that needs no shell). An empty list, and C<$!>, when there is no program.

=item resolved($program)

The path of a program, by C<PATH> of C<%ENV>; undef, and C<$!>, where it is not found.

=item environment

Reference to a hash for the option C<env>: C<%ENV>, without what mod_perl makes of a request.

=item permitted(\%env, $r, $queue)

The same, or a copy without the variables that the queue of the job refuses (C<SpawnAllow>). C<$r>, the
request, and C<$queue>, its name, may be undef.

=item directory

The directory of this process, text; F</> when a job could not enter it.

=item bytes($text)

The bytes that C sees of it.

=back

=head1 SEE ALSO

L<Apache2::Spawn::Instead>

=cut
