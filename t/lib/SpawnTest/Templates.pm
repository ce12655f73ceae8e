# SPDX-License-Identifier: Apache-2.0
#
# For tests of templates: an httpd with some, Perl files for them, and a look
# at their processes. Calls are made from the test script, over the socket.
# Runs in test scripts; My::Work, which templates preload, runs in Perl jobs.

package SpawnTest::Templates;

use strict;
use warnings;

use lib SpawnTest::build_dir() . '/perl';

use Apache2::Spawn ();
use File::Basename qw(dirname);
use File::Path qw(make_path);

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Process qw(alive all_pids cmdline parent_of session_of);

# The functions that most tests call. A gate is read byte by byte: a buffer
# would take what is meant for others.
my $work = <<'END';
package My::Work;
use strict;
use warnings;
use Apache2::Spawn ();
our $loaded = $$;
sub echo   { return wantarray ? @_ : $_[0] }
sub pid    { return $$ }
sub parent { return $loaded }
sub version { return 1 }
sub at_gate {
    my ($gate, @values) = @_;
    Apache2::Spawn->job->progress(1, 2, 'at the gate');
    open my $in, '<', $gate or die "$gate: $!\n";
    sysread $in, my $byte, 1;
    return @values;
}
sub until_cancelled {
    local $SIG{TERM} = 'IGNORE';
    Apache2::Spawn->job->progress(1);
    select undef, undef, undef, 0.01 until Apache2::Spawn->job->cancelled;
    return 'cancelled';
}
1;
END

# new(%options): nothing runs yet.
#   templates  lines of httpd.conf, @INC@ stands for the directory of Perl files
#              (default: the template app, which has My::Work)
#   conf       more lines
#   files      name => text, in that directory; My/Work.pm is there anyway
#   children, mpm: as for SpawnTest::Httpd
sub new {
    my ($class, %options) = @_;
    my $templates = delete $options{templates};
    my $files = delete $options{files} || {};
    my $conf = delete $options{conf} || '';
    my $self = bless { httpd => SpawnTest::Httpd->new(mpm => one_mpm(), %options) }, $class;
    $templates = 'SpawnTemplate app exec inc=@INC@ preload=My::Work' if !defined $templates;
    $self->configure($templates, $conf);
    $self->file('My/Work.pm', $work);
    $self->file($_, $files->{$_}) for keys %{$files};
    return $self;
}

# For the next start or restart.
sub configure {
    my ($self, $templates, $conf) = @_;
    my $inc = $self->inc;
    $templates =~ s/\@INC\@/$inc/g;
    $self->{httpd}{conf} = "$templates\n" . (defined $conf ? $conf : '') . "\n";
    return;
}

sub httpd { return $_[0]{httpd} }
sub inc   { return $_[0]{httpd}->dir . '/perl' }

sub start {
    my ($self) = @_;
    $self->{httpd}->start;
    return $self;
}

# Writes or replaces a Perl file.
sub file {
    my ($self, $name, $text) = @_;
    my $path = $self->inc . "/$name";
    make_path(dirname($path), { mode => 0755 });
    open my $out, '>', "$path.new" or die "$path: $!\n";
    print {$out} $text;
    close $out or die "$path: $!\n";
    chmod 0644, "$path.new";
    rename "$path.new", $path or die "$path: $!\n";
    return $path;
}

# The same work, that tells another version.
sub new_version {
    my ($self, $version) = @_;
    (my $text = $work) =~ s/sub version \{ return 1 \}/sub version { return $version }/;
    $self->file('My/Work.pm', $text);
    return;
}

# An Apache2::Spawn for this httpd's broker.
sub spawn {
    my ($self) = @_;
    return $self->{spawn} ||= $self->{httpd}->connection;
}

# The job that waits at a gate and then returns these values.
sub at_gate {
    my ($self, $gate, @values) = @_;
    return $self->spawn->spawn_call('My::Work::at_gate', [ $gate->path, @values ]);
}

# Waits until all these jobs have told that they are at the gate.
sub all_at_gate {
    my ($self, @jobs) = @_;
    my %waits = map { $_->id => $_ } @jobs;
    return wait_until(
        sub {
            for my $id (keys %waits) {
                delete $waits{$id} if defined $waits{$id}->progress;
            }
            return !keys %waits;
        },
        60
    );
}

# Processes of a template, those that preload not counted (they are called as
# perl is).
sub pids {
    my ($self, $name) = @_;
    my %spawner = map { $_ => 1 } $self->{httpd}->spawner_pids;
    return grep {
        join(q{ }, cmdline($_)) =~ /\Amod_spawn template \Q$name\E\s*\z/
            && $spawner{ parent_of($_) }
            && session_of($_) == $_    # no process that it has just forked
    } all_pids();
}

# Processes of a queue's workers.
sub workers {
    my ($self, $queue) = @_;
    my %ours = map { $_ => 1 } $self->{httpd}->spawner_pids, $self->{httpd}->pid || ();
    return grep {
        join(q{ }, cmdline($_)) =~ /\Amod_spawn worker \Q$queue\E\s*\z/
            && ($ours{ parent_of($_) } || $ours{ parent_of(parent_of($_)) })
    } all_pids();
}

# Waits until there are so many.
sub has_workers {
    my ($self, $queue, $count) = @_;
    my @pids;
    wait_until(sub { @pids = $self->workers($queue); return @pids == $count }, 30);
    return @pids == $count;
}

# Waits until there is exactly one, and it is none of these.
sub new_pid {
    my ($self, $name, @old) = @_;
    my %old = map { $_ => 1 } @old;
    return wait_until(
        sub {
            my @pids = $self->pids($name);
            return @pids == 1 && !$old{ $pids[0] } ? $pids[0] : 0;
        },
        30
    );
}

# kill -9 of a template; returns its pid, when it has gone.
sub kill_template {
    my ($self, $name) = @_;
    # one that was just dismissed may still be on its way out
    my @pids;
    wait_until(sub { @pids = $self->pids($name); return @pids == 1 }, 20);
    my $pid = $pids[-1] or die "template $name does not run\n" . $self->{httpd}->tail;
    kill KILL => $pid or die "kill $pid: $!\n";
    wait_until(sub { !alive($pid) }, 10) or die "template $pid is still there\n";
    return $pid;
}

1;
