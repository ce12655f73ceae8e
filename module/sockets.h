/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file sockets.h
 * @brief The sockets that outlive every broker and spawner, and the inbox: made
 * by the httpd parent.
 *
 * Runs in the httpd parent.
 */
#ifndef SPAWN_SOCKETS_H
#define SPAWN_SOCKETS_H

#include "module/account.h"
#include "module/setup.h"
#include "module/retained.h"
#include "module/socket_access.h"

/** The listening socket of the callers at SpawnSocket; replaces a socket that
 * no process serves. Logs. */
apr_status_t spawn_listen_callers(apr_pool_t *p, server_rec *s,
                                  const char *socket_path,
                                  const spawn_account *account,
                                  const spawn_socket_access *access,
                                  int *ret_fd);

/** The listening socket `control` in the store. The caller has the lock. */
apr_status_t spawn_listen_control(server_rec *s, int store_fd, int *ret_fd);

/** Connect to `control` in the store. Negative errno or a descriptor. */
int spawn_connect_control(int store_fd);

/** Connect to the control socket of an external spawner. A descriptor or a
 * negative errno. */
int spawn_connect_path(const char *path);

/** True when a socket with these rights (NULL: with any) stands at the path. */
bool spawn_socket_there(const char *path, const spawn_socket_access *access);

/** Post socket, inbox and secret, into r. Logs. */
apr_status_t spawn_make_post(server_rec *s, spawn_retained *r);

/** The callers' socket under its name: a new one when the file was removed or
 * shall have other rights, or when the path is another than before. Logs. */
apr_status_t spawn_listen_anew(const spawn_setup *setup, const char *path,
                               bool *ret_new);

/** Was it made anew, and the spawner has not got it yet? */
bool spawn_listen_untold(void);
void spawn_listen_told(void);

#endif
