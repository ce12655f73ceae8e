/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file start.h
 * @brief The programs beside mod_spawn.so, and fork and exec of the spawner.
 *
 * Runs in the httpd parent.
 */
#ifndef SPAWN_START_H
#define SPAWN_START_H

#include <sys/types.h>

#include "module/module.h"

typedef struct {
    const char *spawner_path;
    int spawner_bin; /* O_PATH */
    int broker_bin;  /* O_PATH */
    int relay_bin;   /* the same; -1: none is wanted */
} spawn_programs;

/** Find and open them. Close with spawn_programs_close. Logs. */
apr_status_t spawn_programs_open(apr_pool_t *p, server_rec *s,
                                 spawn_programs *ret);
void spawn_programs_close(spawn_programs *programs);

/** Does the machine have the system calls that every start needs? machine.c.
 * APR_SUCCESS, or an error that has been logged. */
apr_status_t spawn_machine_check(server_rec *s);

/**
 * Fork and exec the spawner.
 * @param wait_ms how long to wait for exec to succeed or fail.
 * @param ret_link the control link, close-on-exec; the caller's.
 * @return APR_SUCCESS, or an error that has been logged (nothing is left
 * running then that is not about to end).
 */
apr_status_t spawn_start(apr_pool_t *p, server_rec *s,
                         const spawn_programs *programs,
                         const char *socket_path, int wait_ms, int *ret_link,
                         pid_t *ret_pid);

#endif
