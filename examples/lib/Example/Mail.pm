# SPDX-License-Identifier: Apache-2.0
#
# A mail that is sent in the request, and one that is sent after the answer, with the time
# that each visitor waited. Runs in httpd children.

package Example::Mail;

use strict;
use warnings;

use Apache2::Spawn ();
use JSON::PP ();
use Time::HiRes ();

use Example::Page qw(cell code esc form redirect refuse show_page site table);

my $keep = 5;    # mails of each way on the page

my %ways = (
    request => {
        title => 'In the request',
        button => 'Send it now',
        send => \&_send_now,
        lines => <<'LINES' },
open my $mail, '|-', @sendmail
    or die "$sendmail[0]: $!\n";
print {$mail} $message;
close $mail          # until it is sent
    or die "it was not sent\n";
LINES
    after => {
        title => 'After the answer',
        button => 'Send it after the answer',
        send => \&_send_after,
        lines => <<'LINES' },
$r->spawn_cleanup(
    \@sendmail,
    stdin   => \$message,
    queue   => 'mail',
    only_if => 'success');
LINES
);

sub handler {
    my ($r) = @_;
    return _show($r) if $r->method ne 'POST';

    my $began = Time::HiRes::time();
    my $form = form($r);
    my $way = $ways{ $form->{way} || '' };
    return refuse($r, 'Choose one of the two ways.') if !$way;
    my $to = defined $form->{to} ? $form->{to} : '';
    return refuse($r, 'Whom is it for? A name of letters, please.') if $to !~ /\A[A-Za-z ]{1,40}\z/;

    my $name = sprintf '%.6f-%d', $began, $$;
    my @sendmail = (site($r) . '/bin/sendmail', site($r) . '/work/mail/sent', $name);
    my $message = "To: $to\nSubject: Welcome\n\nGood to have you with us, $to.\n";
    my $error = eval { $way->{send}->($r, \$message, @sendmail); 1 } ? undef : $@;
    return refuse($r, $error) if $error;

    my $held = Time::HiRes::time() - $began;
    _note($r, $name, { way => $form->{way}, to => $to, began => $began, held => $held });
    return redirect($r, '/mail');
}

sub _send_now {
    my ($r, $message, @sendmail) = @_;
    open my $mail, '|-', @sendmail or die "$sendmail[0]: $!\n";
    print {$mail} ${$message};
    close $mail or die "the mail was not sent\n";
    return;
}

sub _send_after {
    my ($r, $message, @sendmail) = @_;
    $r->spawn_cleanup(\@sendmail, stdin => $message, queue => 'mail', label => 'a welcome', only_if => 'success');
    return;
}

sub _note {
    my ($r, $name, $about) = @_;
    my $path = site($r) . "/work/mail/noted/$name";
    open my $out, '>', "$path.part" or die "$path.part: $!\n";
    print {$out} JSON::PP::encode_json($about);
    close $out or die "$path.part: $!\n";
    rename "$path.part", $path or die "$path: $!\n";
    return;
}

# ---- the page ----

sub _show {
    my ($r) = @_;
    my ($ways, $busy) = ('', 0);
    for my $key (qw(request after)) {
        my ($table, $unsent) = _mails($r, $key);
        $busy += $unsent;
        $ways .= _way($key, $table);
    }
    return show_page($r,
        title => 'A mail after the answer',
        again => $busy ? 1 : 0,
        about => '<p>Somebody signs up and gets a mail, by a mail system that takes a second for it. In the'
            . ' request, the handler waits for that, and so do the visitor and a child of httpd. After the answer, nobody'
            . ' waits: it is the same program. (Nothing leaves this machine.)</p>',
        body => '<form method="post" action="/mail"><p><label>Whom is it for? <input name="to" value="Ada" required'
            . ' pattern="[A-Za-z ]{1,40}" maxlength="40"></label></p>'
            . join(' ', map {qq{<button name="way" value="$_">} . esc($ways{$_}{button}) . '</button>'} qw(request after))
            . '</form>',
        jobs => qq{<div class="sides">$ways</div>});
}

sub _way {
    my ($key, $table) = @_;
    return '<section><h2>' . esc($ways{$key}{title}) . '</h2>' . code($ways{$key}{lines})
        . ($table || '<p>None yet.</p>') . '</section>';
}

# The newest mails of this way, and how many are not yet sent.
sub _mails {
    my ($r, $key) = @_;
    my $site = site($r);
    my ($rows, $unsent, $shown) = ('', 0, 0);
    for my $name (sort { $b cmp $a } map { m{/([^/]+)\z} } grep { !/part\z/ } glob "$site/work/mail/noted/*") {
        open my $in, '<', "$site/work/mail/noted/$name" or next;
        my $about = JSON::PP::decode_json(do { local $/ = undef; scalar <$in> });
        next if $about->{way} ne $key;
        last if $shown++ == $keep;
        my $sent = (Time::HiRes::stat("$site/work/mail/sent/$name"))[9];
        $unsent++ if !$sent;
        $rows .= '<tr>' . cell('for', esc($about->{to}))
            . cell('the visitor waited', sprintf('%.1f ms', 1000 * $about->{held}), 'time')
            . cell('the mail was sent', $sent ? sprintf('after %.2f s', $sent - $about->{began}) : 'not yet', 'time')
            . "</tr>\n";
    }
    return (table($rows, 'for', 'the visitor waited', 'the mail was sent'), $unsent);
}

1;
