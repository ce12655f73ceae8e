#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A script of ModPerl::Registry or ModPerl::PerlRun starts jobs as perldoc Apache2::Spawn
# shows it. Its own functions exist in no other process, and the error says so; a
# module that only the script has loaded is named by load.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm);
use SpawnTest::Page;

my $code = SpawnTest::Page::code_after('perl/lib/Apache2/Spawn.pm', qr/B<Registry, PerlRun[.]>/);
like $code, qr/\bspawn_cleanup\(/, 'the page has code';

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), conf => <<'END');
PerlModule My::Report
<Location /registry>
    SetHandler perl-script
    PerlResponseHandler ModPerl::Registry
    Options +ExecCGI
</Location>
<Location /run>
    SetHandler perl-script
    PerlResponseHandler ModPerl::PerlRun
    Options +ExecCGI
</Location>
END
mkdir $httpd->dir . '/perl/My' or die "My: $!\n";
$httpd->file('../perl/My/Report.pm', SpawnTest::Page::files('docs/migrating.md', 'scripts')->{'My/Report.pm'});
$httpd->file('../perl/My/Late.pm', "package My::Late;\nsub twice { return 2 * \$_[0] }\n1;\n");
for my $name (qw(registry run)) {
    $httpd->script("../htdocs/$name", <<"END");
use strict;
use warnings;
use Apache2::Spawn ();
use My::Late ();
$code
print "\$total\\n";
print \${\$r} == \${Apache2::RequestUtil->request} ? "the request\\n" : "another one\\n";
sub twice { return 2 * \$_[0] }
for my \$function ('twice', __PACKAGE__ . '::twice', 'My::Late::twice') {
    print eval { Apache2::Spawn->call(\$function, [4]) } // \$\@->message, "\\n";
}
print Apache2::Spawn->call('My::Late::twice', [4], load => 'My::Late'), "\\n";
END
}
$httpd->start;

for my $name (qw(registry run)) {
    my $from = length $httpd->error_log;
    my @said = split /\n/, $httpd->get("/$name")->{content};
    is $said[0], 7, "$name: a function was called";
    is $said[1], 'the request', "$name: \$r is the request";
    like $said[2], qr/^function: 'twice' is not a name; wanted: the full name/, "$name: a function has a full name";
    like $said[3], qr/^no function ModPerl::ROOT::\S+ in template app; a script's own functions exist in no other process/,
        "$name: by which its own function is in no other process";
    like $said[4], qr/^no function My::Late::twice in template app; .*load => 'My::Late'/, "$name: nor is a module that it has loaded";
    is $said[5], 8, "$name: load has it";
    ok $httpd->wait_for_log(qr{/$name: 7$}m, 30, $from), "$name: the cleanup ran" or diag $httpd->tail;
}
done_testing;
