#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The access log can have the ids of a request's jobs, %{spawn-jobs}n: of each way to
# submit one, SpawnCleanupHandler among them, of a request that was redirected and of its subrequests, at most ten and
# the number of the others; and no id of what was refused.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::CApi ();
use SpawnTest::Ctl ();

my $handlers = <<'END';
package My::Jobs;
use Apache2::RequestIO ();
use Apache2::RequestRec ();
use Apache2::SubRequest ();
use Apache2::Spawn ();
use Apache2::Spawn::Request ();

our %way = (
    spawn     => sub { $_[0]->spawn(['/bin/true'])->id },
    posted    => sub { $_[0]->spawn(['/bin/true'], reply => 'posted')->id },
    started   => sub { $_[0]->spawn(['/bin/true'], reply => 'started')->id },
    call      => sub { $_[0]->spawn_call('My::Jobs::seven', [])->id },
    cleanup   => sub { $_[0]->spawn_cleanup(['/bin/true'])->id },
    left_out  => sub { $_[0]->spawn_cleanup(['/bin/true'], only_if => 'aborted')->id },
    not_there => sub { eval { $_[0]->spawn(['/nonexistent'], reply => 'started') }; $@->job->id },
    twice     => sub {
        my $id = Apache2::Spawn->new_id;
        $_[0]->spawn(['/bin/true'], id => $id) for 1, 2;
        $id;
    },
    run => sub {
        my $id = Apache2::Spawn->new_id;
        $_[0]->spawn_run(['/bin/true'], id => $id);
        $id;
    },
    late => sub {
        my $id = Apache2::Spawn->new_id;
        eval { $_[0]->spawn_run(['/bin/sleep', 1000], id => $id, timeout => 0.1, grace => 0.1) };
        $id;
    },
    refused => sub { eval { $_[0]->spawn(['/bin/true'], queue => 'nowhere') }; '-' },
    invalid => sub { eval { $_[0]->spawn(['/bin/true'], timeout => 'x') }; '-' },
    none    => sub { '-' },
    handled => sub { 'there is a SpawnCleanupHandler' },
    many    => sub { my $r = shift; join ',', (map { $r->spawn(['/bin/true'])->id } 1 .. 13)[0 .. 9], '+3' },
    include => sub {
        my $r = shift;
        my $own = $r->spawn(['/bin/true'])->id;
        $r->lookup_uri('/jobs/spawn')->run;
        my ($part) = $r->pnotes('part');
        "$own,$part";
    },
    redirect => sub {
        my $r = shift;
        $r->pnotes(first => $r->spawn(['/bin/true'])->id);
        $r->internal_redirect('/jobs/target');
        return;
    },
    target => sub { my $r = shift; join ',', $r->prev->pnotes('first'), $r->spawn(['/bin/true'])->id },
);

sub seven { return 7 }

sub handler {
    my ($r) = @_;
    my $said = $way{ ($r->uri =~ m{([a-z_]+)\z})[0] }->($r);
    if ($r->main) {
        $r->main->pnotes(part => $said);
    }
    elsif (defined $said) {
        $r->content_type('text/plain');
        $r->print($said);
    }
    return 0;
}
$INC{'My/Jobs.pm'} = __FILE__;
END

my $conf = <<'END';
CustomLog jobs_log "%U %{spawn-jobs}n %{spawn-jobs}n %<{spawn-jobs}n"
SpawnSubmitTimeout 30s
<Location /jobs>
    SetHandler modperl
    PerlResponseHandler My::Jobs
</Location>
<Location /jobs/handled>
    SpawnCleanupHandler My::Jobs::seven
</Location>
END

# The line of the last request: its jobs, as the last and as the first request have them.
sub logged {
    my ($httpd, $n) = @_;
    my @lines;
    wait_until(
        sub {
            open my $in, '<', $httpd->dir . '/jobs_log' or return 0;
            @lines = <$in>;
            return @lines >= $n && $lines[-1] =~ /\n\z/;
        },
        30
    ) or diag 'no line';
    my ($uri, $last, $again, $first) = split ' ', $lines[-1];
    return ($last, $first);
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, perl => $handlers, conf => $conf)->start;
        my $n = 0;
        for my $way (qw(spawn posted started call cleanup left_out not_there twice run late many include redirect),
            qw(refused invalid none)) {
            my $said = $httpd->get("/jobs/$way")->{content};
            like $said, qr/\A(?:-|[0-9a-f-]{36}.*)\z/, "$way: it was as wanted";
            is_deeply [ logged($httpd, ++$n) ], [ $said, $said ], "$way: the log has its jobs";
        }
        $httpd->get('/jobs/handled');
        my ($handled) = logged($httpd, ++$n);
        my ($listed) = SpawnTest::Ctl->new($httpd)->json('show', $handled);
        is $listed->{function}, 'Apache2::Spawn::Cleanup::run', 'SpawnCleanupHandler: the log has its job' or diag explain $listed;
        $httpd->stop;

        $httpd = SpawnTest::CApi->new(mpm => $mpm, conf => qq{CustomLog jobs_log "%U %{spawn-jobs}n x %<{spawn-jobs}n"\n})->start;
        my $id = $httpd->capi('submit/1/0', '/bin/true')->{id};
        is_deeply [ logged($httpd, 1) ], [ $id, $id ], 'a module in C submits';
        $id = $httpd->capi('cleanup/0', '/bin/true')->{id};
        is_deeply [ logged($httpd, 2) ], [ $id, $id ], 'a module in C registers one for after the answer';
    }
);
done_testing;
