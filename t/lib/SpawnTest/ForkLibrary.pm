# SPDX-License-Identifier: Apache-2.0
#
# A C library that takes notice of forks, for tests of how Perl jobs are forked: it
# has handlers of its own (pthread_atfork), which count and hold a lock, and asks
# other libraries, those that are there, for random bytes. Compiled by the test.
#
#   my $library = SpawnTest::ForkLibrary->build or plan skip_all => 'no compiler';
#   $library->code       Perl code that loads it as My::Lib
#   $library->sources    what My::Lib::random has: names of libraries

package SpawnTest::ForkLibrary;

use strict;
use warnings;

use Config;
use File::Temp ();
use POSIX ();

my %random = (
    gnutls  => [ '-l:libgnutls.so.30', 'extern int gnutls_rnd(int, void *, size_t);', 'gnutls_rnd(1, bytes, size)' ],
    openssl => [ '-l:libcrypto.so.3', 'extern int RAND_bytes(unsigned char *, int);', 'RAND_bytes(bytes, size)' ],
    gcrypt  => [
        '-l:libgcrypt.so.20',
        'extern const char *gcry_check_version(const char *); extern void gcry_randomize(void *, size_t, int);',
        'gcry_check_version(0); gcry_randomize(bytes, size, 1)',
    ],
);

my $source = <<'END';
#define PERL_NO_GET_CONTEXT
#include "EXTERN.h"
#include "perl.h"
#include "XSUB.h"
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

@DECLARATIONS@

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int known, prepared, in_parent, in_child, child_ends, child_hangs, lost;

static void prepare(void) { pthread_mutex_lock(&lock); prepared++; }
static void parent(void)
{
    in_parent++;
    if (prepared == lost)
        kill(getpid(), SIGKILL);
    pthread_mutex_unlock(&lock);
}
static void child(void)
{
    in_child++;
    pthread_mutex_unlock(&lock);
    if (child_ends)
        abort();
    child_hangs |= unlink("@DIR@/hang_one") == 0;
    while (child_hangs || access("@DIR@/hang", F_OK) == 0)
        pause();
}

/* counts of prepare, parent, child; is the lock free? */
XS(counts)
{
    dXSARGS;
    int is_free = pthread_mutex_trylock(&lock) == 0;

    PERL_UNUSED_VAR(items);
    if (is_free)
        pthread_mutex_unlock(&lock);
    EXTEND(SP, 4);
    ST(0) = sv_2mortal(newSViv(prepared));
    ST(1) = sv_2mortal(newSViv(in_parent));
    ST(2) = sv_2mortal(newSViv(in_child));
    ST(3) = sv_2mortal(newSViv(is_free));
    XSRETURN(4);
}

/* from now on the handler ends the child, or hangs in it */
XS(end_children)
{
    dXSARGS;

    child_ends = 1;
    XSRETURN(items - items);
}

XS(hang_children)
{
    dXSARGS;

    child_hangs = 1;
    XSRETURN(items - items);
}

/* who makes the fork of this number is killed before it unlocks */
XS(lose)
{
    dXSARGS;

    lost = SvIV(ST(0));
    XSRETURN(items - items);
}

XS(random_bytes)
{
    dXSARGS;
    unsigned char bytes[16] = {0};
    const size_t size = sizeof(bytes);
    const char *from = SvPV_nolen(ST(0));

    @CALLS@
    ST(0) = sv_2mortal(newSVpvn((const char *)bytes, size));
    XSRETURN(items);
}

XS(boot_My__Lib)
{
    dXSARGS;

    if (!known++) /* httpd reads its configuration twice */
        pthread_atfork(prepare, parent, child);
    newXS("My::Lib::counts", counts, __FILE__);
    newXS("My::Lib::end_children", end_children, __FILE__);
    newXS("My::Lib::hang_children", hang_children, __FILE__);
    newXS("My::Lib::lose", lose, __FILE__);
    newXS("My::Lib::random", random_bytes, __FILE__);
    XSRETURN(items - items);
}
END

# Nothing, where there is no compiler or perl's headers are not installed.
sub build {
    my ($class) = @_;
    return if system('cc --version >/dev/null 2>&1') != 0 || !-e "$Config{archlibexp}/CORE/perl.h";
    my $dir = File::Temp->newdir;
    chmod 0755, $dir;
    my $self = bless { dir => $dir, path => "$dir/lib.so" }, $class;
    my @there = grep { $self->_compiles($_) } sort keys %random;
    $self->_compiles(@there) or die 'cc does not take the library: ', $self->_said;
    $self->{sources} = \@there;
    return $self;
}

sub _compiles {
    my ($self, @from) = @_;
    my $text = $source;
    my $declarations = join "\n", map { $random{$_}[1] } @from;
    my $calls = join "\n", map {"if (strcmp(from, \"$_\") == 0) { $random{$_}[2]; }"} @from;
    $text =~ s/\@DECLARATIONS\@/$declarations/;
    $text =~ s/\@CALLS\@/$calls/;
    $text =~ s/\@DIR\@/$self->{dir}/g;
    open my $out, '>', "$self->{dir}/lib.c" or die "lib.c: $!\n";
    print {$out} $text;
    close $out or die "lib.c: $!\n";
    my @flags = (split(q{ }, $Config{ccflags}), "-I$Config{archlibexp}/CORE", qw(-w -shared -fPIC -pthread));
    my $pid = fork;
    die "fork: $!\n" if !defined $pid;
    if (!$pid) {
        open STDERR, '>', "$self->{dir}/said";
        exec 'cc', @flags, '-o', $self->{path}, "$self->{dir}/lib.c", map { $random{$_}[0] } @from or POSIX::_exit(1);
    }
    waitpid $pid, 0;
    return $? == 0;
}

sub _said {
    my ($self) = @_;
    open my $in, '<', "$self->{dir}/said" or return "$!\n";
    return <$in>;
}

# While there is this file, children hang in the handler.
sub hang { return "$_[0]{dir}/hang" }

# The child that removes this file hangs, and no other one.
sub hang_one { return "$_[0]{dir}/hang_one" }

sub sources { return @{ $_[0]{sources} } }

sub code {
    my ($self) = @_;
    return <<"END";
package My::Lib;
require DynaLoader;
{
    my \$library = DynaLoader::dl_load_file('$self->{path}', 0) or die DynaLoader::dl_error();
    my \$symbol = DynaLoader::dl_find_symbol(\$library, 'boot_My__Lib') or die DynaLoader::dl_error();
    DynaLoader::dl_install_xsub('My::Lib::boot', \$symbol)->('My::Lib');
}
my \@sources = qw(@{ $self->{sources} });
my \$used = join '', map { random(\$_) } \@sources;    # in the template
sub look { return { pid => \$\$, counts => [counts()], map { \$_ => unpack 'H*', random(\$_) } \@sources } }
1;
END
}

1;
