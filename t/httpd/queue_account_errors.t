#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A fault of SpawnUser, SpawnGroup or SpawnBrokerUser is found by `httpd -t`, with the place
# and what to do: accounts that are not there, root, an account that two have that must not,
# Perl calls of a template with another account. An httpd that is not started as root says
# so at its start. One MPM: they are found before there is one.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Httpd ();

my $httpd = SpawnTest::Httpd->new(mpm => SpawnTest::one_mpm(), handlers => 0);

sub said {
    $httpd->{conf} = join '', map {"$_\n"} @_;
    my ($code, $text) = $httpd->check_conf;
    return ($code, $text);
}

sub taken {
    my ($name, @lines) = @_;
    my ($code, $text) = said(@lines);
    ok $code == 0, "taken: $name" or diag $text;
    return;
}

sub refused {
    my ($pattern, @lines) = @_;
    my ($code, $text) = said(@lines);
    isnt $code, 0, "refused: @lines";
    like $text, qr/line \d+ of \S+httpd\.conf/i, '... with file and line';
    like $text, $pattern, '... and the reason';
    return;
}

my @broker = 'SpawnBrokerUser #61000 #61000';
my @queue = ('<SpawnQueue q>', 'SpawnUser #61001', 'SpawnGroup #61001');

taken('accounts of a queue', @broker, @queue, '</SpawnQueue>');
taken('accounts of all queues', @broker, 'SpawnUser nobody', '<SpawnQueue q>', '</SpawnQueue>');
taken('one queue with the account of all, and its own', @broker, 'SpawnUser nobody', @queue, '</SpawnQueue>');
taken('a broker\'s account alone', @broker);
taken('a group of its own', @broker, 'SpawnUser nobody', '<SpawnQueue q>', 'SpawnGroup #61001', '</SpawnQueue>');
taken('two queues of one template and account', @broker, 'SpawnTemplate t exec', 'SpawnUser #61001', 'SpawnGroup #61001',
    map { ("<SpawnQueue $_>", 'SpawnTemplate t', '</SpawnQueue>') } qw(a b));

for my $name (qw(SpawnUser SpawnBrokerUser)) {
    refused(qr/$name: there is no account 'no-such-one'; make it \(useradd /, "$name no-such-one");
    refused(qr/$name: '\Q$_\E' is root: /, "$name $_") for 'root', '#0';
    refused(qr/$name: '\Q$_\E' is no number of an account/, "$name $_") for '#', '#-1', '#1x', '#4294967295', '#99999999999';
}
refused(qr/SpawnBrokerUser: uid 61000 has no account here that tells its group; name the group, too/, 'SpawnBrokerUser #61000');
refused(qr/SpawnGroup: there is no group 'no-such-one'/, 'SpawnGroup no-such-one');
refused(qr/SpawnGroup: '\Q$_\E' is the group of root/, "SpawnGroup $_") for 'root', '#0';

refused(qr/MS0263: .* SpawnUser needs SpawnBrokerUser.*useradd --system .*'SpawnBrokerUser spawn'/, @queue, '</SpawnQueue>');
refused(qr/MS0263: /, 'SpawnUser nobody');
refused(qr/MS0264: .* queue 'q' has no SpawnUser/, @broker, '<SpawnQueue q>', 'SpawnGroup #61001', '</SpawnQueue>');
refused(qr/MS0265: .* uid 61001 has no account here .* \(SpawnGroup\)/, @broker, '<SpawnQueue q>', 'SpawnUser #61001', '</SpawnQueue>');
refused(qr/MS0265: .* uid 61001 has no account here/, @broker, 'SpawnUser nobody', 'SpawnGroup nogroup', '<SpawnQueue q>',
    'SpawnUser #61001', '</SpawnQueue>');
refused(qr/MS0273: .* queue 'q' has the account of SpawnBrokerUser/, 'SpawnBrokerUser #61001 #61000', @queue, '</SpawnQueue>');
SKIP: {
    skip 'httpd\'s User counts only when root starts it', 3 if $< != 0;
    refused(qr/MS0269: .* that is httpd's User/, 'SpawnBrokerUser ' . $httpd->user);
}

refused(qr/MS0266: .* queue 'q' has Perl calls of the template 'app', which is forked from httpd/, @broker, @queue, 'SpawnTemplate app',
    '</SpawnQueue>');
refused(qr/MS0266: .*'SpawnTemplate q' in the queue/, @broker, @queue, 'SpawnWorkers 1', '</SpawnQueue>');
refused(qr/MS0267: .* queues 'a' and 'q' name the template 't'.* different accounts/, @broker, 'SpawnTemplate t exec', '<SpawnQueue a>',
    'SpawnTemplate t', '</SpawnQueue>', @queue, 'SpawnTemplate t', '</SpawnQueue>');
refused(qr/MS0108: .* user: 'root' cannot be had; allowed: 61001/, @broker, @queue, '</SpawnQueue>',
    'SpawnCron "@daily" name=a queue=q user=root /bin/true');
taken('a recurring job that says its queue\'s account', @broker, @queue, '</SpawnQueue>',
    'SpawnCron "@daily" name=a queue=q user=61001 /bin/true');

# ---- without the right to it ----

SKIP: {
    my $other = $< == 0 ? getpwnam 'nobody' : 1;
    skip 'there is no account nobody', 2 if !defined $other;
    my $plain = SpawnTest::Httpd->new(mpm => SpawnTest::one_mpm(), handlers => 0, conf => "@broker\n", $< == 0 ? (as => 'nobody') : ());
    my ($code, $said) = $plain->start_refused;
    isnt $code, 0, 'an httpd that is not started as root does not start';
    like $said, qr/MS0268: line \d+ of \S+: SpawnBrokerUser and SpawnUser need an httpd that is started as root/, '... and says so';
}
done_testing;
