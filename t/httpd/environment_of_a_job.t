#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job's environment: added to, inherited whole with env => { %ENV } (whatever
# is in a handler's %ENV), and taken from with undef; for programs, for Perl
# functions, and for programs that these start.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::Calls ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(
            mpm => $mpm, templates => <<'TEMPLATES', conf => <<'END');
SpawnTemplate small exec preload=SpawnTest::Functions inc=@INC@
SpawnTemplate cut   exec preload=SpawnTest::Functions,MyCut inc=@INC@
TEMPLATES
PerlModule SpawnTest::Functions
<Location /perl>
    PerlOptions +SetupEnv
</Location>
END
        # %ENV is another hash, and what programs get is no longer set by it
        $httpd->file('../perl/MyCut.pm', <<'END');
package MyCut;
$ENV{LEFT} = 'behind';
*ENV = { %ENV };
1;
END
        $httpd->start;
        my %ways = (
            program => q{%s split /[=\n]/, Apache2::Spawn->run(['/usr/bin/env'], env => $env)->stdout},
            app     => q{%s Apache2::Spawn->call('SpawnTest::Functions::environment', [], env => $env)},
            below   => q{%s Apache2::Spawn->call('SpawnTest::Functions::environment_of_a_program', [], env => $env)},
            under   => q{%s Apache2::Spawn->call('SpawnTest::Functions::environment_of_a_program', [], env => $env, template => 'small')},
            cut     => q{%s Apache2::Spawn->call('SpawnTest::Functions::environment_of_a_program', [], env => $env, template => 'cut')},
            exec    => q{%s Apache2::Spawn->call('SpawnTest::Functions::environment', [], env => $env, template => 'small')},
        );
        for my $way (sort keys %ways) {
            my $env = sub {
                my ($code) = @_;
                my $answer = SpawnTest::Calls->ask($httpd, sprintf $ways{$way},
                    "no warnings; local \$ENV{NOTHING} = undef; local \$ENV{EMPTY} = ''; local \$ENV{GIVEN} = 'here'; my \$env = $code;");
                diag explain $answer if !$answer->{values};
                return { @{ $answer->{values} || [] } };
            };
            my $seen = $env->('{ ADDED => "1" }');
            is_deeply [ @{$seen}{qw(ADDED LANG GIVEN)} ], [ 1, 'C.UTF-8', undef ], "$way: added, and nothing inherited";
            $seen = $env->('{ LANG => undef, USER => undef, ADDED => undef }');
            ok !exists $seen->{$_}, "$way: no $_" for qw(LANG USER ADDED LEFT);
            ok exists $seen->{$_}, "$way: $_ is left" for qw(PATH HOME SPAWN_JOB_ID);
            $seen = $env->('{ %ENV, NO => undef, GATEWAY_INTERFACE => undef }');
            is $seen->{GIVEN}, 'here', "$way: all of %ENV";
            like $seen->{MOD_PERL}, qr/mod_perl/, "$way: with what mod_perl has put there";
            is $seen->{REQUEST_METHOD}, 'POST', "$way: and the request";
            ok !exists $seen->{$_} || $seen->{$_} eq '', "$way: $_ has no value" for qw(NOTHING);
            ok !exists $seen->{$_}, "$way: no $_" for qw(NO GATEWAY_INTERFACE);
        }
        my $answer = SpawnTest::Calls->ask($httpd, '$r->spawn(["/bin/true"], context => { user => $r->user, uri => undef })'
            . '->wait(30)->context');
        is $answer->{values}[0]{method}, 'POST', 'a context' or diag explain $answer;
        ok !exists $answer->{values}[0]{$_}, "without $_, which is undef" for qw(user uri);
    }
);
done_testing;
