#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The example site: make run's program starts, its pages do what they say,
# and nothing is left when it is stopped.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use File::Temp ();
use HTTP::Tiny ();
use JSON::PP ();
use POSIX ();
use Test::More;
use Time::HiRes ();

use SpawnTest qw(build_dir root_dir wait_until);
use SpawnTest::Process qw(all_pids cmdline);

my $port = SpawnTest::Httpd::free_port();
# A checkout may lie in a path with a space.
my $home = File::Temp::tempdir('spawn-checkout-XXXXXXXX', DIR => '/tmp', CLEANUP => 1);
my $checkout = "$home/of somebody";
mkdir $_ or die "$_: $!\n" for $checkout, "$checkout/build";
chmod 0755, $home, $checkout, "$checkout/build" or die "$home: $!\n";
system('cp', '-RL', root_dir() . '/examples', $checkout) == 0 or die "cp: $?\n";
system('cp', '-RL', (map { build_dir() . "/$_" } qw(mod_spawn mod_spawn.so perl)), "$checkout/build") == 0 or die "cp: $?\n";
my $run = "$checkout/examples/run";
# The mail after the answer is sent when this file is there.
my $let = "$home/let";
hold_back("$checkout/examples/bin/sendmail");
my $http = HTTP::Tiny->new(timeout => 30, keep_alive => 0, max_redirect => 5);
my $url = "http://127.0.0.1:$port";

# Its sendmail takes a second, whoever waits for it; this one waits for us, too, when the mail is for After.
sub hold_back {
    my ($sendmail) = @_;
    open my $in, '<', $sendmail or die "$sendmail: $!\n";
    my $text = do { local $/ = undef; <$in> };
    my $wait = "for (1 .. 600) { last if \$message !~ /^To: After\$/m || -e '$let'; select undef, undef, undef, 0.1 }\n";
    $text =~ s/^(?=sleep 1;)/$wait/m or die "$sendmail does not sleep\n";
    open my $out, '>', $sendmail or die "$sendmail: $!\n";
    print {$out} $text;
    close $out or die "$sendmail: $!\n";
    return;
}

# What the page says of the mail for somebody: how long the visitor waited (ms), and when it was sent.
sub mail_for {
    my ($name, $page) = @_;
    return $page =~ m{<div>\Q$name\E</div></td>.*?<div>([\d.]+) ms</div>.*?<div>(after [\d.]+ s|not yet)</div>}s;
}

sub start {
    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        @ENV{qw(PORT SPAWN_BUILD)} = ($port, "$checkout/build");
        open STDERR, '>&', \*STDOUT;
        exec {$run} $run or POSIX::_exit(127);
    }
    return ($pid, $out);
}

# A page, once it shows no job that runs.
sub settled {
    my ($path) = @_;
    my $page = '';
    wait_until(
        sub {
            $page = $http->get("$url$path")->{content};
            return $page !~ /data-again/;
        },
        60
    );
    return $page;
}

my ($pid, $out) = start();
my ($said, $site) = ('');
while (my $line = <$out>) {
    $said .= $line;
    $site = $1 if $line =~ /removes (\S+)\.$/;
    last if $line =~ /error log follows/;
}
like $said, qr{\Q$url\E/}, 'it tells where it is' or die "examples/run: $said\n";

like $http->get("$url/")->{content}, qr/Overview/, 'overview';
like $http->get("$url/spawn-status")->{content}, qr/Newest jobs/, 'the status page';

my $made = $http->post_form("$url/thumbnails", { sample => 'evening' });
is $made->{status}, 200, 'a sample picture' or diag $made->{content};
my $page = settled('/thumbnails');
is scalar(() = $page =~ /exited 0/g), 3, 'three thumbnails are made' or diag $page;
my ($thumb) = $page =~ m{src="(/pictures/[^"]+/160\.jpg)"};
like $http->get("$url$thumb")->{content}, qr/\A\xff\xd8\xff/, 'one is a JPEG picture';
(my $private = $thumb) =~ s/160\.jpg/about.json/;
is $http->get("$url$private")->{status}, 403, 'what is no picture is not served';

