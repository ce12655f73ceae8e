/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refusals of jobs that may have run. Runs in the broker. Must not let such a
 * job be taken for one that has not run.
 */
#include "broker/caller/doubt.h"

void spawn_doubt(spawn_failure *why)
{
    spawn_failure was = *why;

    if (was.code != SPAWN_E_UNCONFIRMED)
        spawn_failure_set(why, SPAWN_E_UNCONFIRMED, was.step, was.error,
                          "the job may have run, which cannot be told now "
                          "(%s): %.240s",
                          spawn_error_name(was.code), was.text);
}

void spawn_doubt_refused(spawn_peer *peer, spawn_failure *why)
{
    if (peer->lease_lost)
        spawn_doubt(why);
    peer->lease_lost = false;
}
