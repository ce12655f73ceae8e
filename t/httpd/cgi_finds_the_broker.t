#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SPAWN_SOCKET is in the environment of scripts of mod_cgi and mod_cgid, also of those that a page includes,
# and SetEnv comes first; other handlers do not have it. Apache2::Spawn->connect without a path finds
# the broker there, and in the same script under ModPerl::Registry.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);

my $script = <<'END';
use strict;
use warnings;
use Apache2::Spawn ();
my $spawn = eval { Apache2::Spawn->connect(undef, timeout => 60) };
my $res = $spawn && eval { $spawn->run(['/bin/echo', 'a job'])->stdout };
print "Content-Type: text/plain\n\n", $ENV{SPAWN_SOCKET} // 'none', "\n", $res // "no: $@";
END

each_mpm(
    sub {
        my ($mpm) = @_;
        my $cgi = $mpm eq 'prefork' ? 'cgi' : 'cgid';
        plan skip_all => "httpd has no mod_$cgi" if !SpawnTest::Httpd->has_module($cgi);
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm);
        my $dir = $httpd->dir;
        $httpd->script('find.cgi', "#!/usr/bin/perl -I$dir/perl\n$script");
        mkdir "$dir/pages" or die "pages: $!\n";
        $httpd->file('../pages/page.shtml', qq{<!--#include virtual="/cgi-bin/find.cgi" -->\n}, 0644);
        $httpd->file('../perl/MyEnv.pm', <<'END');
package MyEnv;
use Apache2::RequestRec ();
use Apache2::RequestIO ();
sub handler { my ($r) = @_; $r->print($r->subprocess_env('SPAWN_SOCKET') // 'none'); return 0 }
1;
END
        $httpd->{conf} = join '', (map { SpawnTest::Httpd::Conf::_load($_) } qw(alias env include mime), $cgi),
            $cgi eq 'cgid' ? "ScriptSock $dir/run/cgisock\n" : '', <<"END";
TypesConfig /dev/null
PerlModule ModPerl::Registry MyEnv
ScriptAlias /cgi-bin/ $dir/bin/
ScriptAlias /elsewhere/ $dir/bin/
Alias /registry/ $dir/bin/
Alias /pages/ $dir/pages/
<Directory $dir/pages>
    Require all granted
    Options +Includes
    AddType text/html .shtml
    AddOutputFilter INCLUDES .shtml
</Directory>
<Location /elsewhere>
    SetEnv SPAWN_SOCKET /nowhere/socket
</Location>
<Location /registry>
    SetHandler perl-script
    PerlResponseHandler ModPerl::Registry
    PerlOptions +ParseHeaders
    Options +ExecCGI
</Location>
<Location /env>
    SetHandler modperl
    PerlResponseHandler MyEnv
</Location>
END
        $httpd->start;
        my $socket = $httpd->socket;
        is $httpd->get('/cgi-bin/find.cgi')->{content}, "$socket\na job\n", "mod_$cgi" or diag $httpd->tail;
        like $httpd->get('/pages/page.shtml')->{content}, qr/\A\Q$socket\E\na job\n/, 'a script in a page';
        like $httpd->get('/elsewhere/find.cgi')->{content}, qr{\A/nowhere/socket\nno: .*/nowhere/socket}, 'SetEnv comes first';
        is $httpd->get('/registry/find.cgi')->{content}, "none\na job\n", 'the same script under ModPerl::Registry' or diag $httpd->tail;
        is $httpd->get('/env')->{content}, 'none', 'not for other handlers';
    }
);
done_testing;
