/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state that the httpd parent keeps over restarts. Runs in httpd: in the
 * parent, and in processes that it forked, which have a copy. Must hold plain
 * values only.
 */
#include "module/retained.h"

#include <unistd.h>

spawn_retained *spawn_retained_get(void)
{
    spawn_retained *r = ap_retained_data_get(SPAWN_RETAINED_KEY);

    if (!r) {
        r = ap_retained_data_create(SPAWN_RETAINED_KEY, sizeof(*r));
        r->link = r->listen_fd = r->post_rx = r->post_tx = r->inbox = -1;
    }
    return r;
}

bool spawn_in_parent(const spawn_retained *r)
{
    return r->parent_pid == getpid();
}
