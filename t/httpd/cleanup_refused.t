#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A fault of a job for after the answer is told in the handler, where somebody
# sees it.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::AfterHttpd;

my $handlers = <<'END';
package My::Refused;
sub try_it {
    my ($r, @job) = @_;
    eval { $r->spawn_cleanup(@job); 1 } and return 'taken';
    my $error = $@;
    my $said = ref $error ? $error->code . ': ' . $error : "plain: $error";
    return $said =~ s/\n.*//sr;
}
sub code       { $_[0]->headers_out->set('X-Said' => try_it($_[0], sub { 1 })) }
sub named_code { $_[0]->headers_out->set('X-Said' => try_it($_[0], \&code)) }
sub handle     { $_[0]->headers_out->set('X-Said' => try_it($_[0], ['/bin/true'], fds => { 4 => \*STDERR })) }
sub nothing    { $_[0]->headers_out->set('X-Said' => try_it($_[0])) }
sub undefined  { $_[0]->headers_out->set('X-Said' => try_it($_[0], undef)) }
sub closure    { $_[0]->headers_out->set('X-Said' => try_it($_[0], 'My::f', [ sub { 1 } ])) }
sub no_request { my $said = eval { Apache2::RequestRec::spawn_cleanup('Apache2::RequestRec', ['/bin/true']); 1 } ? 'taken' : "$@";
    $said =~ s/\n.*//s; $_[0]->headers_out->set('X-Said' => $said) }
END

# by JSON
my @json = (
    [ 'no such option',    'unknown_option', qr/colour/,           [ ['/bin/true'], { colour => 'red' } ] ],
    [ 'only_if',           'invalid',        qr/only_if: 'maybe'.*success, error or aborted/,
        [ ['/bin/true'], { only_if => 'maybe' } ] ],
    [ 'reply',             'invalid',        qr/reply: 'started'/, [ ['/bin/true'], { reply => 'started' } ] ],
    [ 'an empty argv',     'invalid',        qr/argv is empty/,    [ [] ] ],
    [ 'durable',           'invalid',        qr/durable: .*nobody waits/, [ ['/bin/true'], { durable => 1 } ] ],
    [ 'a relative cwd',    'invalid',        qr/cwd/,              [ ['/bin/true'], { cwd => 'here' } ] ],
    [ 'a hash for argv',   'invalid',        qr/wanted/,           [ {}, {} ] ],
    [ 'a bad queue',       'invalid',        qr/queue/,            [ ['/bin/true'], { queue => 'a b' } ] ],
    [ 'too much context',  'too_big',        qr/context/,
        [ ['/bin/true'], { context => { big => 'x' x 9000 } } ] ],
);
# by Perl
my %perl = (
    code       => qr/not_sendable: .*a code reference cannot travel.*'My::Module::function'/,
    named_code => qr/not_sendable: .*code reference/,
    handle     => qr/invalid: .*no handle can go/,
    nothing    => qr/invalid: /,
    undefined  => qr/invalid: /,
    closure    => qr/not_sendable: .*(?:CODE|code)/,
    no_request => qr/needs a request|request/,
);

each_mpm(sub {
    my ($mpm) = @_;
    my $httpd = SpawnTest::AfterHttpd->new(mpm => $mpm, perl => $handlers)->start;
    for my $case (@json) {
        my ($name, $code, $text, $job) = @{$case};
        my $error = $httpd->after(jobs => [$job])->{errors}[0];
        is $error->{code}, $code, "$name: $code" or diag explain $error;
        like $error->{text}, $text, '... and the text says what is wrong';
    }

    for my $name (sort keys %perl) {
        my $client = $httpd->client;
        print {$client} $httpd->request_text({ perl => "My::Refused::$name" });
        my ($said) = $httpd->read_answer($client)->{head} =~ /^X-Said: (.*?)\r$/m;
        like $said, $perl{$name}, "$name is refused";
    }
    is_deeply [ $httpd->ran ], [], 'and nothing ran';
});
done_testing;
