# SPDX-License-Identifier: Apache-2.0
#
# A headless Chromium of a test, over chromedriver (WebDriver), which Debian packages:
# pages are gone to, clicked and read as a person would, in any width and colour scheme,
# with JavaScript or without. Runs in test scripts; the browser reaches 127.0.0.1 only,
# writes below a directory of its own, and ends with the test.

package SpawnTest::Browser;

use strict;
use warnings;

use File::Path qw(remove_tree);
use File::Temp ();
use HTTP::Tiny ();
use IO::Select ();
use JSON::PP ();
use MIME::Base64 qw(decode_base64);
use POSIX qw(WNOHANG);
use Scalar::Util qw(weaken);
use Test::More ();

use SpawnTest::Process qw(children_of);
use SpawnTest::Wait qw(now wait_until);

use constant DEADLINE => 90;                      # of what a page, or the browser, needs
use constant ELEMENT => 'element-6066-11e4-a52e-4f735466cecf';    # its name in WebDriver

my %all;
my $json = JSON::PP->new->canonical->allow_nonref->utf8;

sub _where {
    my (@names) = @_;
    for my $dir (split /:/, $ENV{PATH}) {
        for (@names) { return "$dir/$_" if -x "$dir/$_" }
    }
    return;
}

# Why this machine cannot run one, or nothing.
sub missing {
    return 'no chromedriver (make test-browser installs it)' if !_where('chromedriver');
    my $browser = _where(qw(chromium chromium-browser google-chrome));
    return 'no Chromium (make test-browser installs it)' if !$browser;
    # a program of this name can be one that tells how to get it
    return "$browser is no Chromium (make test-browser installs it)" if `$browser --version 2>/dev/null` !~ /[0-9]+[.][0-9]+/;
    return;
}

# new(%options): the browser runs, at an empty page.
#   hosts  names that are 127.0.0.1 to it; no others are known
sub new {
    my ($class, %options) = @_;
    my $self = bless { owner => $$ }, $class;
    $self->{dir} = File::Temp::tempdir('spawn-browser-XXXXXXXX', DIR => '/tmp', CLEANUP => 0);
    $all{$self} = $self;
    weaken($all{$self});
    $self->{http} = HTTP::Tiny->new(timeout => 2 * DEADLINE);
    $self->_start_driver;
    my $names = join ', ', (map {"MAP $_ 127.0.0.1"} @{ $options{hosts} || [] }), 'MAP * ~NOTFOUND', 'EXCLUDE 127.0.0.1';
    my @arguments = (
        qw(--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --disable-background-networking),
        qw(--disable-component-update --disable-sync --disable-domain-reliability --disable-default-apps --no-proxy-server),
        qw(--force-color-profile=srgb --hide-scrollbars --lang=en), "--user-data-dir=$self->{dir}/profile", "--host-resolver-rules=$names");
    my $answer = $self->_ask(POST => '/session', { capabilities => { alwaysMatch => { 'goog:chromeOptions' => {
                        binary => _where(qw(chromium chromium-browser google-chrome)), args => \@arguments } } } });
    $self->{session} = "/session/$answer->{sessionId}";
    $self->_do(POST => '/timeouts', { pageLoad => DEADLINE * 1000, script => DEADLINE * 1000, implicit => 0 });
    return $self;
}

# Its line "... was started successfully on port N."
sub _start_driver {
    my ($self) = @_;
    pipe my $read, my $write or die "pipe: $!\n";
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        POSIX::setsid();
        # not a terminal's, not a sanitizer's
        %ENV = (PATH => $ENV{PATH}, HOME => $self->{dir}, TMPDIR => $self->{dir}, LANG => 'C.UTF-8', TZ => $ENV{TZ} || 'UTC');
        delete @SIG{qw(INT TERM HUP PIPE)};
        open STDIN, '<', '/dev/null';
        open STDOUT, '>&', $write;
        open STDERR, '>', "$self->{dir}/driver.err";
        exec _where('chromedriver'), '--port=0', "--log-path=$self->{dir}/driver.log" or POSIX::_exit(127);
    }
    close $write;
    $self->{pid} = $pid;
    my ($said, $select, $until) = ('', IO::Select->new($read), now() + DEADLINE);
    while ($said !~ /started successfully on port ([0-9]+)/ && now() < $until) {
        next if !$select->can_read(1);
        last if !sysread $read, $said, 4096, length $said;
    }
    ($self->{port}) = $said =~ /started successfully on port ([0-9]+)/ or die "chromedriver did not start: $said\n";
    $self->{said} = $read;    # open: it would get SIGPIPE
    return;
}

