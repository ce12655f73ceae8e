/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file retained.h
 * @brief The state that the httpd parent keeps over restarts: the pair's
 * descriptors and state.
 *
 * Lives in httpd's retained data (ap_pglobal): plain values only, since the
 * module's code and pconf go and come back at each restart. A newer module may
 * find data of an older one, which has the older one's size: never change the
 * struct without a new key, nor what its fields mean; what comes to it has a
 * key of its own (places.c, sockets.c).
 *
 * Written by the httpd parent only; its children have a copy of their own.
 */
#ifndef SPAWN_RETAINED_H
#define SPAWN_RETAINED_H

#include <sys/types.h>

#include "module/module.h"
#include "module/config.h"
#include "common/spawn_proto.h"

#define SPAWN_RETAINED_KEY "mod_spawn-retained-2"

/** Templates of our own that may still have jobs: in blocks of this size,
 * further blocks in the pool of httpd's process. 0: free. */
#define SPAWN_RETAINED_TEMPLATES 64
typedef struct spawn_retained_templates {
    struct spawn_retained_templates *next;
    pid_t pids[SPAWN_RETAINED_TEMPLATES];
} spawn_retained_templates;

typedef struct {
    pid_t parent_pid; /* 0 before the first start */

    /* for the life of the parent, whatever becomes of the pair; -1: none */
    int listen_fd;
    int post_rx;
    int post_tx;
    int inbox;
    uint8_t secret[SPAWN_SECRET_SIZE];
    char socket_path[SPAWN_SOCKET_PATH_MAX + 1];
    char store_path[SPAWN_STORE_PATH_MAX + 1];
    bool have_sockets;

    /* the present pair */
    int link; /* control link, -1: no spawner */
    bool own; /* our child; else adopted */
    bool ready;
    pid_t spawner_pid;
    spawn_id spawner_life;
    int64_t since_ms; /* monotonic: started or adopted */

    /* after a crash */
    int64_t retry_at_ms; /* monotonic */
    unsigned young_deaths;
    uint32_t seq; /* of the last CONFIGURE */

    spawn_retained_templates templates;
} spawn_retained;

/** The retained data; made when there is none yet. */
spawn_retained *spawn_retained_get(void);

/** True in the httpd parent, false in what it forked. */
bool spawn_in_parent(const spawn_retained *r);

#endif
