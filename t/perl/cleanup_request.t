#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The arguments of cleanup handlers, and how the handlers are found: without an
# httpd.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use File::Temp ();
use Test::More;

use Apache2::Spawn::Cleanup ();

# ---- the request ----

my %copy = (
    method => 'GET', uri => '/a', status => 200, bytes_sent => 1, user => undef,
    headers_in => [ Host => 'h', 'X-Two' => 1, 'x-two' => 2 ], headers_out => [ A => 'b' ],
    notes => [ n => 1 ], pnotes => { p => [1] }, dir_config => [ Set => 'v' ],
    connection => { remote_ip => '192.0.2.1' }, server => { server_hostname => 's', dir_config => [ S => 1 ] },
);
my $r = Apache2::Spawn::Request->new(\%copy, { status => 404, bytes_sent => 77, aborted => 1 });

is $r->method, 'GET', 'a value';
is $r->status, 404, 'of the very end: status';
is $r->bytes_sent, 77, 'bytes_sent';
is $r->connection->aborted, 1, 'aborted';
is $r->user, undef, 'none';
ok $r->isa('Apache2::RequestRec'), 'a request';
ok $r->isa('Apache2::Spawn::Request'), 'of ours';
is $r->headers_in->get('x-TWO'), 1, 'the first of a name in any case';
is_deeply [ $r->headers_in->get('X-Two') ], [ 1, 2 ], 'all of it';
is $r->headers_in->{host}, 'h', 'as a hash';
ok exists $r->headers_in->{HOST} && !exists $r->headers_in->{Other}, 'exists';
is_deeply [ sort keys %{ $r->headers_in } ], [qw(Host X-Two x-two)], 'keys';
is $r->dir_config('set'), 'v', 'dir_config of a name';
is $r->server->dir_config->get('S'), 1, "the server's";
is $r->connection->client_ip, '192.0.2.1', 'client_ip';
is $r->connection->get_remote_host, '192.0.2.1', 'an address when there is no name';
my @seen;
$r->headers_in->do(sub { push @seen, "@_"; return @seen < 2 });
is_deeply \@seen, [ 'Host h', 'X-Two 1' ], 'do, until false';
is $r->main, undef, 'no main';
is $r->pnotes(q => 2), 2, 'pnotes can be set';
is_deeply $r->pnotes, { p => [1], q => 2 }, 'and read';
ok !$copy{pnotes}{r}, 'a copy';

for my $case (
    [ sub { $r->uri('/b') },                  qr/\$r->uri cannot be set/ ],
    [ sub { $r->notes(a => 'b') },            qr/\$r->notes cannot be set/ ],
    [ sub { $r->headers_out->set(A => 1) },   qr/cannot be changed/ ],
    [ sub { delete $r->headers_out->{A} },    qr/cannot be changed/ ],
    [ sub { $r->connection->remote_ip('x') }, qr/\$c->remote_ip cannot be set/ ],
    [ sub { $r->server->port(1) },            qr/\$s->port cannot be set/ ],
    [ sub { $r->print('x') },                 qr/\$r->print: the answer has been sent/ ],
    [ sub { $r->pool },                       qr/\$r->pool stays in httpd/ ],
    [ sub { $r->no_such_thing },              qr/\$r->no_such_thing is not known/ ],
    )
{
    my ($code, $text) = @{$case};
    ok !eval { $code->(); 1 }, "refused: $text";
    like $@, $text, '... with the reason';
    like $@, qr/ at \Q$0\E line /, '... and the place';
}

# ---- finding a handler ----

my $dir = File::Temp->newdir;
unshift @INC, "$dir";
my %modules = (
    Plain => 'our @got; sub handler { push @got, scalar @_; return 0 } sub other { push @got, "other" }',
    Method => 'our @got; sub handler : method { push @got, $_[0] }',
    Broken => 'die "broken at start\n";',
    Needs => 'require No::Such::Thing;',
    Empty => '',
);
for my $name (keys %modules) {
    open my $out, '>', "$dir/Found$name.pm" or die "$dir: $!\n";
    print {$out} "package Found$name;\n$modules{$name}\n1;\n";
    close $out or die "$dir: $!\n";
}

sub call { return eval { Apache2::Spawn::Cleanup::_call($_[0], $r); 1 } ? 'done' : $@ }

is call('FoundPlain'), 'done', 'a module';
is call('+FoundPlain'), 'done', 'with a plus';
is call('FoundPlain::other'), 'done', 'a function';
is call('FoundMethod'), 'done', 'a handler that is a method';
is call('FoundPlain->other'), 'done', 'a method by its name';
{
    no warnings 'once';
    is_deeply \@FoundPlain::got, [ 1, 1, 'other', 'other' ], 'what was called';
    is_deeply \@FoundMethod::got, ['FoundMethod'], 'with its class';
}
like call('FoundNowhere'), qr/Can't locate FoundNowhere.pm/, 'a module that is not there';
like call('FoundNowhere::handler'), qr/Can't locate FoundNowhere/, 'nor its function';
like call('FoundPlain::none'), qr/neither a module 'FoundPlain::none' nor a function/, 'no function';
like call('FoundBroken'), qr/broken at start/, 'a module that dies';
like call('FoundNeeds'), qr{Can't locate No/Such/Thing.pm}, 'one that needs another';
like call('FoundEmpty'), qr/the module FoundEmpty has no function 'handler'/, 'no handler';

# mod_ident would ask the client's machine, once a request, for up to 30 s.
ok !(grep { $_ eq 'get_remote_logname' } Apache2::Spawn::Request::fields()), 'nobody is asked who the client is';
ok !eval { Apache2::Spawn::Request->new({})->get_remote_logname; 1 }, '... which a handler cannot have';
like $@, qr/get_remote_logname stays in httpd/, '... and is told';

# ---- the manual ----

for my $class (qw(Cleanup Request Request::Table Request::Connection Request::Server Request::Log)) {
    (my $file = "$FindBin::Bin/../../perl/lib/Apache2/Spawn/$class.pm") =~ s{::}{/}g;
    open my $in, '<', $file or die "$file: $!\n";
    my $text = do { local $/ = undef; <$in> };
    my ($pod) = $text =~ /\n__END__\n(.*)/s;
    my ($gone) = $text =~ /my \@gone = qw\((.*?)\)/s;
    my ($kept) = $text =~ /my \@not_copied = qw\((.*?)\)/s;
    my %not = map { $_ => 1 } split ' ', join ' ', map { defined ? $_ : () } $gone, $kept;
    no strict 'refs';
    my $package = "Apache2::Spawn::$class";
    for my $name (sort grep { defined &{"${package}::$_"} && /\A[a-z]/ && !$not{$_} } keys %{"${package}::"}) {
        ok $pod =~ /^=(?:head2|item)[^=]*\b\Q$name\E\b/m, "$package: $name";
    }
}
done_testing;
