# SPDX-License-Identifier: Apache-2.0
#
# An httpd with t/probe/mod_capi.c, a module that uses the C API as a test tells
# it to. Runs in test scripts.

package SpawnTest::CApi;

use strict;
use warnings;

use SpawnTest ();

use parent -norequire, 'SpawnTest::Httpd';

# new(%options of SpawnTest::Httpd); not started.
sub new {
    my ($class, %options) = @_;
    my $module = SpawnTest::build_dir() . '/t/mod_capi.so';
    $options{conf} = (defined $options{conf} ? $options{conf} : '')
        . "LoadModule capi_module $module\n<Location /capi>\nSetHandler capi\n</Location>\n";
    return $class->SUPER::new(handlers => 0, %options);
}

# The path of a request, of words in its query string.
sub capi_path {
    my ($self, $action, @words) = @_;
    return "/capi/$action" . (@words ? '?' : '')
        . join '+', map { s/([^\w.-])/sprintf '%%%02X', ord $1/ger } @words;
}

# Asks the module; its answer as a hash.
sub capi {
    my ($self, $action, @words) = @_;
    my $response = $self->get($self->capi_path($action, @words));
    die "$action: $response->{status} $response->{content}\n" . $self->tail if !$response->{success};
    return { map { /\A(\w+)=(.*)\z/s ? ($1 => $2) : () } split /\n/, $response->{content} };
}

# By an id: wait for its end, a minute at most.
sub capi_wait { my ($self, $id) = @_; return $self->capi('wait/3/60000', $id) }

1;