like $page, qr{name="sample" value="clouds" checked>}, 'a picture is chosen at first';
is scalar(() = $page =~ / checked/g), 1, 'one';
unlike $page, qr/http-equiv/, 'a page with a form is not loaded anew';
my $script = $http->get("$url/static/again.js");
is $script->{headers}{'content-type'}, 'text/javascript; charset=utf-8', 'what asks for the jobs';

my $picture = $http->get("$url$thumb")->{content};
my $upload = $http->post("$url/thumbnails", {
        headers => { 'Content-Type' => 'multipart/form-data; boundary=XXX' },
        # a sample is chosen beside it, as it is in the form
        content => qq{--XXX\r\nContent-Disposition: form-data; name="sample"\r\n\r\nclouds\r\n--XXX\r\nContent-Disposition: form-data; name="picture"; filename="<b>&.jpg"\r\n}
            . "Content-Type: image/jpeg\r\n\r\n$picture\r\n--XXX--\r\n",
    });
is $upload->{status}, 200, 'an upload' or diag $upload->{content};
$page = settled('/thumbnails');
like $page, qr/&lt;b&gt;&amp;\.jpg/, 'its name is escaped';
is scalar(() = $page =~ /exited 0/g), 6, 'its thumbnails are made';
is $http->post_form("$url/thumbnails", { sample => '../x' })->{status}, 400, 'nonsense is refused';

$page = $http->get("$url/long")->{content};
is $http->post_form("$url/long", { what => 'start' })->{status}, 200, 'a long program';
$page = $http->get("$url/long")->{content};
like $page, qr/running/, 'runs' or diag $page;
like $page, qr/>[0-9a-f]{12}</, 'its short id, as spawnctl has it';
unlike $page, qr/>[^<]*[0-9a-f]{8}-[0-9a-f]{4}/, 'and not the whole one';
my ($id) = $page =~ /name="id" value="([0-9a-f-]{36})"/;
$http->post_form("$url/long", { what => 'stop', id => $id });
like settled('/long'), qr/cancelled.*signal TERM/s, 'and is stopped';

like $http->post_form("$url/long", { what => 'stop', id => '01234567-89ab-7cde-8f01-23456789abcd' })->{content},
    qr/no such job on this page/, 'one of another page is not stopped';

