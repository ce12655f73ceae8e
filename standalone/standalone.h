/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file standalone.h
 * @brief A pair without httpd: what the files of its parent share.
 *
 * Runs in spawn-standalone only. Functions return 0, or a negative errno.
 */
#ifndef SPAWN_STANDALONE_H
#define SPAWN_STANDALONE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/spawn_proto.h"

/** Names in its directory. */
#define STANDALONE_SOCKET  "socket"
#define STANDALONE_STORE   "store"
#define STANDALONE_LOG     "log"
#define STANDALONE_OLD_LOG "log.1"
#define STANDALONE_USERS   "users"   /* each user has a shared lock on it */
#define STANDALONE_STARTER "starter" /* whoever starts a pair has its lock */
#define STANDALONE_PARENT  "parent"  /* the parent of a pair has its lock */

#define STANDALONE_LIST_MAX 64

typedef struct {
    const char *text[STANDALONE_LIST_MAX];
    unsigned count;
} standalone_list;

/** What was asked for. */
typedef struct {
    int64_t idle_ms;
    uint64_t max_jobs;
    const char *perl;
    const char *require; /* NULL: none */
    standalone_list include, preload;
} standalone_options;

/** The pair; descriptors are -1 when there is none. */
typedef struct {
    standalone_options options;
    char path[108 - sizeof("/" STANDALONE_SOCKET)]; /* of the directory */
    char socket[108];
    char store[108];
    char spawner[4096]; /* program */
    int spawner_bin, broker_bin;
    int dir, store_dir;
    int parent; /* the lock on that file */
    int listen, post_rx, post_tx, inbox;
    int log;
    uint8_t secret[SPAWN_SECRET_SIZE];
    dev_t socket_dev; /* the file of its socket */
    ino_t socket_ino;
    int link;  /* to the spawner */
    bool held; /* the store: jobs of a spawner of before still run */
    pid_t pid; /* of the spawner; 0: none, or it was reaped */
    uint32_t seq;
} standalone;

/** Start a spawner on the pair's sockets, which are made when there are none,
 * and tell it what to do. why: 200 bytes. */
int standalone_start(standalone *s, char *why);
/** Wait until the pair is ready. why: 200 bytes. */
int standalone_ready(standalone *s, char *why);
/** What the spawner says is read, and who has ended is reaped. false: the
 * spawner has gone, and it was waited for. */
bool standalone_listen_to(standalone *s);
/** Let it go; it ends when its jobs are done. Waits for that so long. */
void standalone_let_go(standalone *s, int64_t wait_ms);

/** Put all that the pair is told. */
void standalone_put(const standalone *s, spawn_writer *w);

/** The exclusive lock on a file, which is made when it is not there: its
 * descriptor. -EWOULDBLOCK: another one has it for longer than that. */
int standalone_lock(int dir, const char *name, int64_t wait_ms);
/** The log, to write at its end; a new one when the old one is long. Only with
 * the lock of the parent: another pair would go on with the old one. */
int standalone_open_log(int dir);
/** The socket of the directory is ours. */
int standalone_note_socket(standalone *s);
/** Does the path lead to our directory and to our socket? Nobody comes when it
 * does not. true also when nobody knows. */
bool standalone_found(const standalone *s);

/** Is there a user, or a job that runs or waits? true also when nobody knows.
 */
bool standalone_used(standalone *s);
/** Nobody uses it, and nobody will until we have ended. */
bool standalone_close_door(standalone *s);

#endif
