package Apache2::Spawn::Check;

# Finds what Perl code and httpd's configuration run by themselves, with PPI, and says what to
# write instead. Runs in a process of its own, which a person has started. Must run nothing of
# the code, and print no character of a file's name that a terminal obeys.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Errno qw(ENOENT);
use Exporter 'import';
use IO::Handle ();

our @EXPORT = qw(check);

our $LIMIT = 1_000_000;

# What to write instead, and the section of docs/migrating.md that shows it.
my $SHOWN = 'Programs and processes of a request';
our %ADVICE = (
    cleanup    => [ 'SpawnCleanupHandler or $r->spawn_cleanup',                  'Three ways' ],
    fork       => [ '$r->spawn_call($function, \\@arguments)',                   '13. fork' ],
    open3      => [ 'Apache2::Spawn->open3 or $r->spawn_pipe([...])',            $SHOWN ],
    pipe       => [ '$r->spawn_pipe([...]) or $r->spawn_stream([...])',          $SHOWN ],
    program    => [ '$r->spawn_run([...]), or $r->spawn([...]) if nobody waits', $SHOWN ],
    readpipe   => [ '$r->spawn_run([...])->stdout',                              '12. Backticks' ],
    subprocess => [ '$r->spawn_run([$program, @words])',                         '14. Apache2::SubProcess' ],
    system     => [ '$r->spawn_run([...])->ok',                                  '11. system' ],
);

my %BUILTIN = (system => 'system', exec => 'system', readpipe => 'readpipe', fork => 'fork');
my %FUNCTION = (open2 => 'open3', open3 => 'open3', fork_call => 'fork', run_cmd => 'program');
my %HOME = (open2 => 'IPC::Open2', open3 => 'IPC::Open3', fork_call => 'AnyEvent::Util', run_cmd => 'AnyEvent::Util');
my %METHOD = (spawn_proc_prog => 'subprocess', cleanup_register => 'cleanup');
my @MODULE = (
    [ qr/\AIPC::Open[23]\z/,                           'open3' ],
    [ qr/\AIPC::(?:Run|Run3|Cmd|System::Simple)\z/,    'program' ],
    [ qr/\AProc::(?!ProcessTable\b|PID\b)\w/,          'program' ],
    [ qr/\AAnyEvent::Fork(?:::|\z)/,                   'fork' ],
    [ qr/\AApache2?::SubProcess\z/,                    'subprocess' ],
);

# What is a job already: the method where this module is loaded, for the whole server; these functions in
# packages that have the other.
my $SUBPROCESS = qr/\AApache2::Spawn::SubProcess\z/;
my $INSTEAD    = qr/\AApache2::Spawn::Instead\z/;
my @REPLACED   = qw(open readpipe system);

my $CONF     = qr/(?:[.]conf(?:[.]in)?|\A[.]htaccess)\z/;
my $PERL     = qr/[.](?:pm|pl|plx|t|cgi|fcgi|psgi|PL)\z/;
my $FOREIGN  = qr/[.](?:t|cgi|fcgi)\z/;                        # these may be in another language
my $VERSIONS = qr/\A[.](?:git|svn|hg|bzr)\z/;

sub check {
    my @places = @_;
    my %count = (read => 0, found => 0, failed => 0);
    if (!@places) {
        warn "check: which directories?\n";
        return 2;
    }
    if (!eval { require PPI; 1 }) {
        my ($why) = map { _shown($_) } split /\n/, $@;
        warn "check: PPI is needed (Debian: libppi-perl), and cannot be loaded: $why\n";
        return 2;
    }
    my (%seen, @found);
    for my $file (map { _files($_, \%count) } @places) {
        next if $seen{ $file->[0] }++;
        push @found, map { [ $file->[0], @$_ ] } _check_file(@$file, \%count);
    }
    for my $place (@found) {
        my ($path, $line, $what, $kind) = @$place;
        next if $kind eq 'subprocess' && $count{subprocess};    # whichever file loads it
        print _shown($path), ":$line: $what: $ADVICE{$kind}[0]; see docs/migrating.md, $ADVICE{$kind}[1]\n";
        $count{found}++;
    }
    if (!STDOUT->flush || STDOUT->error) {
        warn "check: standard output: $!\n";
        return 2;
    }
    warn "check: files read: $count{read}, places found: $count{found}, not read: $count{failed}\n";
    return $count{failed} ? 2 : $count{found} ? 1 : 0;
}

