# SPDX-License-Identifier: Apache-2.0
#
# Runs spawnctl against a test's httpd: what it printed on both streams, and
# its exit code. Runs in test scripts; none of its runs outlives its deadline.

package SpawnTest::Ctl;

use strict;
use warnings;

use File::Copy qw(copy);
use File::Temp ();
use JSON::PP ();
use POSIX ();

use constant DEADLINE => 60;

my $json = JSON::PP->new->utf8;

# new($httpd): a copy in that httpd's directory, since another account may be
# unable to enter the build.
sub new {
    my ($class, $httpd) = @_;
    my $path = $httpd->dir . '/bin/spawnctl';
    if (!-e $path) {
        my $from = SpawnTest::build_dir() . '/spawnctl';
        copy($from, $path) or die "$from (make): $!\n";
        chmod 0755, $path or die "$path: $!\n";
    }
    return bless { path => $path, socket => $httpd->socket }, $class;
}

# start({ options }, arguments): begins a run, for finish.
#   stdin    text that it can read; default: nothing
#   uid      the account that it runs as; root can choose
#   env      variables, undef to have none of that name
#   through  words of a command that runs it
sub start {
    my ($self, @arguments) = @_;
    my %options = ref $arguments[0] ? %{ shift @arguments } : ();
    my %run = map { $_ => scalar File::Temp::tempfile() } qw(in out err);
    $run{in}->autoflush(1);
    print { $run{in} } defined $options{stdin} ? $options{stdin} : '';
    seek $run{in}, 0, 0 or die "stdin: $!\n";

    $run{pid} = fork;
    defined $run{pid} or die "fork: $!\n";
    if ($run{pid} == 0) {
        eval { $self->_become(\%run, \%options, @arguments) };
        print STDERR "cannot run spawnctl: $@ $!\n";
        POSIX::_exit(99);
    }
    return \%run;
}

# Waits for the end: { code, out, err }; code is negative for a signal.
sub finish {
    my ($self, $run) = @_;
    waitpid $run->{pid}, 0;
    my $status = $?;
    return {
        code => $status & 127 ? -($status & 127) : $status >> 8,
        map { $_ => _text($run->{$_}) } qw(out err),
    };
}

# Both at once.
sub run {
    my ($self, @arguments) = @_;
    return $self->finish($self->start(@arguments));
}

# The value of --json's one line on stdout, and the whole of what run returns.
sub json {
    my ($self, @arguments) = @_;
    my @options = ref $arguments[0] ? shift @arguments : ();
    my $ran = $self->run(@options, '--json', @arguments);
    my $value = $ran->{out} =~ /\A[^\n]+\n\z/ ? eval { $json->decode($ran->{out}) } : undef;
    return ($value, $ran);
}

# --detach: the job's id.
sub detach {
    my ($self, @arguments) = @_;
    my $ran = $self->run(qw(run --detach), @arguments);
    die "no id, but code $ran->{code}: $ran->{out}$ran->{err}" if $ran->{code} != 0;
    chomp(my $id = $ran->{out});
    return $id;
}

sub _become {
    my ($self, $run, $options, @arguments) = @_;
    my %env = (SPAWN_SOCKET => $self->{socket}, %{ $options->{env} || {} });
    for my $name (keys %env) {
        delete $ENV{$name};
        $ENV{$name} = $env{$name} if defined $env{$name};    ## no critic (RequireLocalizedPunctuationVars)
    }
    open STDIN, '<&', $run->{in} or die "stdin: $!";
    open STDOUT, '>&', $run->{out} or die "stdout: $!";
    open STDERR, '>&', $run->{err} or die "stderr: $!";
    if (defined $options->{uid}) {
        POSIX::setgid($options->{uid});
        POSIX::setuid($options->{uid}) or die "setuid: $!";
    }
    delete @SIG{qw(INT TERM HUP)};
    alarm DEADLINE;
    if (my $through = $options->{through}) {
        exec @{$through}, $self->{path}, @arguments or die "exec: $!";
    }
    exec { $self->{path} } 'spawnctl', @arguments or die "exec: $!";
}

sub _text {
    my ($file) = @_;
    seek $file, 0, 0 or die "seek: $!\n";
    local $/ = undef;
    my $text = <$file>;
    return defined $text ? $text : '';
}

1;
