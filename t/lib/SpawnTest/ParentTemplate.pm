# SPDX-License-Identifier: Apache-2.0
#
# For tests of templates that are forked from httpd itself: an httpd whose
# startup code has Perl functions, and nothing configured. Calls are made from
# the test script, over the socket. Runs in test scripts; My::Loaded runs in
# Perl jobs.

package SpawnTest::ParentTemplate;

use strict;
use warnings;

use lib SpawnTest::build_dir() . '/perl';

use Apache2::Spawn ();
use Exporter qw(import);

use SpawnTest qw(wait_until);
use SpawnTest::Process qw(alive cmdline children_of);

our @EXPORT_OK = qw(httpd_with_functions connection templates_of job_at_gate held);

my $functions = <<'END';
package My::Loaded;
use strict;
use warnings;
use POSIX ();
our $where = $$;
sub add { return $_[0] + $_[1] }
sub leave { exit $_[0] }
sub at_gate {
    my ($gate, @values) = @_;
    Apache2::Spawn->job->progress(1, 2, $$);
    open my $in, '<', $gate or die "$gate: $!\n";
    sysread $in, my $byte, 1;
    return @values;
}
sub deaf_at_gate {
    local $SIG{TERM} = 'IGNORE';
    return at_gate(@_);
}
sub look {
    return {
        pid => $$, parent => getppid, group => POSIX::getpgrp(), uid => $>, loaded_in => $where,
        name => $0, fds => { map { $_ => readlink "/proc/self/fd/$_" } grep { -e "/proc/self/fd/$_" } 0 .. 200 },
        maps => do { open my $in, '<', '/proc/self/maps' or die; local $/; <$in> },
    };
}
END

# httpd_with_functions(%options of SpawnTest::Httpd); nothing runs yet.
sub httpd_with_functions {
    my (%options) = @_;
    return SpawnTest::Httpd->new(perl => $functions, %options);
}

# A connection of the test script's own.
sub connection { return $_[0]->connection }

# The processes that httpd has forked as templates; those of one name.
sub templates_of {
    my ($httpd, $name) = @_;
    my $pid = $httpd->pid or return;
    $name = defined $name ? quotemeta $name : '\S+';
    return grep { join(q{ }, cmdline($_)) =~ /\Amod_spawn template $name\s*\z/ } children_of($pid);
}

# A job that waits at a gate: the job and its process id.
sub job_at_gate {
    my ($httpd, $gate, @values) = @_;
    return held($httpd, 'at_gate', $gate, \@values, want => 'list');
}

# The same with a function of its own (deaf_at_gate does not hear TERM) and options.
sub held {
    my ($httpd, $function, $gate, $values, %options) = @_;
    my $job = connection($httpd)->spawn_call("My::Loaded::$function", [ $gate->path, @{$values} ], %options);
    my $pid = wait_until(sub { my $p = $job->progress; return $p && $p->{text} }, 20);
    return ($job, $pid);
}

1;
