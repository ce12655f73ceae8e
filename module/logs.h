/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file logs.h
 * @brief httpd's error logs for the pair: the main one, those of virtual hosts,
 * the system's, and the lines that were kept while a log was away. In the httpd
 * parent.
 */
#ifndef SPAWN_MODULE_LOGS_H
#define SPAWN_MODULE_LOGS_H

#include "module/setup.h"

/** Logs of virtual hosts, each once; the descriptors stay httpd's. */
typedef struct {
    const apr_file_t *files[SPAWN_VHOST_LOGS_MAX];
    int fds[SPAWN_VHOST_LOGS_MAX];
    unsigned count;
} spawn_vhost_logs;

/** The main server's log; stderr when that is the system's. */
int spawn_logs_fd_of(const server_rec *s);

/** The logs that differ from the main server's. Logs when there are too
 * many. */
void spawn_logs_collect(server_rec *s, spawn_vhost_logs *ret);

/** The logs in CONFIGURE. */
void spawn_logs_put(spawn_writer *w, const server_rec *s,
                    const spawn_vhost_logs *logs);

/** The file in the store for lines that a log does not take; -1 (and a line):
 * it cannot be used. */
int spawn_logs_open_kept(const spawn_setup *setup);

/** The pair has its new logs: write the lines that were kept before, and empty
 * the file. */
void spawn_logs_write_kept(const spawn_setup *setup);

#endif
