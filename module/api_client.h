/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file api_client.h
 * @brief The way from the C API to the broker.
 *
 * Runs in httpd children, in any thread.
 */
#ifndef SPAWN_API_CLIENT_H
#define SPAWN_API_CLIENT_H

#include "client/spawn_client.h"
#include "httpd.h"

/**
 * The client for a virtual host (NULL: the main one); lives as long as the
 * process.
 * @return NULL with why filled.
 */
spawn_client *spawn_api_client(server_rec *s, spawn_failure *why);

/** The same with at most so many milliseconds for a question. */
spawn_client *spawn_api_client_within(server_rec *s, uint32_t most_ms,
                                      spawn_failure *why);

/** The wait in the milliseconds that client/ takes: 0 for no end, else at least
 * 1. */
uint32_t spawn_api_wait_ms(apr_interval_time_t wait);

#endif