# ---- WebDriver ----

sub _ask {
    my ($self, $method, $path, $body) = @_;
    my $answer = $self->{http}->request($method, "http://127.0.0.1:$self->{port}$path",
        $body ? { content => $json->encode($body), headers => { 'Content-Type' => 'application/json' } } : {});
    my $value = eval { $json->decode($answer->{content})->{value} };
    die "browser: $method $path: $answer->{status} ",
        ref $value eq 'HASH' ? "$value->{error}: $value->{message}" : substr($answer->{content}, 0, 500), "\n"
        if $answer->{status} != 200;
    return $value;
}

sub _do { my ($self, $method, $path, $body) = @_; return $self->_ask($method, "$self->{session}$path", $body) }

# A command of the DevTools.
sub devtools {
    my ($self, $command, %parameters) = @_;
    return $self->_do(POST => '/goog/cdp/execute', { cmd => $command, params => \%parameters });
}

# ---- what the person is like ----

# Of each request from now on: login_of has those of a user; none: nobody is logged in.
sub headers {
    my ($self, %headers) = @_;
    $self->devtools('Network.enable');
    $self->devtools('Network.setExtraHTTPHeaders', headers => \%headers);
    return $self;
}

sub javascript {
    my ($self, $on) = @_;
    $self->devtools('Emulation.setScriptExecutionDisabled', value => $on ? JSON::PP::false : JSON::PP::true);
    return $self;
}

sub scheme {
    my ($self, $scheme) = @_;
    $self->devtools('Emulation.setEmulatedMedia', features => [ { name => 'prefers-color-scheme', value => $scheme } ]);
    return $self;
}

sub width {
    my ($self, $width, $height) = @_;
    $self->devtools('Emulation.setDeviceMetricsOverride', width => 0 + $width, height => 0 + ($height || 900), deviceScaleFactor => 1,
        mobile => JSON::PP::false);
    return $self;
}

# This script runs in each page before the page's own.
sub before_pages {
    my ($self, $script) = @_;
    $self->devtools('Page.enable');
    $self->devtools('Page.addScriptToEvaluateOnNewDocument', source => $script);
    return $self;
}

# ---- pages ----

sub go { my ($self, $url) = @_; $self->_do(POST => '/url', { url => $url }); return $self }
sub at { my ($self) = @_; return $self->_do(GET => '/url') }
sub title { my ($self) = @_; return $self->_do(GET => '/title') }

# The value of an expression, or of a function's body with `return`.
sub script {
    my ($self, $script, @arguments) = @_;
    return $self->_do(POST => '/execute/sync', { script => $script, args => \@arguments });
}

# The same, of one that waits: with `await`.
sub script_that_waits {
    my ($self, $script, @arguments) = @_;
    my $answer = $self->_do(POST => '/execute/async', {
            script => "const done = arguments[arguments.length - 1]; (async function () { $script }).apply(null, arguments)"
                . '.then(v => done({value: v}), e => done({error: String(e && e.stack || e)}));',
            args => \@arguments });
    die "browser: $answer->{error}\n" if $answer->{error};
    return $answer->{value};
}

# Elements of a CSS selector, or of a link's text.
sub all {
    my ($self, $css) = @_;
    return map { $_->{ +ELEMENT } } @{ $self->_do(POST => '/elements', { using => 'css selector', value => $css }) };
}

sub link_named {
    my ($self, $text) = @_;
    return $self->_do(POST => '/element', { using => 'link text', value => $text })->{ +ELEMENT };
}

sub _one {
    my ($self, $css) = @_;
    my @found = $self->all($css);
    die "browser: '$css' is there " . @found . ' times, at ' . $self->at . "\n" if @found != 1;
    return $found[0];
}

sub text_of { my ($self, $css) = @_; return $self->_do(GET => '/element/' . $self->_one($css) . '/text') }
sub text    { my ($self) = @_; return $self->text_of('body') }

# Where a page may be fetched anew between two steps, or has not come yet, the step is
# taken again.
sub _step {
    my ($self, $find, $what, $body, $again) = @_;
    my $why = '';
    my $done = wait_until(
        sub {
            return 1 if eval { $self->_do(POST => '/element/' . $find->() . "/$what", $body); 1 };
            $why = $@;
            die $why if $again && $why !~ $again;
            return 0;
        },
        DEADLINE
    );
    return $done ? $self : die $why;
}

