#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Email::Sender::Transport::Spawn: a handler's mail is handed to sendmail by a posted job,
# which is tried again when sendmail fails. What is refused is a failure of Email::Sender.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use Test::More;

use SpawnTest qw(each_mpm mpms wait_until);

my $package = <<'END';
package My::Mail;
use strict;
use warnings;
use Email::Sender::Simple ();
use Email::Sender::Transport::Spawn ();
use Email::Simple ();
use JSON::PP ();
sub handler {
    my ($r) = @_;
    my $mail = Email::Simple->create(header => [ From => 'shop@example.org', To => 'you@example.org', Subject => 'order' ], body => "one\r\n.\r\ntwo\r\n");
    my $sendmail = $r->dir_config('Sendmail');
    my $send = sub {
        my ($job, @to) = @_;
        my $transport = Email::Sender::Transport::Spawn->new(sendmail => $sendmail, job => $job);
        return Email::Sender::Simple->send($mail, { transport => $transport, from => 'bounce@example.org', to => [@to] });
    };
    my $sent = $send->({ backoff => 0.1, label => 'order mail' }, 'you@example.org', 'me@example.org');
    my @refused = map { eval { $send->($_, 'you@example.org'); 1 } ? 'taken' : ref $@ ? (ref $@) . ': ' . $@->message : $@ }
        { queue => 'nowhere', reply => 'accepted' }, { queue => 'full', reply => 'accepted' }, { colour => 'red' };
    $r->print(JSON::PP->new->encode({ class => ref $sent, ok => $sent->isa('Email::Sender::Success') ? 1 : 0, id => $sent->job->id, refused => \@refused }));
    return 0;
}
1;
END

plan tests => mpms() + 9;
SKIP: {
    skip 'Email::Sender (package libemail-sender-perl) is not installed', mpms() + 9 if !eval { require Email::Sender::Simple; 1 };
    each_mpm(
        sub {
            my ($mpm) = @_;
            my $httpd = SpawnTest::Httpd->new(mpm => $mpm, perl => $package);
            my $work = $httpd->work;
            my $sendmail = $httpd->script('sendmail', <<"END");
#!/bin/sh
echo x >>$work/tries
if [ \$(wc -l <$work/tries) -lt 3 ]; then echo "try again" >&2; exit 75; fi
{ printf '<%s>' "\$@"; echo; cat; } >$work/mail.new
mv $work/mail.new $work/mail
END
            $httpd->{conf} = <<"END";
PerlSetVar Sendmail $sendmail
<SpawnQueue full>
    SpawnMaxQueued 0
    SpawnMaxJobs 1
</SpawnQueue>
<Location /mail>
    SetHandler perl-script
    PerlResponseHandler My::Mail
</Location>
END
            $httpd->start;
            my $hold = $httpd->spawn([qw(/bin/sleep 600)], queue => 'full', reply => 'started');
            my $content = $httpd->get('/mail')->{content};
            my $told = eval { JSON::PP->new->decode($content) } or return fail("mail: $content") || diag $httpd->tail;
            is $told->{ok}, 1, 'a mail is taken' or diag explain $told;
            my $end = $httpd->wait($told->{id});
            is "$end->{outcome} $end->{exit_code}", 'exited 0', 'sendmail has it';
            is $end->{attempt}, 3, '... at the third time';
            is $end->{context}{uri}, '/mail', '... by a job of the request';
            is $end->{label}, 'order mail', '... with the options that were given';
            open my $in, '<', "$work/mail" or die "$work/mail: $!\n";
            my @mail = <$in>;
            is shift @mail, "<-i><-f><bounce\@example.org><--><you\@example.org><me\@example.org>\n", '... its arguments';
            is_deeply [ @mail[ -3 .. -1 ] ], [ "one\n", ".\n", "two\n" ], '... the mail, whole, with plain line ends';
            is scalar(grep { /\r/ } @mail), 0, '... in all of it';
            ok $httpd->wait_for_log(qr/try again/), 'what sendmail says is in the error log';
            like $told->{refused}[0], qr/\AEmail::Sender::Failure: the mail could not be handed to \Q$sendmail\E: .*nowhere/, 'no such queue: a failure';
            like $told->{refused}[1], qr/\AEmail::Sender::Failure::Temporary: .*full/, 'a full one: for now';
            like $told->{refused}[2], qr/\AEmail::Sender::Failure: .*colour/, 'no such option';
            $httpd->do('kill', id => $hold->{id});
        }
    );

    # what spawn throws, and what the mail's sender learns
    require Email::Sender::Transport::Spawn;
    require Email::Simple;
    my $mail = Email::Simple->create(header => [ Subject => 'x' ], body => "x\n");
    my ($thrown, $again, @died);
    local $SIG{__DIE__} = sub { push @died, $_[0] if ref $_[0] ne 'Email::Sender::Failure' && ref $_[0] ne 'Email::Sender::Failure::Temporary' };
    no warnings qw(redefine once);
    local *Apache2::Spawn::spawn = sub { die $thrown };
    local *My::Sent::resubmit = sub { die $again };
    my $of = sub {
        my ($code) = @_;
        return bless { code => $code, message => "it is $code", step => 'none', errno => 0, file => '-', line => 0, job => bless {}, 'My::Sent' }, 'Apache2::Spawn::Error';
    };
    my $try = sub {
        ($thrown, $again) = @_;
        @died = ();
        my $transport = Email::Sender::Transport::Spawn->new;
        return eval { $transport->send_email($mail, { from => 'a@example.org', to => ['b@example.org'] }); 1 } ? 'sent' : $@;
    };
    my %class = (queue_full => 'Email::Sender::Failure::Temporary', unreachable => 'Email::Sender::Failure::Temporary', invalid => 'Email::Sender::Failure');
    is ref $try->($of->($_)), $class{$_}, "$_: $class{$_}" for sort keys %class;
    is_deeply \@died, [], '... and no handler of the caller sees an error of ours';
    for my $then (qw(unconfirmed unreachable)) {
        my $failure = $try->($of->('unconfirmed'), $of->($then));
        is ref $failure, 'Email::Sender::Failure', "unconfirmed, then $then: none that asks for a second mail";
    }
    like $try->($of->('unconfirmed'), $of->('invalid'))->message, qr/it is unconfirmed/, '... and what cannot be sent again is unconfirmed';
    is $try->("alarm\n"), "alarm\n", 'what a signal handler dies of goes through';
    is_deeply $try->({ by => 'alarm' }), { by => 'alarm' }, '... a reference, too';
}
