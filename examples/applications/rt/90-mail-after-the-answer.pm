# SPDX-License-Identifier: Apache-2.0
#
# For /etc/request-tracker5/RT_SiteConfig.d: Request Tracker hands its mails over when the
# visitor has the answer. Outside httpd (rt-crontool) it sends them itself, as before.

Set($MailCommand, sub {
    my ($entity) = @_;
    my @sendmail = ('/usr/sbin/sendmail', '-oi', '-t');
    if ($ENV{MOD_PERL}) {
        my $mail = $entity->as_string;
        Apache2::Spawn->cleanup(\@sendmail, stdin => \$mail, queue => 'mail', label => 'a mail of RT');
        return 1;
    }
    open my $pipe, '|-', @sendmail or die "$sendmail[0]: $!\n";
    $entity->print($pipe);
    return close $pipe;
});
1;