sub _click { my ($self, $find) = @_; return $self->_step($find, 'click', {}) }

sub click      { my ($self, $css) = @_; return $self->_click(sub { $self->_one($css) }) }
sub click_link { my ($self, $text) = @_; return $self->_click(sub { $self->link_named($text) }) }

# An <option> of a <select name>, by its value, which may be its text.
sub choose {
    my ($self, $name, $value) = @_;
    my $path = qq{//select[\@name="$name"]/option[\@value="$value" or (not(\@value) and .="$value")]};
    return $self->_click(sub { $self->_do(POST => '/element', { using => 'xpath', value => $path })->{ +ELEMENT } });
}

# Typed once: another error than these may come behind the keys.
sub type {
    my ($self, $css, $text) = @_;
    return $self->_step(sub { $self->_one($css) }, 'value', { text => $text }, qr/no such element|stale element|not interactable|invalid element state/);
}

# Waits until it is at this URL, or one that matches: a click does not wait for the page
# that it leads to.
sub arrives {
    my ($self, $url, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $at = '';
    my $is = ref $url ? sub { $at =~ $url } : sub { $at eq $url };
    wait_until(sub { $at = eval { $self->at } || ''; $is->() }, DEADLINE);
    return ref $url ? Test::More::like($at, $url, $name) : Test::More::is($at, $url, $name);
}

# Waits until the page has this text.
sub shows {
    my ($self, $pattern, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $text = '';
    my $found = wait_until(sub { $text = eval { $self->text } || ''; $text =~ $pattern }, DEADLINE);
    return Test::More::ok($found, $name) || Test::More::diag($self->at, ":\n", $text);
}

# ---- tabs: the one that was opened last is seen ----

sub tab { my ($self) = @_; return $self->_do(GET => '/window') }
sub new_tab {
    my ($self) = @_;
    my $new = $self->_do(POST => '/window/new', { type => 'tab' })->{handle};
    return $self->to_tab($new);
}
sub to_tab { my ($self, $tab) = @_; $self->_do(POST => '/window', { handle => $tab }); return $self }
sub close_tab { my ($self) = @_; $self->_do('DELETE' => '/window'); return $self }

# ---- pictures ----

# The whole page, as PNG.
sub picture {
    my ($self, $clip) = @_;
    my $data = $self->devtools('Page.captureScreenshot', format => 'png', captureBeyondViewport => JSON::PP::true,
        $clip ? (clip => $clip) : ());
    return decode_base64($data->{data});
}

# ---- the end ----

sub _all_below {
    my ($pid) = @_;
    return map { ($_, _all_below($_)) } children_of($pid);
}

sub clean {
    my ($self) = @_;
    return if $self->{cleaned}++ || $self->{owner} != $$;
    local ($?, $@);
    if ($self->{pid}) {
        my @below = _all_below($self->{pid});
        eval { $self->_ask('DELETE' => $self->{session}); 1 } if $self->{session};
        kill TERM => $self->{pid};
        if (!wait_until(sub { waitpid($self->{pid}, WNOHANG) == $self->{pid} }, 20)) {
            kill KILL => $self->{pid};
            waitpid $self->{pid}, 0;
        }
        my $ours = sub { my ($pid) = @_; return (_slurp("/proc/$pid/cmdline") =~ /\Q$self->{dir}\E/) };
        wait_until(sub { !grep { $ours->($_) } @below }, 20)
            or kill KILL => grep { $ours->($_) } @below;
    }
    if (!Test::More->builder->is_passing) {
        Test::More::diag(join "\n", "chromedriver:", (split /\n/, _slurp("$self->{dir}/driver.err"))[ 0 .. 9 ]) if -s "$self->{dir}/driver.err";
    }
    remove_tree($self->{dir}, { safe => 0 });
    delete $all{$self};
    return;
}

sub _slurp {
    my ($path) = @_;
    open my $in, '<', $path or return '';
    local $/ = undef;
    return scalar(<$in>) // '';
}

sub DESTROY { $_[0]->clean; return }

END {
    my $status = $?;
    $_->clean for grep { defined } values %all;
    $? = $status;    ## no critic (RequireLocalizedPunctuationVars)
}

1;
