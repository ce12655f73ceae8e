#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Under PerlSwitches -T: what a client says cannot decide what a job is, as it
# cannot with system; what jobs write and return is tainted; and all the rest works.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use HTTP::Tiny ();
use JSON::PP ();
use Test::More;

use SpawnTest qw(each_mpm sanitized wait_until);

# Runs in httpd's children and in jobs of the template that is forked from it.
my $code = <<'END';
package My::Taint;
use strict; use warnings;
use Scalar::Util qw(tainted);
use Apache2::RequestRec (); use Apache2::RequestIO (); use Apache2::Spawn::Process ();
use IO::Select (); use JSON::PP ();
sub returns { return ({ text => 'a', list => [ 1, 'b' ] }, 7) }
sub dies { die { why => 'because' } }
sub sees { return map { tainted($_) ? 1 : 0 } @_, map { @{$_} } grep { ref } @_ }
sub is_on { return ${^TAINT} }
sub works { local $ENV{PATH} = '/bin'; return system('/bin/true') }
sub writes { my ($fh, @args) = @_; syswrite $fh, join ' ', scalar(@args), map { tainted($_) ? 1 : 0 } @args; return }
sub deep {
    my ($v) = @_;
    return ref $v eq 'HASH' ? map { deep($_) } values %{$v} : ref $v ? map { deep($_) } @{$v} : tainted($v) ? 1 : 0;
}
sub said { my ($fh) = @_; IO::Select->new($fh)->can_read(20); sysread $fh, my $said, 100; return $said }
sub throws { my ($code) = @_; return eval { $code->(); 1 } ? 'nothing' : "$@" }
sub handler {
    my ($r) = @_;
    $r->read(my $bad, 100);    # words of a client
    (my $good) = $bad =~ /\A(.*)\z/;
    my $s = 'Apache2::Spawn';
    my ($bad_name, $bad_dir) = map { substr($bad, 0, 0) . $_ } 'My::Taint::returns', '/tmp';
    my %refused = (
        argv0    => sub { $s->spawn([$bad_dir]) },
        argv1    => sub { $s->run(['/bin/echo', $bad]) },
        request  => sub { $r->spawn(['/bin/echo', $bad]) },
        cleanup  => sub { $r->spawn_cleanup(['/bin/echo', $bad]) },
        cwd      => sub { $s->run(['/bin/true'], cwd => $bad_dir) },
        path     => sub { $s->run(['/bin/true'], env => { PATH => $bad_dir }) },
        bash_env => sub { $s->run(['/bin/true'], env => { BASH_ENV => $bad_dir }) },
        stdout   => sub { $s->run(['/bin/true'], stdout => "$bad_dir/x") },
        user     => sub { $s->run(['/bin/true'], user => $bad) },
        function => sub { $s->call($bad_name) },
        load     => sub { $s->call('My::Taint::returns', [], load => $bad_name) },
        connect  => sub { $s->connect($bad_dir) },
        eval     => sub { Apache2::Spawn::Process->new->eval($bad) },
        require  => sub { Apache2::Spawn::Process->new->require($bad_name) },
        run_it   => sub { Apache2::Spawn::Process->new->run($bad_name) },
    );
    my %out = (tainted => tainted($bad) ? 1 : 0, map { ("refused $_" => throws($refused{$_})) } keys %refused);

    $out{ok} = throws(sub {
        my $res = $s->run(['/bin/cat'], stdin => \$bad, env => { GIVEN => $bad, PATH => '/bin' }, label => $bad);
        $out{stdout} = [ $res->stdout, map { tainted($_) ? 1 : 0 } $res->stdout, $res->stderr, $res->label ];
        $out{plain} = [ map { tainted($_) ? 1 : 0 } $res->id, $res->outcome, $res->exit_code, $res->job->id ];
        $out{values} = [ deep([ $s->call('My::Taint::returns') ]) ];
        $out{is_on} = $s->call('My::Taint::is_on');
        $out{works} = $s->call('My::Taint::works');
        $out{args} = [ map { $_ + 0 } $s->call('My::Taint::sees', [ 'a', ['b'] ]) ];
        $out{worker} = [ map { $_ + 0 } $s->call('My::Taint::sees', [ 'a', ['b'] ], queue => 'workers') ];
        eval { $s->call('My::Taint::dies') };
        $out{thrown} = [ $@->{why}, deep($@) ];
        my $fh = Apache2::Spawn::Process->new->require('POSIX')->eval('sub My::Taint::made { My::Taint::writes(@_) } $::x = shift', 5)
            ->send_arg('a', $bad)->run('My::Taint::made');
        $out{process} = said($fh);
        my $exec = Apache2::Spawn::Process->new_exec->eval('sub main::made { syswrite $_[0], "made" }');
        $fh = $exec->fork->run('made');
        $out{exec} = said($fh);
        my $dump = eval { kill 0, $res->stdout; 1 } ? 'kill' : "$@";
        $out{perls_own} = $dump;
    });
    $r->print(JSON::PP->new->canonical->encode(\%out));
    return 0;
}
END
$code .= "\$Apache2::Spawn::Process::PERL = '" . sanitized() . "';\n" if sanitized();

