/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file adopt.h
 * @brief Ask a pair that has the store and no httpd, and take it over.
 *
 * Runs in the httpd parent. Logs what goes wrong.
 */
#ifndef SPAWN_ADOPT_H
#define SPAWN_ADOPT_H

#include "module/setup.h"

/**
 * Does the pair that has the store belong to an httpd that lives? Changes
 * nothing.
 * @return APR_EBUSY when it does for sure (logged), else APR_SUCCESS.
 */
apr_status_t spawn_adopt_look(apr_pool_t *p, server_rec *s,
                              const char *store_path, int store_fd);

/**
 * Try to adopt the pair that has the store.
 * @return APR_SUCCESS with r's sockets, secret and link taken over; APR_EAGAIN
 * when it is about to end or to begin: try again (not logged); another error
 * that has been logged. *ret_external: it is one that httpd has not started.
 */
apr_status_t spawn_adopt(const spawn_setup *setup, int store_fd,
                         int64_t deadline_ms, bool *ret_external);

/**
 * Adopt an external spawner that has nothing yet, in the place of starting one.
 * @return APR_SUCCESS with r's link; or an error, which is logged.
 */
apr_status_t spawn_external_begin(const spawn_setup *setup,
                                  int64_t deadline_ms);

#endif
