#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Apache2::Spawn::Check finds what Perl code runs by itself, and not what only looks like it.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use SpawnTest::CheckCode qw(found);

plan skip_all => 'PPI (package libppi-perl) is not installed' if !eval { require PPI; 1 };

my @cases;

sub finds {
    my ($code, @what) = @_;
    push @cases, [ $code, join ' ', map {"1:$_"} @what ];
    return;
}

sub finds_nothing {
    my ($code) = @_;
    return finds($code);
}

push @cases, [ <<'CODE', '1:system 1:qx 2:exec 2:fork 2:fork 3:readpipe 4:qx' ];
system('ls'); my $x = `ls`;
CORE::exec('y'); fork; CORE::GLOBAL::fork();
my @lines = readpipe 'ls'; # system
my $y = qx{ls}; my $s = "fork and `ls`";
__END__
system('no');
CODE
finds "my \$x = <<`END` . 'y';\nls\nEND", 'qx';
finds "my \$x = <<~ `END`;\n  ls\n  END", 'qx';
finds_nothing "my \$x = <<END . <<'`';\n`ls`\nEND\n`ls`\n`";
finds q{my $pid = POSIX::fork(); POSIX::system('ls');}, 'fork', 'system';
finds_nothing q{my $fd = POSIX::open($file, POSIX::O_RDONLY());};
finds_nothing q{my %h = (system => 1); $h{fork}; $h->{exec}; $o->system(1); My->fork; sub exec { 1 }};
finds_nothing qq{=pod\n\n  system('x');\n\n=cut\n\n1;};

# open
finds q{open my $in, '-|', @words or die;}, 'piped open';
finds q{open(my $in, '-|', 'ls', $dir) || die;}, 'piped open';
finds q{if (open(local *OUT, "|-:utf8", $program)) { 1 }}, 'piped open';
finds q{open OUT, "| $program" or die;}, 'piped open';
finds q{open(IN, qq($program |));}, 'piped open';
finds q{open IN, $program . ' |' if $program;}, 'piped open';
finds q{defined(my $pid = open my $in, q{-|}) or die;}, 'piped open';
finds q{CORE::open($h{x}, '-|');}, 'piped open';
finds_nothing q{open my $in, '<', 'odd|' or die 'x|';};
finds_nothing q{open(my $in, '<', $file) or die "|";};
finds_nothing q{open my $in, "< $file" or die 'no pipe |';};
finds_nothing q{open my $in, $file; print '|-';};
finds_nothing q{open my $in, $mode, '-|';};
finds_nothing q{open $in{'-|'}, '<', $file;};
finds_nothing q{open my $in, join('|', @x);};
finds_nothing q{$pipe->open('-|', 'ls');};

# functions of modules
finds q{my $pid = open3(my $in, my $out, undef, @words);}, 'open3';
finds q{my $pid = IPC::Open3::open3($in, $out, $err, @words);}, 'open3';
finds q{open2 $out, $in, @words; IPC::Open2::open2($out, $in, @words);}, 'open2', 'open2';
finds q{fork_call { work() } sub { done() };}, 'fork_call';
finds q{AnyEvent::Util::run_cmd [qw(a b)], '>' => $file;}, 'run_cmd';
finds_nothing q{sub run_cmd { return 1 } run_cmd('x');};
finds_nothing q{My::run_cmd('x'); Apache2::Spawn->open3($in, $out, $err, [@words]);};

# modules
finds "use $_;", $_ for qw(IPC::Open2 IPC::Open3 IPC::Run IPC::Run3 IPC::Cmd Proc::Simple Proc::Background
    Proc::Background::Win32 AnyEvent::Fork AnyEvent::Fork::RPC Apache2::SubProcess);
finds q{require IPC::Open3;}, 'IPC::Open3';
finds_nothing "use $_;" for qw(IPC::Shareable Proc::ProcessTable Proc::ProcessTable::Process AnyEvent AnyEvent::Forked);

# mod_perl
finds q{$r->spawn_proc_prog('z'); $r->pool->cleanup_register(\&x);}, 'spawn_proc_prog', 'cleanup_register';
finds q{Apache2::RequestRec::spawn_proc_prog($r, 'z');}, 'spawn_proc_prog';
finds q{$r->push_handlers(PerlCleanupHandler => 'My::x');}, 'PerlCleanupHandler';
finds q{$r->set_handlers('PerlCleanupHandler', ['My::x']);}, 'PerlCleanupHandler';
finds q{$s->add_config(['PerlCleanupHandler My::x']);}, 'PerlCleanupHandler';
finds_nothing q{$r->push_handlers(SpawnCleanupHandler => 'My::x'); sub cleanup_register { 1 }};

# what is a job already
my $instead = 'use Apache2::Spawn::Instead';
my $three = q{system('x'); my $y = `x`; open my $in, '-|', 'x'; readpipe 'x';};
finds_nothing "$instead; $three";
finds "$instead qw(system); $three", 'qx', 'piped open', 'readpipe';
finds "$instead ('open', 'readpipe'); $three", 'system';
finds "$instead 'open', { queue => 'x' }; $three", 'system', 'qx', 'readpipe';
finds_nothing "$instead { timeout => 5 }; $three";
finds_nothing "$instead; my \$x = `perl -MFoo::Bar -e 1` . qx{perl -MFoo::Bar -e 1} . <<`END`;\nperl -MFoo::Bar\nEND";
finds "$instead; CORE::system('x'); exec 'x'; fork;", 'system', 'exec', 'fork';
finds "package A; $instead; system('x'); package B; system('y');", 'system';
finds "package A { $instead; sub x { system('x') } } system('y');", 'system';
finds_nothing "package A; $instead; sub x { my \$x = sub { if (1) { system('x') } } }";
finds "package A; system('x'); package B; $instead; system('y');", 'system';
finds "use Apache2::Spawn::Instead::Command; system('x');", 'system';
finds_nothing q{my $job = $r->spawn_cleanup('My::f'); $r->spawn(['x']); $r->spawn_stream(['x']); Apache2::Spawn->pipe(['x']);};
finds_nothing "use Apache2::Spawn::$_;" for qw(Background Simple Process);

my @found = found(map { $_->[0] } @cases);
is $found[$_], $cases[$_][1], $cases[$_][0] for 0 .. $#cases;

done_testing;