# Not loaded by httpd: the job does it.
my $after = <<'END';
package MyLater;
use strict; use warnings;
use Scalar::Util qw(tainted);
sub after {
    my ($r) = @_;
    my ($path) = $r->dir_config('After') =~ /\A(.*)\z/s;
    open my $out, '>', "$path.new" or die "$path: $!";
    print {$out} $r->method, ' ', tainted($r->method) ? 1 : 0;
    close $out;
    rename "$path.new", $path or die "$path: $!";
    return 0;
}
1;
END

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, switches => '-T', perl => $code);
        my $left = $httpd->work . '/after';
        $httpd->file('../perl/MyLater.pm', $after);
        $httpd->{conf} = <<"END";
<SpawnQueue workers>
    SpawnWorkers 1 1
</SpawnQueue>
<Location /taint>
    SpawnCleanupHandler MyLater::after
    PerlSetVar After $left
    SetHandler modperl
    PerlResponseHandler My::Taint
</Location>
END
        $httpd->start;
        my $answer = HTTP::Tiny->new(timeout => 120)->post($httpd->url('/taint'), { content => '17' });
        is $answer->{status}, 200, 'the handler came to its end' or diag $answer->{content};
        my $out = eval { JSON::PP->new->decode($answer->{content}) } or return diag $answer->{content};
        is delete $out->{tainted}, 1, 'what the client says is tainted';
        my %what = (argv0 => 'argv[0]', argv1 => 'argv[1]', request => 'argv[1]', cleanup => 'argv[1]',
            path => q{env: the value of 'PATH'}, bash_env => q{env: the value of 'BASH_ENV'}, connect => 'socket path', run_it => 'run');
        for my $name (sort grep { /\Arefused / } keys %{$out}) {
            my ($short) = $name =~ /(\w+)\z/;
            my $what = quotemeta($what{$short} || $short);
            like $out->{$name}, qr/Insecure dependency in $what while running with -T switch/, $name;
        }
        is $out->{ok}, 'nothing', 'all else works';
        is_deeply $out->{stdout}, [ 17, 1, 1, 1 ], 'output, and what callers write, is tainted; data may be';
        is_deeply $out->{plain}, [ 0, 0, 0, 0 ], 'ids, outcome and exit code are not';
        is_deeply $out->{values}, [ 1, 1, 1, 1 ], 'nor can a result be used as it is';
        is_deeply $out->{thrown}, [ 'because', 1 ], 'nor what a function throws';
        is $out->{is_on}, 1, 'jobs of httpd\'s own template have -T too';
        is $out->{works}, 0, 'and can start programs';
        is_deeply $out->{args}, [ 1, 0, 1 ], 'their arguments are tainted';
        is $out->{process}, '2 1 1', 'Process: eval, require and run; its strings are tainted';
        is $out->{exec}, 'made', 'Process: new_exec and fork';
        is_deeply $out->{worker}, [ 1, 0, 1 ], 'in workers too';
        ok wait_until(sub { -s $left }, 20), 'SpawnCleanupHandler runs';
        is do { open my $in, '<', $left or die "$left: $!"; <$in> }, 'POST 1', 'its request is tainted';
        like $out->{perls_own}, qr/Insecure dependency in kill/, 'Perl itself takes the output for tainted';
    }
);
done_testing;
