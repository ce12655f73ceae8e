#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The rules of a queue hold for jobs of requests, with each MPM: what SpawnAllow and SpawnLimit
# let through runs, with what the queue gives to it; what they do not is refused, and the error
# names queue and rule. That of SpawnAllow names virtual host, request and client, in the log
# of the virtual host, too. In a paused queue a request's job waits.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();
use SpawnTest::Ctl ();

my $conf = <<'END';
SpawnSubmitTimeout 60s
<SpawnQueue tools>
    SpawnAllow    /bin/cat /usr/bin/pwd /usr/bin/env
    SpawnLimit    files=100
    SpawnEnv      FROM_QUEUE tools
    SpawnDirectory /usr
</SpawnQueue>
<SpawnQueue calls>
    SpawnAllow SpawnTest::Functions::* !SpawnTest::Functions::pid
</SpawnQueue>
<VirtualHost *>
    ServerName first
</VirtualHost>
<VirtualHost *>
    ServerName shop.example
    ErrorLog shop_log
    CustomLog id_log "%L %q"
</VirtualHost>
END

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, conf => $conf)->start;
        my $read = sub {
            my ($name) = @_;
            open my $in, '<', $httpd->dir . "/$name" or return '';
            local $/ = undef;
            return readline($in) || '';
        };
        my $asked = 0;
        # The code's value in a request to the virtual host, and the id of that request.
        my $ask = sub {
            my ($code) = @_;
            my $query = '?' . ++$asked;
            my $is = SpawnTest::Calls->ask_host($httpd, 'shop.example', "/perl$query", $code);
            my $id;
            wait_until(sub { ($id) = $read->('id_log') =~ /^(\S+) \Q$query\E$/m }, 60);
            return ($is, $id);
        };
        my $runs = sub {
            my ($name, $code, $gives) = @_;
            my ($is) = $ask->($code);
            is_deeply $is->{values}, [$gives], $name or diag explain $is;
        };
        $runs->('a program that is named runs, in the directory of its queue',
            q{$r->spawn_run(['pwd'], queue => 'tools')->stdout}, "/usr\n");
        $runs->('... with its variable and its limit',
            q{join ' ', $r->spawn_run(['env'], queue => 'tools')->stdout =~ /^(FROM_QUEUE=.*)$/m,}
            . q{ $r->spawn_run(['cat', '/proc/self/limits'], queue => 'tools')->stdout =~ /^Max open files\s+(\d+)/m},
            'FROM_QUEUE=tools 100');
        $runs->('a function that is named runs', q{$r->spawn_call('SpawnTest::Functions::sum', [2, 3], queue => 'calls')->result(60)}, 5);

        # not_permitted at once, or start_failed where only the process could know the file
        for my $case (
            [ 'a program', q{$r->spawn(['/bin/sh', '-c', 'true'], queue => 'tools', reply => 'started')},
                qr/queue 'tools' does not run .*\/bin\/sh.*; SpawnAllow: \/bin\/cat \/usr\/bin\/pwd \/usr\/bin\/env;/, qr/not_permitted|start_failed/ ],
            [ 'a function', q{$r->spawn_call('SpawnTest::Functions::pid', [], queue => 'calls', reply => 'accepted')},
                qr/queue 'calls' does not run 'SpawnTest::Functions::pid'; SpawnAllow: !SpawnTest::Functions::pid;/, qr/not_permitted/ ]
        ) {
            my ($name, $code, $text, $error) = @{$case};
            my ($is, $request) = $ask->($code);
            like $is->{error}{code}, qr/\A(?:$error)\z/, "$name is refused" or diag explain $is;
            is $is->{error}{step}, 'allow', '... step allow';
            my $who = qr/asked for by virtual host shop\.example, request \Q$request\E, client 127\.0\.0\.1/;
            like $is->{error}{text}, qr/$text $who\z/, '... with queue, rule, virtual host, request and client';
            my $id = $is->{error}{id};
            like $id, qr/\A[0-9a-f-]{36}\z/, '... and has an id';
            ok wait_until(sub { $read->('shop_log') =~ /MS0514: job \Q$id\E .*is refused: .*$text $who$/m }, 60),
                '... and the log of the virtual host has all of that';
        }
        my ($is) = $ask->(q{$r->spawn(['/bin/cat'], queue => 'tools', limits => { files => 101 })});
        is $is->{error}{code}, 'not_permitted', 'more than SpawnLimit is refused';
        is $is->{error}{text}, q{limits: files=101 is more than queue 'tools' lets a job have: files=100 (SpawnLimit)},
            '... with both numbers';

        my $ctl = SpawnTest::Ctl->new($httpd);
        is $ctl->run(qw(pause tools))->{code}, 0, 'a queue is paused';
        ($is) = $ask->(q{$r->spawn(['/bin/cat'], queue => 'tools')->id});
        my $waits = $is->{values}[0];
        is $httpd->run(['/bin/true'])->{exit_code}, 0, '... while another one runs jobs';
        is $httpd->status($waits)->{state}, 'queued', '... a job of a request waits in it';
        is $ctl->run(qw(resume tools))->{code}, 0, '... until that is undone';
        is $httpd->wait($waits, 60)->{exit_code}, 0, '... and then runs';
    }
);
done_testing;
