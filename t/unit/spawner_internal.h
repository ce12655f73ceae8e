/* SPDX-License-Identifier: Apache-2.0 */
/* For tests that have parts of the spawner in them: httpd has started it, and
 * not systemd, but for one that systemd has told to end. In the place of
 * spawner/external.c. */
#ifndef SPAWNER_INTERNAL_H
#define SPAWNER_INTERNAL_H

#include "spawner/spawner.h"

static bool told_to_end;

bool external_is_empty(void)
{
    return false;
}

void external_send_empty(int sock)
{
    (void)sock;
}

void external_tell(void)
{
}

bool external_stops(void)
{
    return told_to_end;
}

#endif
