/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file prometheus.h
 * @brief The broker's numbers in Prometheus's text format (version 0.0.4).
 *
 * Runs in callers: spawnctl, and the httpd module. Allocates nothing.
 * docs/metrics.md has each name.
 */
#ifndef SPAWN_CLIENT_PROMETHEUS_H
#define SPAWN_CLIENT_PROMETHEUS_H

#include "client/meters.h"

/** The Content-Type of a page of it. */
#define SPAWN_PROMETHEUS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/** Take some bytes of the page. @return 0 to go on. */
typedef int (*spawn_prometheus_sink)(void *arg, const char *text,
                                     size_t length);

/**
 * Write the whole page.
 * @param now ms of Unix time: for how long something waits by now.
 * @return 0, or what the sink returned, which is not called any more then.
 */
int spawn_prometheus_write(const spawn_meters_answer *numbers, int64_t now,
                           spawn_prometheus_sink sink, void *arg);

#endif
