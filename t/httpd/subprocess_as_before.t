#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# $r->spawn_proc_prog of Apache2::Spawn::SubProcess: what Apache2::SubProcess gives in each
# context, from code that was written for that, and without what that does wrong.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);

my $package = <<'END';
package My::Sub;
use strict;
use warnings;
use Apache2::RequestUtil ();
use Apache2::SubProcess ();
use JSON::PP ();
sub sh { my ($r, $line, @more) = @_; return $r->spawn_proc_prog('/bin/sh', [ '-c', $line, @more ]) }
sub told { my ($r, $what) = @_; $r->content_type('text/plain'); $r->print(JSON::PP->new->encode($what)); return 0 }
sub lines { my ($handle) = @_; return [<$handle>] }
sub contexts {
    my ($r) = @_;
    my %told;
    local ($?, $!) = (77, 5);
    my $out = sh($r, 'cat; echo a; echo b; echo "to the log" >&2; exit 3');
    $told{kept} = [ $? + 0, $! + 0 ];
    $! = 5;
    my @three = sh($r, 'exit 3');
    push @{ $told{kept} }, $? + 0, $! + 0;
    $told{scalar} = lines($out);
    my ($in, $from, $err) = sh($r, 'read x; echo "got $x"; echo bad >&2; cat');
    print {$in} "one\n";
    $told{first} = scalar <$from>;
    $told{error} = scalar <$err>;
    print {$in} "two\n";
    close $in;
    $told{rest} = lines($from);
    my ($in_only, $out_only) = sh($r, 'echo much >&2; head -c 60000 /dev/zero >&2; echo after');
    $told{dropped} = lines($out_only);
    sh($r, 'echo "of void $(cat)"; echo >"$1"; sleep 600', 'sh', $r->dir_config('Said'));
    open my $said, '<', $r->dir_config('Said') or die $!;
    readline $said;    # else its request has ended before
    $told{plain} = lines(scalar $r->spawn_proc_prog('/bin/pwd'));
    $told{option} = lines(scalar $r->spawn_proc_prog('/bin/sh', [ '-c', 'pwd' ], cwd => '/tmp'));
    $told{missing} = eval { my $x = $r->spawn_proc_prog('/nowhere/x', []); 1 } ? 'there' : $@->code;
    $told{place} = $@->file =~ /My.Sub\.pm\z/ ? 'here' : $@->file;
    $told{option_place} = eval { my $y = $r->spawn_proc_prog('/bin/true', [], colour => 'red'); 1 }
        ? 'taken' : $@->file =~ /My.Sub\.pm\z/ ? 'here' : $@->file;
    return told($r, \%told);
}
sub environment {
    my ($r) = @_;
    $r->subprocess_env->set('MY_OWN' => 'yes');
    $r->subprocess_env->set('1odd name' => 'x');
    my $out = $r->spawn_proc_prog('/usr/bin/env');
    return told($r, { map { chomp; split /=/, $_, 2 } <$out> });
}
sub left {
    my ($r) = @_;
    my $out = sh($r, 'echo $$; exec sleep 600');
    chomp(my $pid = <$out>);
    return told($r, { pid => $pid });
}
1;
END

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm);
        mkdir $httpd->dir . '/perl/My' or die "My: $!\n";
        chmod 0755, $httpd->dir . '/perl/My';
        $httpd->file('../perl/My/Sub.pm', $package);
        my $said = SpawnTest::Gate->new($httpd, 'said');
        $httpd->{conf} = join "\n", 'PerlModule Apache2::Spawn::SubProcess', 'PerlModule My::Sub', 'PerlSetVar Said ' . $said->path,
            map { ("<Location /$_>", 'SetHandler modperl', "PerlResponseHandler My::Sub::$_", '</Location>') }
            qw(contexts environment left);
        $httpd->start;
        my $ask = sub { return JSON::PP->new->decode($httpd->get($_[0])->{content}) };

        my $told = $ask->('/contexts');
        is_deeply $told->{scalar}, [ "a\n", "b\n" ], 'scalar context: its output, and no input';
        is_deeply [ $told->{first}, $told->{error}, $told->{rest} ], [ "got one\n", "bad\n", ["two\n"] ],
            'list context: its input, output and errors';
        is_deeply $told->{dropped}, ["after\n"], '... errors that nobody takes do it no harm';
        is_deeply $told->{plain}, ["/\n"], 'no arguments';
        is_deeply $told->{option}, ["/tmp\n"], 'options of ours';
        is $told->{missing}, 'start_failed', 'a program that is not there is an error';
        is $told->{place}, 'here', '... of the line of the caller';
        is $told->{option_place}, 'here', '... as is an option that there is not';
        is_deeply $told->{kept}, [ 77, 5, 77, 5 ], '$? and $! are left alone';
        ok $httpd->wait_for_log(qr/\bto the log$/m), 'in scalar context its errors are in the error log';
        ok $httpd->wait_for_log(qr/\bof void $/m), 'void context: what it writes is in the error log';

        my $env = $ask->('/environment?a=b');
        is $env->{MY_OWN}, 'yes', 'it has what the request has in subprocess_env';
        is $env->{_odd_name}, 'x', '... by names that a program can have';
        ok $env->{SPAWN_JOB_ID}, 'it is a job';
        is $env->{LANG}, 'C.UTF-8', '... with a clean set of variables below that';

        my $pid = $ask->('/left')->{pid};
        like $pid, qr/\A\d+\z/, 'one that runs on';
        ok wait_until(sub { return !kill 0 => $pid }, 30), '... is ended with its request';
    }
);
done_testing;