# A character of several bytes, and those among them that a terminal or a reader of lines obeys:
# as common/spawn_escape.c has them.
my $CHARACTER = qr/[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|\xed[\x80-\x9f][\x80-\xbf]
    |[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}
    |\xf4[\x80-\x8f][\x80-\xbf]{2}/x;
my $OBEYED = qr/\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]|\xe2\x81[\xa6-\xa9]/;
my %ESCAPE = ("\b" => '\\b', "\n" => '\\n', "\r" => '\\r', "\t" => '\\t', "\x0b" => '\\v', '\\' => '\\\\');

# Text of strangers, escaped as in the error log.
sub _shown {
    my ($text) = @_;
    utf8::encode($text) if utf8::is_utf8($text);
    $text =~ s/((?!$OBEYED)$CHARACTER)|([^\x20-\x5b\x5d-\x7e])/defined $1 ? $1 : $ESCAPE{$2} || sprintf '\\x%02x', ord $2/ge;
    return $text;
}

sub _not_read {
    my ($path, $why, $count) = @_;
    warn _shown($path), ': not read: ', _shown($why), "\n";
    $count->{failed}++;
    return;
}

# All files at and below a place, sorted, each with 1 when it was named itself.
# Links to directories are not followed: they may make a loop.
sub _files {
    my ($place, $count) = @_;
    my @todo = ([ $place, 1 ]);
    my @files;
    while (my $one = shift @todo) {
        my ($path, $named) = @$one;
        if (!stat $path) {
            my ($errno, $why) = ($! + 0, "$!");
            _not_read($path, $why, $count) if $named || $errno != ENOENT;    # else gone, or a link to nothing
        }
        elsif (-d _) {
            next if !$named && -l $path;
            if (!opendir my $dir, $path) {
                _not_read($path, "$!", $count);
            }
            else {
                unshift @todo, map { [ $path =~ m{/\z} ? "$path$_" : "$path/$_", 0 ] }
                    sort grep { !/\A[.][.]?\z/ && !/$VERSIONS/ } readdir $dir;
            }
        }
        elsif (-f _) {
            push @files, $one;
        }
        elsif ($named) {
            _not_read($path, 'neither a file nor a directory', $count);
        }
    }
    return @files;
}

