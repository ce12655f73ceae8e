# SPDX-License-Identifier: Apache-2.0
#
# For tests of spares, the processes that templates keep for the next calls: an httpd
# with a template of each kind that has the same functions, and a look at their spares.
# Calls are made from the test script. Runs in test scripts; My::Spare runs in Perl jobs.

package SpawnTest::Spares;

use strict;
use warnings;

use parent 'SpawnTest::Templates';

use Exporter qw(import);

use SpawnTest qw(wait_until);
use SpawnTest::Process qw(alive all_pids cmdline descendants_of);

our @EXPORT_OK = qw(ends);

my $functions = <<'END';
package My::Spare;
use Apache2::Spawn ();
use strict;
use warnings;
use POSIX ();
sub pid { return $$ }
sub echo { return $_[0] }
# Once for each call that runs, whoever gets its result.
sub note {
    my ($file) = @_;
    open my $out, '>>', $file or die "$file: $!\n";
    syswrite $out, "$$\n";
    return $$;
}
sub _lines {
    my ($file, $pattern) = @_;
    open my $in, '<', "/proc/self/$file" or die "/proc/self/$file: $!\n";
    return [ grep { /$pattern/ } <$in> ];
}
sub at_gate {
    my ($gate) = @_;
    Apache2::Spawn->job->progress(1, 2, $$);
    open my $in, '<', $gate or die "$gate: $!\n";
    sysread $in, my $byte, 1;
    return $$;
}
sub look {
    my ($stat) = @{ _lines('stat', qr/^/) };
    my (undef, $parent, $group, $session, @rest) = split / /, $stat =~ s/.*\) //sr;
    return {
        pid => $$, parent => $parent, group => $group, session => $session, nice => $rest[14], name => $0, began => $^T,
        fds => { map { $_ => (readlink "/proc/self/fd/$_") =~ s/\d+//gr } grep { -e "/proc/self/fd/$_" } 0 .. 300 },
        signals => _lines('status', qr/^(?:SigPnd|ShdPnd|SigBlk|SigIgn|SigCgt|Threads|NoNewPrivs|Cap\w+|Uid|Gid|Groups)/),
        limits => _lines('limits', qr/^/), cwd => POSIX::getcwd(), umask => umask,
        env => {%ENV}, c_env => scalar(`env | sort`), argv => [@ARGV], sig => {%SIG}, oom => _lines('oom_score_adj', qr/^/),
        random => rand,
    };
}
1;
END

# new(%options of SpawnTest::Templates; spares => what the two templates have, such as
# 'spares=0'): the templates parent and exec.
sub new {
    my ($class, %options) = @_;
    my $spares = delete $options{spares};
    $spares = q{} if !defined $spares;
    my $files = delete $options{files} || {};
    my $more = delete $options{templates} || q{};
    return $class->SUPER::new(
        templates => "SpawnTemplate parent parent $spares\n"
            . "SpawnTemplate exec exec inc=\@INC\@ preload=My::Spare $spares\n$more",
        files => { 'My/Spare.pm' => $functions, %{$files} },
        perl => $functions,
        %options,
    );
}

# The spares of one template; none named: of all.
sub spares {
    my ($self, $name) = @_;
    $name = defined $name ? quotemeta $name : '\S+';
    my @from = ($self->httpd->pid || (), $self->httpd->spawner_pids);
    my %seen;
    return grep { !$seen{$_}++ && alive($_) && join(q{ }, cmdline($_)) =~ /\Amod_spawn spare $name\s*\z/ }
        map { descendants_of($_) } @from;
}

# Makes a call, and waits until there are so many; returns them. A template that was
# called three times in a row has three until a call comes after some 4 s: so once more.
sub have_spares {
    my ($self, $name, $count) = @_;
    my @seen;
    for (1 .. 4) {
        my @pids;
        $self->spawn->call('My::Spare::pid', [], template => $name);
        return @pids if wait_until(sub { @pids = $self->spares($name); return @pids == $count }, 5);
        push @seen, scalar @pids;
    }
    die "template $name has the spares (@seen), and not $count\n" . $self->httpd->tail;
}

# $count jobs, each of which a stopped spare has and does not begin; and these spares.
# A spare that nobody needs leaves, and one that comes meanwhile takes an order: then
# those go on, and it is tried again.
sub in_stopped_spares {
    my ($self, $name, $count, $submit) = @_;
    my (@jobs, @stopped);
    wait_until(
        sub {
            @stopped = $self->have_spares($name, 2);
            kill STOP => @stopped;
            @jobs = map { $submit->() } 1 .. $count;
            my $begun = wait_until(sub { $count == grep { $_->pid } @jobs }, 20);
            my %is = map { $_ => 1 } @stopped;
            return 1 if $begun && $count == grep { $is{ $_->pid } } @jobs;
            kill CONT => @stopped;
            $_->wait(20) for @jobs;
            return 0;
        },
        60
    ) or die "template $name: no stopped spare has a job\n" . $self->httpd->tail;
    return (\@jobs, \@stopped);
}

# Have these all ended, soon?
sub ends {
    my (@pids) = @_;
    return wait_until(sub { !grep { alive($_) } @pids }, 20);
}

1;
