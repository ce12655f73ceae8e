/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_sink.h
 * @brief Where lines of the error log go: a descriptor (file or pipe), or the
 * system's log, where httpd has `ErrorLog syslog`.
 *
 * Spawner and broker, one thread each. Never blocks.
 */
#ifndef SPAWN_SINK_H
#define SPAWN_SINK_H

#include <stdbool.h>
#include <stddef.h>

#include "common/spawn_proto.h"

#define SPAWN_LOG_TAG_MAX 64

typedef struct {
    int fd;                          /* -1: the system's log */
    int facility;                    /* as in syslog.h, when there is no fd */
    char tag[SPAWN_LOG_TAG_MAX + 1]; /* program's name, there */
} spawn_sink;

/** From CONFIGURE or a VHOST_LOG nest: its LOG_FACILITY and LOG_TAG, or fd. */
void spawn_sink_read(const spawn_message *m, int fd, spawn_sink *ret);

/**
 * When this is a pipe or a terminal that others write to as well: open it a
 * second time, if we may, and put that in its place, such that writing does not
 * wait.
 */
void spawn_sink_own(int fd);

/**
 * Write a line.
 * @param line ended by a newline.
 * @param from where the text begins after the date, which the system's log
 * writes itself.
 * @return 0, -EAGAIN: not now, or another negative errno.
 */
int spawn_sink_write(const spawn_sink *sink, int level, const char *line,
                     size_t length, size_t from);

#endif
