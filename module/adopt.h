/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file adopt.h
 * @brief The pair that has the store and no httpd, asked and taken over.
 *
 * Runs in the httpd parent. Logs what goes wrong.
 */
#ifndef SPAWN_ADOPT_H
#define SPAWN_ADOPT_H

#include "module/setup.h"

/**
 * Does the pair that has the store belong to an httpd that lives? Only asks.
 * @return APR_EBUSY when it is known that it does (logged), else APR_SUCCESS.
 */
apr_status_t spawn_adopt_look(apr_pool_t *p, server_rec *s,
                              const char *store_path, int store_fd);

/**
 * Try to adopt the pair that has the store.
 * @return APR_SUCCESS with r's sockets, secret and link taken over; APR_EAGAIN
 * it is about to go or to come: try again (not logged); another error that has
 * been logged.
 */
apr_status_t spawn_adopt(const spawn_setup *setup, int store_fd,
                         int64_t deadline_ms);

#endif
