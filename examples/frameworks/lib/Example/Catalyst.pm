# SPDX-License-Identifier: Apache-2.0
#
# A Catalyst application whose work is done in jobs; its actions are in Controller::Root.

package Example::Catalyst;

use Moose;
use namespace::autoclean;

use Catalyst::Runtime 5.80;
extends 'Catalyst';

__PACKAGE__->config(name => 'Example::Catalyst', disable_component_resolution_regex_fallback => 1);
__PACKAGE__->setup;

1;
