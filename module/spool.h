/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spool.h
 * @brief The spool: jobs that could not be posted wait there as files.
 *
 * A directory in the store, for the broker's user alone (0700). A file (0600)
 * is one SUBMIT message; it is written under another name and gets its own, the
 * job's id, when it is whole. The broker takes it in and removes it when the
 * store has the job (broker/caller/spool.c).
 */
#ifndef SPAWN_MODULE_SPOOL_H
#define SPAWN_MODULE_SPOOL_H

#include "module/account.h"
#include "common/spawn_id.h"

/** Make and open the directory. In the httpd parent; its children inherit the
 * descriptor. Logs.
 * @param owner the account that reads there; account: the one that writes. */
apr_status_t spawn_spool_begin(apr_pool_t *p, server_rec *s,
                               const char *store_path,
                               const spawn_account *owner,
                               const spawn_account *account);

/** Close the directory, in a forked process that is no child that serves
 * requests. Allocates nothing. */
void spawn_spool_drop(void);

/** False: the directory that is open was removed. */
bool spawn_spool_there(void);

/** Write a job. In children, any thread.
 * @return 0 or a negative errno; nothing is left behind then. -ENOBUFS: the
 * spool has SPAWN_SPOOL_MOST bytes. */
int spawn_spool_write(const spawn_id *id, const void *message, size_t length);

#endif