# [line, what, key of its advice] of each place in a file.
sub _check_file {
    my ($path, $named, $count) = @_;
    my ($name) = $path =~ m{([^/]+)\z};
    return if !$named && $name !~ /$CONF|$PERL/ && $name =~ /[.]/;
    open my $in, '<:raw', $path or return _not_read($path, "$!", $count);
    defined read $in, my $text, 4096 or return _not_read($path, "$!", $count);
    my $first = $text =~ /\A(#!.*)/ ? $1 : '';
    if (!$named && $name !~ $CONF) {
        return if $name !~ $PERL && $first !~ /\bperl/;
        return if $name =~ $FOREIGN && ($text =~ /\0/ || $first && $first !~ /\bperl/);
    }
    my $size = -s $in;
    return _not_read($path, "it has $size bytes, more than $LIMIT", $count) if $size > $LIMIT;
    { local $/ = undef; $text .= <$in> // ''; }
    close $in or return _not_read($path, "$!", $count);

    my $found = $name =~ $CONF ? _in_conf($text, $count) : eval { _in_perl($text, $count) };
    return _not_read($path, ($@ || PPI::Document->errstr || 'PPI cannot parse it') =~ s/\n.*//sr, $count) if !$found;
    $count->{read}++;
    return @$found;
}

# A directive may go on in the next line, after a backslash.
sub _in_conf {
    my ($text, $count) = @_;
    my (@found, $from);
    my ($number, $line) = (0, '');
    for my $part (split /\n/, $text) {
        $number++;
        $from //= $number;
        $line .= $part =~ s/\r\z//r;
        next if $line =~ s/\\\z//;
        $count->{subprocess} = 1 if $line =~ /\A\s*Perl(?:Load)?Module\s.*?(?<![\w:])Apache2::Spawn::SubProcess(?![\w:])/i;
        push @found, [ $from, 'PerlCleanupHandler', 'cleanup' ] if $line =~ /\A\s*PerlCleanupHandler(?:\s|\z)/i;
        ($from, $line) = (undef, '');
    }
    return \@found;
}

sub _in_perl {
    my ($text, $count) = @_;
    return [] if $text !~ /\S/;
    my $doc = PPI::Document->new(\$text, readonly => 1) or return;
    my %own = map { ($_->name // '') => 1 } @{ $doc->find('PPI::Statement::Sub') || [] };
    my (@found, $replaced);
    for my $t (@{ $doc->find('PPI::Token') || [] }) {
        my @is = $t->isa('PPI::Token::Word') ? _word($t, \%own) : _text($t);
        next if !@is && $t !~ /\AApache2::Spawn::/;
        if (@is) {
            $replaced //= _replaced($doc);
            push @found, [ $t->line_number, @is ] if !_is_replaced($t, $replaced, @is);
        }
        elsif ($t =~ $SUBPROCESS && ($t->sprevious_sibling // '') =~ /\A(?:use|require)\z/) {
            $count->{subprocess} = 1;
        }
    }
    return \@found;
}

# Functions that are jobs, of each package: by its name.
sub _replaced {
    my ($doc) = @_;
    my %replaced;
    for my $use (@{ $doc->find('PPI::Statement::Include') || [] }) {
        next if ($use->type // '') ne 'use' || ($use->module // '') !~ $INSTEAD;
        my @names = map {
                  $_->isa('PPI::Token::QuoteLike::Words') ? $_->literal
                : $_->isa('PPI::Token::Quote')            ? $_->string
                :                                           ()
        } map { $_->isa('PPI::Structure::List') ? @{ $_->find('PPI::Token') || [] } : $_ } $use->arguments;
        my $all = !grep { /\A(?:open|readpipe|system)\z/ } @names;
        $replaced{ _package($use) }{$_} = 1 for $all ? @REPLACED : @names;
    }
    return \%replaced;
}

# The package of an element: of the block that it is in, or of the statement before it.
sub _package {
    my ($element) = @_;
    for (my $e = $element; $e; $e = $e->parent) {
        for (my $before = $e; $before; $before = $before->sprevious_sibling) {
            next if !$before->isa('PPI::Statement::Package');
            my $has_block = grep { $_->isa('PPI::Structure::Block') } $before->schildren;
            return $before->namespace if $before == $e || !$has_block;
        }
    }
    return 'main';
}

sub _is_replaced {
    my ($t, $replaced, $what, $kind) = @_;
    return 0 if !%{$replaced} || $t->isa('PPI::Token::Word') && $t =~ /::/;
    my $name = $kind eq 'readpipe' ? 'readpipe' : $what eq 'piped open' ? 'open' : $what;
    my $here = $replaced->{ _package($t) };
    return $here && $here->{$name} ? 1 : 0;
}

sub _text {
    my ($t) = @_;
    return ('qx', 'readpipe') if $t->isa('PPI::Token::QuoteLike::Backtick') || $t->isa('PPI::Token::QuoteLike::Command');
    return ('qx', 'readpipe') if $t->isa('PPI::Token::HereDoc') && $t->content =~ /\A<<~?\s*`/;
    return ('PerlCleanupHandler', 'cleanup')
        if $t->isa('PPI::Token::Quote') && $t->string =~ /\A\s*PerlCleanupHandler\b/;
    return;
}

# Siblings are looked at last: PPI searches for them, which takes its time in
# long lists.
sub _word {
    my ($t, $own) = @_;
    my $word = $t->content;
    return ($word, 'cleanup') if $word eq 'PerlCleanupHandler';
    my ($module) = grep { $word =~ $_->[0] } @MODULE;
    if ($module) {
        my $before = $t->sprevious_sibling;
        return $before && $before =~ /\A(?:use|require)\z/ ? ($word, $module->[1]) : ();
    }
    my $name = $word =~ s/\A(?:CORE::(?:GLOBAL::)?|POSIX::)//r;
    return _open($t) if $name eq 'open' && _is_call($t);
    return ($name, $BUILTIN{$name}) if $BUILTIN{$name} && _is_call($t);
    my ($home, $last) = $word =~ /\A(?:(.*)::)?(\w+)\z/ or return;
    return ($last, $METHOD{$last}) if $METHOD{$last} && ($home || _is_method($t));
    return ($last, $FUNCTION{$last})
        if $FUNCTION{$last} && ($home ? $home eq $HOME{$last} : !$own->{$last}) && _is_call($t);
    return;
}

sub _is_method {
    my ($t) = @_;
    my $before = $t->sprevious_sibling;
    return $before && $before eq '->';
}

# Not a method, a name that is defined, a key of a hash.
sub _is_call {
    my ($t) = @_;
    my $before = $t->sprevious_sibling;
    my $after  = $t->snext_sibling;
    return 0 if $before && $before =~ /\A(?:->|sub|package|use|no|require)\z/ || $after && $after eq '=>';
    my $up = $t->parent && $t->parent->parent;
    return !($up && $up->isa('PPI::Structure::Subscript') && !$before && !$after);
}

# Its second argument is the mode, or, when it is the last, mode and name.
sub _open {
    my ($t) = @_;
    my (undef, $second, $third) = _arguments($t);
    return if !$second;
    my ($first, $last) = map { $_->isa('PPI::Token::Quote') ? $_->string : '' } @{$second}[ 0, -1 ];
    if ($third) {
        return @$second == 1 && $first =~ /\A\s*(?:-[|]|[|]-)/ ? ('piped open', 'pipe') : ();
    }
    my $joined = @$second > 1;
    return if $joined && grep { $_ ne '.' } @{$second}[ 1, -2 ];
    return $first =~ /\A\s*[|]/ || $last =~ /[|]\s*\z/ ? ('piped open', 'pipe') : ();
}

# The elements of each argument of a call, with parentheses or without.
sub _arguments {
    my ($t) = @_;
    my @elements;
    my $next = $t->snext_sibling;
    if ($next && $next->isa('PPI::Structure::List')) {
        @elements = map { $_->isa('PPI::Statement') ? $_->schildren : $_ } $next->schildren;
    }
    else {
        for (; $next; $next = $next->snext_sibling) {
            last if $next =~ /\A(?:;|or|and|xor|not|[|][|]|&&|\/\/|[?]|:|if|unless|while|until|for|foreach)\z/;
            push @elements, $next;
        }
    }
    my @arguments;
    my $which = 0;
    for my $e (@elements) {
        if ($e =~ /\A(?:,|=>)\z/) {
            $which++;
        }
        else {
            push @{ $arguments[$which] }, $e;
        }
    }
    return @arguments;
}

1;

__END__

=head1 NAME

Apache2::Spawn::Check - find what a tree runs by itself

=head1 SYNOPSIS

    spawnctl check-code DIR...
    perl -MApache2::Spawn::Check -e 'exit check(@ARGV)' DIR...

=head1 DESCRIPTION

Before old code is moved, somebody needs a list of the places where it starts programs
and processes, or works after the answer. C<check> takes directories and files, and
prints a line for each place: file, line, what it is, what to write instead, and
the section of F<docs/migrating.md> that shows how. It reads Perl with PPI
(Debian: C<libppi-perl>), so it does not take comments, POD, keys of hashes and
methods of the same name for calls. Nothing that it reads is run.

=head2 What is found

=over

=item *

C<system>, C<exec>, C<readpipe>, C<qx> and backticks (those around the end of a
here-document, too), C<fork>, also with C<CORE::> and C<POSIX::>

=item *

C<open> from or to a program, where its second argument is a literal text:
C<'|command'> and C<'command|'>, or C<'-|'> and C<'|-'>

=item *

C<open2>, C<open3>, and C<fork_call> and C<run_cmd> of AnyEvent::Util, by these
names or by the full ones; not by the short one in a file that has a function of
that name

=item *

C<use> and C<require> of C<IPC::Open2>, C<IPC::Open3>, C<IPC::Run>, C<IPC::Run3>,
C<IPC::Cmd>, C<IPC::System::Simple>, C<AnyEvent::Fork>, C<Apache2::SubProcess>,
C<Proc::Background>, C<Proc::Simple> and others of C<Proc::>

=item *

C<spawn_proc_prog>, C<cleanup_register> and C<PerlCleanupHandler>; the latter in
files of httpd's configuration, too

=back

=head2 What is a job already

Not listed are C<system>, C<readpipe>, backticks and C<open> of a package that has
L<Apache2::Spawn::Instead> for them (C<CORE::system> of it is), and C<spawn_proc_prog> and
C<use Apache2::SubProcess> where a file among those that are read loads
L<Apache2::Spawn::SubProcess>: C<use> or C<require> in Perl, C<PerlModule> or C<PerlLoadModule> in
httpd's configuration. It counts for all of them, as it does for all of a server.

=head2 Which files are read

A file that is named is read whatever it is called. Below a directory, those
are read that end in F<.pm>, F<.pl>, F<.plx>, F<.t>, F<.cgi>, F<.fcgi>,
F<.psgi> or F<.PL>; those without a dot in their name whose first line is C<#!>
with C<perl> in it; and httpd's F<.conf>, F<.conf.in> and F<.htaccess>. A
F<.t>, F<.cgi> or F<.fcgi> file is left out when its C<#!> line names another
language. Links to directories are not followed, and F<.git>, F<.svn>, F<.hg>
and F<.bzr> are left out.

A file of more than 1,000,000 bytes counts as one that cannot be read, because
PPI takes a second or two for 100,000 bytes, and may take far longer.
C<$Apache2::Spawn::Check::LIMIT>, and C<--max-bytes> of spawnctl, is that number.

=head2 Output and result

The places are on standard output. What could not be read is on standard error,
with the reason, and so is a last line with the numbers of files read, places
found, and files and directories not read. Of their names, and of the reasons,
control characters are escaped as in httpd's error log (C<\n>, C<\x1b>), and a backslash is doubled.
C<check> returns

    0  nothing was found
    1  something was found
    2  not all was read: something does not exist or is not readable, a file is
       too large or PPI cannot parse it, PPI itself is missing, or nothing was named;
       or the places could not be written

=head1 LIMITS

Perl can hide a call from everyone who only reads it. Not found are

=over

=item *

an C<open> whose mode is in a variable (C<open $in, $mode, @words>) or is made by
a function

=item *

C<< $class->$method >>, C<< $r->can('cleanup_register') >>, C<&$function>,
C<&open3>, and functions that were imported under another name

=item *

code in strings (C<eval "...">), in C<s///e>, in here-documents and in templates

=item *

C<< <Perl> >> sections of httpd's configuration

=item *

methods such as C<< IO::Pipe->reader >>, and what modules from elsewhere start by
themselves, unless their directories are named, too

=back

Found though they are harmless are an C<exec> in a child that was found by its
C<fork>, and programs that run when httpd starts or in scripts. A list of places is for a person to go through.

=head1 SEE ALSO

L<Apache2::Spawn>, L<Apache2::Spawn::Instead>, F<docs/migrating.md>

=cut
