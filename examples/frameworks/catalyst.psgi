# SPDX-License-Identifier: Apache-2.0

use strict;
use warnings;

use Example::Catalyst ();
use Plack::Builder;

builder {
    enable 'Spawn';
    Example::Catalyst->psgi_app;
};