$http->post_form("$url/failing", {});
$page = settled('/failing');
like $page, $_->[1], "failing: $_->[0]" for (
    [ 'no such program', qr/exec.*2 \(No such file/s ],
    [ 'not executable', qr/exec.*13 \(Permission denied/s ],
    [ 'cwd', qr/>cwd</ ],
    [ 'exit code', qr/exited 3/ ],
    [ 'signal', qr/signalled SEGV/ ],
    [ 'time-out', qr/timed_out/ ],
    [ 'queue', qr/unknown_queue/ ],
    [ 'option', qr/unknown_option/ ],
);

$http->post_form("$url/perl", { what => 'fail' });
$page = settled('/perl');
like $page, qr/the report needs a printer/, 'a Perl function and its exception';
like $page, qr{>died</span>}, 'which it died of' or diag $page;
unlike $page, qr/exited/, 'and that is no exit';
$http->post_form("$url/perl", { what => 'report' });
ok wait_until(sub { $http->get("$url/perl")->{content} =~ /<progress value="\d+" max="40">/ }, 20),
    'one with progress';
my ($address) = $http->get("$url/perl")->{content} =~ m{data-job="(/jobs/[^"]+)"};
my $job = eval { JSON::PP->new->utf8->decode($http->get("$url$address")->{content}) };
like $job->{progress}{text}, qr/\Achapter \d+\z/, 'whose page asks httpd for it';
(my $forged = $address) =~ s/.\z/x/;
is $http->get("$url$forged")->{status}, 403, '... with its token';
my $newer = eval { JSON::PP->new->utf8->decode($http->get("$url$address&wait=20&seen=$job->{seen}")->{content}) };
isnt $newer->{seen}, $job->{seen}, '... and is told what is new';
ok wait_until(sub { $http->get("$url/perl")->{content} =~ m{a visit to /perl was noted} }, 20),
    'and one after the answer';
$page = settled('/perl');
like $page, qr{>returned</span>}, 'the report has returned' or diag $page;
like $page, qr{\b17740 words, by process \d+\b}, 'what it returned is shown';

$http->post_form("$url/perl", { what => 'report' });
ok wait_until(sub { ($id) = $http->get("$url/perl")->{content} =~ /chapter \d+<.*?name="id" value="([0-9a-f-]{36})"/s }, 20),
    'a report that has begun can be stopped';
$http->post_form("$url/perl", { what => 'stop', id => $id });
like settled('/perl'), qr/cancelled.*signal TERM/s, 'and is';

for my $way (qw(request after)) {
    my $name = ucfirst $way;
    is $http->post_form("$url/mail", { way => $way, to => $name })->{status}, 200, "a mail, $way";
    if ($way eq 'after') {
        is +(mail_for($name, $http->get("$url/mail")->{content}))[1], 'not yet', '... which is not waited for';
        open my $out, '>', $let or die "$let: $!\n";
    }
    my ($waited, $sent) = mail_for($name, settled('/mail'));
    like $sent, qr/\Aafter [1-9]/, '... and is sent';
    cmp_ok $waited, '>=', 1000, '... and waited for' if $way eq 'request';
}
like $http->get("$url/mail")->{content}, qr{In the request.*<div>Request</div>.*After the answer.*<div>After</div>}s, 'each way on its side';
for my $nonsense ({ way => 'no', to => 'A' }, { way => 'after', to => "A\nBcc: b" }) {
    is $http->post_form("$url/mail", $nonsense)->{status}, 400, 'nonsense is refused';
}

# What was wrong with one that is asked for again is said.
my $archive;
for my $try (1 .. 3) {
    $archive = $http->get("$url/download/pictures.tar.gz");
    last if $archive->{headers}{'content-disposition'};
    diag "try $try: $archive->{status} $archive->{reason}: ", substr $archive->{content}, 0, 4000;
}
like $archive->{headers}{'content-disposition'}, qr/\Aattachment; filename="pictures.tar.gz"\z/, 'a download';
open my $tar, '|-', "tar -tz >'$home/list'" or die "tar: $!\n";
print {$tar} $archive->{content};
ok close $tar, 'is whole';
open my $list, '<', "$home/list" or die "$home/list: $!\n";
is scalar(grep { m{\Asamples/\w+[.]jpg$} } <$list>), 4, 'and has all samples';
my ($early, $all, $lines) = (undef, undef, '');
$http->get("$url/download/count.txt", { data_callback => sub { $lines .= $_[0]; $all = Time::HiRes::time(); $early //= $all } });
is $lines, join('', map {"$_ of 10\n"} 1 .. 10), 'another, line by line';
cmp_ok $all - $early, '>', 5, 'which come as the program writes them';
like $http->get("$url/download")->{content}, qr{exited 0.*count[.]txt.*exited 0.*pictures[.]tar[.]gz}s, 'the page has both';
is $http->get("$url/download/other")->{status}, 404, 'what is not offered is not there';

my ($other, $refusal) = start();
like do { local $/ = undef; <$refusal> }, qr/port $port is taken.*PORT=/, 'a taken port is told, and what to type';
close $refusal;

$http->post_form("$url/long", { what => 'start' });
kill TERM => $pid;
$said = '';
while (my $line = <$out>) {
    $said .= $line;
    kill TERM => $pid if $line =~ /\Astopping httpd/;    # as make does, which passes it on
}
close $out;
is $? >> 8, 0, 'it ends well' or diag $said;
ok !-e $site, 'its directory has gone';
is_deeply [ grep { grep { /\Q$site\E/ } cmdline($_) } all_pids() ], [], 'and every process';
done_testing;
