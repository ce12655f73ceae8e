/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file runtime_dir.h
 * @brief Directories and lock of the pair in the file system, made by the httpd
 * parent.
 *
 * Runs in the httpd parent. Names below an opened directory are used through
 * its descriptor, so that the owner of the directory cannot lead us elsewhere
 * with a symbolic link.
 */
#ifndef SPAWN_RUNTIME_DIR_H
#define SPAWN_RUNTIME_DIR_H

#include "module/account.h"

/**
 * Open the directory of the socket, made (0711) when missing.
 * @param ret_fd the caller closes it.
 * @return APR_SUCCESS, or an error that has been logged.
 */
apr_status_t spawn_dir_of_socket(apr_pool_t *p, server_rec *s,
                                 const char *socket_path,
                                 const spawn_account *account, int *ret_fd);

/** Open the store, made (0700) when missing; refused when it belongs to
 * somebody else or others may write to it. As above. */
apr_status_t spawn_dir_of_store(apr_pool_t *p, server_rec *s, const char *path,
                                const spawn_account *account, int *ret_fd);

/** Before anything is made: is the directory of the socket there, or could it
 * be made? Logs what is wrong. */
apr_status_t spawn_look_for_socket(apr_pool_t *p, server_rec *s,
                                   const char *socket_path,
                                   const spawn_account *account);

/** The same for the store, and its owner.
 * @param ret_fd the store, which the caller closes; -1: it is to be made. */
apr_status_t spawn_look_for_store(apr_pool_t *p, server_rec *s,
                                  const char *path,
                                  const spawn_account *account, int *ret_fd);

/** Does a process hold the lock on the store? Takes and makes nothing. */
bool spawn_store_held(int store_fd);

/** Logs that the socket cannot be made. */
void spawn_no_socket(server_rec *s, const char *path, int error);

/**
 * Take the lock on the store.
 * @return APR_SUCCESS with *ret_fd; APR_EBUSY when another process has it (not
 * logged); another error that has been logged.
 */
apr_status_t spawn_store_lock(server_rec *s, int store_fd, const char *path,
                              int *ret_fd);

#endif
