#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Perl calls of a queue with SpawnUser are forked from a template that has its account:
# jobs, workers and workers that are lent. A call that would come from a template of
# another account is refused, by its queue or by the template that it names. After a
# graceful restart with another account its template and workers have that.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();

plan skip_all => 'only root can give jobs other accounts' if $< != 0;

sub conf {
    my ($uid) = @_;
    return <<"END";
SpawnBrokerUser #61000 #61000
SpawnTemplate reports exec preload=SpawnTest::Functions inc=\@INC@
SpawnTemplate rpc     exec preload=SpawnTest::Functions inc=\@INC@
SpawnTemplate free    exec preload=SpawnTest::Functions inc=\@INC@
PerlModule SpawnTest::Functions
<SpawnQueue reports>
    SpawnUser #$uid
    SpawnGroup #61003
    SpawnTemplate reports
</SpawnQueue>
<SpawnQueue rpc>
    SpawnUser #$uid
    SpawnGroup #61003
    SpawnTemplate rpc
    SpawnWorkers 1 1
</SpawnQueue>
<SpawnQueue programs>
    SpawnUser #$uid
    SpawnGroup #61003
</SpawnQueue>
END
}

my $f = 'SpawnTest::Functions';

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, templates => conf(61_001))->start;
        my $ask = sub { return SpawnTest::Calls->ask($httpd, @_) };
        my $field = sub {
            my ($name, $options) = @_;
            my $answer = $ask->("Apache2::Spawn->call('${f}::status_of', ['$name'], $options)");
            diag explain $answer if !$answer->{values};
            return $answer->{values}[0];
        };

        for my $queue (qw(reports rpc)) {
            like $field->('Uid', "queue => '$queue'"), qr/^61001\s+61001\s+61001\s+61001$/, "$queue: its account";
            like $field->('Gid', "queue => '$queue'"), qr/^61003\s+61003\s+61003\s+61003$/, '... and group';
            like $field->('Groups', "queue => '$queue'"), qr/^61003\s*$/, '... and no other';
            like $field->('CapEff', "queue => '$queue'"), qr/^0+$/, '... and no capability';
            is_deeply $ask->("Apache2::Spawn->call('${f}::runs', ['/bin/sh', '-c', 'test \$(id -u) = 61001'], queue => '$queue')")->{values},
                [0], '... as what it starts';
        }
        # again and again: the worker is lent
        my ($pid) = @{ $ask->("Apache2::Spawn->call('${f}::pid', [], queue => 'rpc')")->{values} };
        is $ask->("my \@pids = map { Apache2::Spawn->call('${f}::pid', [], queue => 'rpc') } 1 .. 50; \$pids[-1]")->{values}[0],
            $pid, 'a worker serves call after call';
        like $field->('Uid', q(template => 'free')), qr/^@{[ $httpd->uid ]}\s/, 'a template that no such queue names has httpd\'s User';
        like $field->('Uid', ''), qr/^@{[ $httpd->uid ]}\s/, '... as that of httpd itself';

        # ---- what is refused ----

        my %refused = (
            'a queue without a template of its own' => q(queue => 'programs'),
            'a template of httpd\'s User'           => q(queue => 'reports', template => 'free'),
            'one of an account, in a queue without' => q(template => 'reports'),
            'what httpd has forked'                 => q(queue => 'reports', template => 'app'),
        );
        for my $what (sort keys %refused) {
            my $error = $ask->("Apache2::Spawn->call('${f}::pid', [], $refused{$what})")->{error};
            is $error->{code}, 'not_permitted', "refused: $what" or diag explain $error;
            like $error->{text}, qr/run as .* and template '\w+' as .* needs a template of the queue's own/, '... with both';
        }
        my $program = $httpd->run([ '/usr/bin/id', '-u' ], queue => 'programs');
        is $program->{stdout}, "61001\n", 'a program is not, there' or diag explain $program;

        # ---- another account ----


        $httpd->{conf} =~ s/#61001/#61002/g;
        $httpd->write_conf;
        $httpd->graceful;
        for my $queue (qw(reports rpc)) {
            ok wait_until(sub { ($field->('Uid', "queue => '$queue'") || '') =~ /^61002\s/ }, 30), "$queue: the new account";
        }
        is $httpd->run([ '/usr/bin/id', '-u' ], queue => 'programs')->{stdout}, "61002\n", '... of programs, too';
        unlike $httpd->error_log, qr/MS0371/, 'nothing was refused by the spawner';
        $httpd->stop;
    }
);
done_testing;
