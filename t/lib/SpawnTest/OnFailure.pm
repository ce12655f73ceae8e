# SPDX-License-Identifier: Apache-2.0
#
# For tests of on_failure: templates with functions that fail, and with a handler that
# notes each call in a file. Runs in test scripts; My::Failed runs in Perl jobs.

package SpawnTest::OnFailure;

use strict;
use warnings;

use Exporter qw(import);
use JSON::PP ();

use SpawnTest qw(wait_until);
use SpawnTest::Templates ();

our @EXPORT_OK = qw(site notes noted followers program);

my $failed = <<'END';
package My::Failed;
use strict;
use warnings;
use Apache2::Spawn ();
use JSON::PP ();
sub dies   { die "no luck\n" }
sub killed { kill KILL => $$; select undef, undef, undef, 60 }
sub fine   { return 1 }
sub note {
    my (@args) = @_;
    my $job = Apache2::Spawn->job;
    open my $out, '>>', '@WORK@/notes' or die "notes: $!\n";
    syswrite $out, JSON::PP->new->canonical->encode({ got => \@args, id => $job->id, parent => getppid }) . "\n";
    return;
}
sub note_and_die {
    note(@_);
    die "the handler fails, too\n";
}
1;
END

# site(%options of SpawnTest::Templates): not started. Its queues have the template app.
sub site {
    my (%options) = @_;
    my $t = SpawnTest::Templates->new(templates => 'SpawnTemplate app exec inc=@INC@ preload=My::Work,My::Failed', %options);
    (my $text = $failed) =~ s/\@WORK\@/$t->httpd->work/ge;
    $t->file('My/Failed.pm', $text);
    return $t;
}

# What the handler was told, call after call.
sub notes {
    my ($t) = @_;
    open my $in, '<', $t->httpd->work . '/notes' or return;
    return map { JSON::PP->new->decode($_) } grep { /\n\z/ } <$in>;
}

# The notes on this job; waits for one, unless there is to be none.
sub noted {
    my ($t, $id, $none) = @_;
    my $find = sub { grep { $_->{got}[0]{id} eq $id } notes($t) };
    wait_until(sub { $find->() }, 30) if !$none;
    return $find->();
}

# The jobs that followed from the failure of this one, begun or not. They are there as soon as
# its end is known.
sub followers {
    my ($t, $id) = @_;
    return grep { defined $_->failure_of && $_->failure_of eq $id } $t->spawn->list;
}

# A program that notes its variables and arguments in the file variables.
sub program {
    my ($t) = @_;
    return ('/bin/sh', '-c', 'env | grep ^SPAWN_FAILED_ >$0.new; echo "$@" >>$0.new; mv $0.new $0', $t->httpd->work . '/variables');
}

1;
