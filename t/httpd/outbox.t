#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The example of docs/outbox.md, as it stands there: what a committed row asks for is
# done once, whatever came between: no submit, many submits at once, a dead attempt, an id
# that the broker refuses, a store that has gone.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use File::Path qw(remove_tree);
use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();

plan skip_all => 'DBD::SQLite is not here' if !eval { require DBI; require DBD::SQLite; 1 };

# ---- the page ----

sub page_files {
    open my $in, '<', SpawnTest::root_dir() . '/docs/outbox.md' or die "docs/outbox.md: $!\n";
    my $page = do { local $/ = undef; <$in> };
    my %files;
    while ($page =~ /^<!-- file: (\S+) -->\n\n((?:(?: {4}.*)?\n)+)/mg) {
        my ($file, $text) = ($1, $2);
        $files{$file} = $text =~ s/^ {4}//mgr;
    }
    return \%files;
}

my $files = page_files();
is_deeply [ sort keys %{$files} ], [qw(My/Database.pm My/Order.pm My/Outbox.pm httpd.conf outbox.sql)], 'the files of the page';

# Kinds of work that go wrong. Each leaves a trace of having run that no rollback takes away.
sub trouble {
    my ($work) = @_;
    return <<"END";
package My::Trouble;
use strict;
use warnings;
\$My::Outbox::work{\$_} = "My::Trouble::\$_" for qw(count dies);
sub trace {
    my (\$name) = \@_;
    open my \$out, '>>', "$work/trace" or die "trace: \$!\\n";
    syswrite \$out, "\$name\\n";
    return;
}
sub count { my (\$db, \$name) = \@_; trace(\$name); return }
sub dies {
    my (\$db, \$name) = \@_;
    my \$attempt = Apache2::Spawn->job->attempt;
    trace(\$name);
    kill KILL => \$\$ if \$attempt == 1;
    \$db->do('UPDATE orders SET mailed = mailed + 1 WHERE buyer = ?', undef, \$name);
    die "half-way\\n" if \$attempt == 2;
    return;
}
1;
END
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, kind => 'parent', handlers => 1);
        my ($dir, $work) = ($httpd->dir, $httpd->work);
        my $trace = sub {
            open my $in, '<', "$work/trace" or return '';
            return join ' ', map { chomp; $_ } sort <$in>;
        };

        mkdir "$dir/perl/My" or die "$dir/perl/My: $!\n";
        chmod 0755, "$dir/perl/My" or die "$dir/perl/My: $!\n";
        my $shop = "$work/shop";
        mkdir $shop or die "$shop: $!\n";
        my $sendmail = $httpd->script('sendmail', "#!/bin/sh\ncat >>$work/mail\n");
        for my $file (grep { /\.pm\z/ } keys %{$files}) {
            my $text = $files->{$file};
            $text =~ s{/srv/shop/}{$shop/};
            $text =~ s{/usr/sbin/sendmail}{$sendmail};
            $httpd->file("../perl/$file", $text);
        }
        $httpd->file('../perl/My/Trouble.pm', trouble($work));
        $httpd->{conf} .= $files->{'httpd.conf'} . "PerlModule My::Trouble\n";
        # a sweep comes when the test says so
        $httpd->{conf} =~ s/SpawnCron "\* \* \* \* \*"/SpawnCron \@yearly/ or die "no SpawnCron\n";

        my $db = DBI->connect("dbi:SQLite:dbname=$shop/shop.db", '', '', { RaiseError => 1 });
        $db->do($_) for grep { /\S/ } split /;/, $files->{'outbox.sql'};
        chown $httpd->uid, -1, $shop, "$shop/shop.db" if $< == 0;
        my $rows = sub { return $db->selectall_arrayref('SELECT kind, what, attempt FROM outbox ORDER BY job') };
        my $empty = sub { return wait_until(sub { !@{ $rows->() } }, 60) };
        # a row that is committed, and not handed over
        my $put = sub {
            my ($kind, $what, $id) = @_;
            return SpawnTest::Calls->ask($httpd, <<'END', $kind, $what, $id)->{values}[0];
my ($kind, $what, $id) = @_;
my $db = My::Database::open();
$db->begin_work;
my $made = My::Outbox::put($db, $kind => $what);
$db->do('UPDATE outbox SET job = ? WHERE job = ?', undef, $id, $made) if $id;
$db->commit;
return $id || $made;
END
        };
        my $ctl = SpawnTest::Ctl->new($httpd);
        my $sweep = sub {
            my $ran = $ctl->run(qw(cron run outbox));
            my ($id) = $ran->{out} =~ /\A([0-9a-f-]{36})\n\z/ or diag explain $ran;
            my $end = $httpd->wait($id);
            return "$end->{outcome} $end->{exit_code}";
        };
        $httpd->start;

        # ---- as it should be ----
        is $httpd->get('/order?someone')->{content}, "order 1\n", 'an order';
        ok $empty->(), '... its row goes';
        is $db->selectrow_array('SELECT mailed FROM orders'), 1, '... and its work is done';
        open my $in, '<', "$work/mail" or die "mail: $!\n";
        like do { local $/ = undef; <$in> }, qr/\ATo: someone\nSubject: Your order 1\n[^:]*\z/, '... once';

        # ---- the child died before it could submit ----
        $put->(count => 'left');
        is $trace->(), '', 'a row that nobody hands over waits';
        is $sweep->(), 'exited 0', 'a sweep';
        ok $empty->(), '... has it done';
        is $trace->(), 'left', '... once';

        # ---- submitted by many ----
        my $id = $put->(count => 'many');
        my $many = SpawnTest::Calls->ask($httpd, 'map { My::Outbox::hand_over($_[0]) ? "refused" : "taken" } 1 .. 20', $id);
        is_deeply $many->{values}, [ ('taken') x 20 ], 'handed over again and again';
        is $sweep->(), 'exited 0', '... and by a sweep';
        ok $empty->(), '... it is done';
        is $trace->(), 'left many', '... once';

        # ---- attempts die in their work ----
        $db->do(q{INSERT INTO orders (buyer) VALUES ('dies')});
        $put->(dies => 'dies');
        $sweep->();
        ok $empty->(), 'what died is tried again';
        is $trace->(), 'dies dies dies left many', '... it has run three times';
        is $db->selectrow_array(q{SELECT mailed FROM orders WHERE buyer = 'dies'}), 1, '... and its work is done once';

        # ---- an id that the broker refuses: as long after it was made ----
        my $refused = sprintf '%s-7000-8000-000000000001', sprintf('%012x', (time + 86_400) * 1000) =~ s/(.{8})/$1-/r;
        $put->(count => 'refused', $refused);
        is $sweep->(), 'exited 0', 'an id that is refused is no failure of the sweep';
        is_deeply $rows->(), [ [ 'count', 'refused', 0 ] ], '... the row is there';
        is $db->selectrow_array('SELECT count(*) FROM outbox WHERE job = ?', undef, $refused), 0, '... with another id';
        $sweep->();
        ok $empty->(), '... by which it is done';
        is $trace->(), 'dies dies dies left many refused', '... once';

        # ---- the store has gone ----
        my $begun = $put->(count => 'begun');
        my $waits = $put->(count => 'waits');
        $db->do('UPDATE outbox SET attempt = 1 WHERE job = ?', undef, $begun);
        $httpd->stop;
        ok $httpd->pair_gone, 'httpd is stopped';
        remove_tree("$httpd->{runtime}/spawn/store", { safe => 0 });
        $httpd->start;
        $sweep->();
        ok wait_until(sub { @{ $rows->() } == 1 }, 60), 'without its store: what has not begun is done';
        my $again = SpawnTest::Calls->ask($httpd, 'my $job = Apache2::Spawn->spawn_call("My::Outbox::work", [ $_[0] ], id => $_[0], reply => "finished"); $job->status->outcome', $begun);
        is_deeply $again->{values}, ['exited'], '... what has begun is accepted';
        is $trace->(), 'dies dies dies left many refused waits', '... but not done again';
        is_deeply $rows->(), [ [ 'count', 'begun', 1 ] ], '... and its row stays';
        $db->disconnect;
        ok $httpd->stop, 'httpd stops';
    }
);
done_testing;
