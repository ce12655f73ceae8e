# SPDX-License-Identifier: Apache-2.0
#
# Users of httpd, who log in with the password x.

package SpawnTest::Login;

use strict;
use warnings;

use Digest::SHA qw(sha1_base64);
use Exporter qw(import);
use MIME::Base64 qw(encode_base64);

our @EXPORT_OK = qw(login_missing login_modules login_wanted login_of login_page);

my @auth = qw(authn_core authn_file auth_basic authz_user);

sub _path { my ($module) = @_; chomp(my $dir = `apxs -q LIBEXECDIR`); return "$dir/mod_$module.so" }

# Why this httpd has no login, or nothing.
sub login_missing { return (grep { !-e _path($_) } @auth) ? 'httpd has no mod_auth_basic' : undef }

# Directives for the server, and for a <Location>. The second takes the httpd and its
# users.
sub login_modules {
    return join '', map { "<IfModule !${_}_module>\nLoadModule ${_}_module " . _path($_) . "\n</IfModule>\n" } @auth;
}

sub login_wanted {
    my ($httpd, @users) = @_;
    my $passwords = $httpd->file('passwords', join '', map {"$_:{SHA}" . sha1_base64('x') . "=\n"} @users);
    return "AuthType Basic\nAuthName x\nAuthBasicProvider file\nAuthUserFile $passwords\nRequire valid-user\n";
}

# The status page with its acts, for these users, and what it needs.
sub login_page {
    my ($httpd, @users) = @_;
    return login_modules() . "SpawnSubmitTimeout 60s\n<Location /spawn-status>\nSetHandler spawn-status\nSpawnStatusControl on\n"
        . login_wanted($httpd, @users) . "</Location>\n";
}

# The headers of a request.
sub login_of {
    my ($user) = @_;
    return (Authorization => 'Basic ' . encode_base64("$user:x", ''));
}

1;
