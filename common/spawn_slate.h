/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_slate.h
 * @brief The slate of a worker: which call that came from its caller directly
 * it runs, and those that have ended. docs/leases.md says what for.
 *
 * It lies behind the result in the file of the worker's board (spawn_board.h),
 * which the spawner keeps. The worker writes it; the broker reads it as hostile
 * bytes, by system calls, and writes only the first fields. Numbers are in the
 * machine's own order.
 */
#ifndef SPAWN_SLATE_H
#define SPAWN_SLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/spawn_board.h"
#include "common/spawn_id.h"
#include "common/spawn_proto.h"

/** Which form of slate this is. A worker tells in the sequence number of its
 * first RETURNED, where older releases look for nothing, which one it writes;
 * theirs say 0. Another form has another number. */
#define SPAWN_SLATE_FORM 1

/** So many calls have room; the worker takes no more until some are read. */
#define SPAWN_SLATE_CALLS 256
/** Most bytes of an order's attributes (without arguments) that have room. */
#define SPAWN_SLATE_ORDER_MAX 832

/** A call. */
typedef struct {
    spawn_id id;
    uint64_t digest;    /* of what was submitted */
    int64_t started_at; /* wall ms */
    int64_t mono_us;    /* when it began */
    int64_t ended_at;   /* wall ms */
    int64_t elapsed_us;
    uint64_t usage[SPAWN_RU_COUNT];
    uint32_t kind;   /* SPAWN_RESULT_ */
    uint32_t length; /* of the order */
    uint8_t order[SPAWN_SLATE_ORDER_MAX];
} spawn_slate_call;

/** Where they are in the board's file: behind the head, which has a page. */
#define SPAWN_SLATE_HEAD     4096
#define SPAWN_SLATE_CALLS_AT (SPAWN_BOARD_SIZE + SPAWN_SLATE_HEAD)
#define SPAWN_SLATE_END                                                        \
    (SPAWN_SLATE_CALLS_AT + SPAWN_SLATE_CALLS * sizeof(spawn_slate_call))
_Static_assert(SPAWN_SLATE_END <= SPAWN_BOARD_FILE, "no room for the slate");

/** The head. Calls are counted from 1 on; call n lies at place n - 1 modulo
 * SPAWN_SLATE_CALLS. */
typedef struct {
    uint32_t lease;     /* broker: its number; 0: there is none */
    uint32_t hold;      /* broker: no further call may begin */
    uint64_t read;      /* broker: so many have been read */
    int64_t caller_pid; /* broker */
    uint64_t caller_uid;
    uint64_t ended;    /* worker: so many have ended */
    uint64_t running;  /* worker: ended + 1 while that one runs */
    uint64_t answered; /* worker: the last one whose caller has its answer */
} spawn_slate;

/* ---- broker: fd is the board's ---- */

/** Is the file big enough? Boards of older releases have no slate. */
bool spawn_slate_there(int fd);
/** A lease begins. 0 or a negative errno, also below. */
int spawn_slate_begin(int fd, uint32_t lease, pid_t caller_pid,
                      uid_t caller_uid);
/** It is over. */
int spawn_slate_finish(int fd);
/** From the return on no further call begins; one may run. */
int spawn_slate_hold(int fd);
/** The head of the slate as it was at one moment: ended, running and read are
 * such that at most SPAWN_SLATE_CALLS are unread. */
int spawn_slate_look(int fd, spawn_slate *ret);
/** Call n. Its length is checked, and nothing else. */
int spawn_slate_get(int fd, uint64_t n, spawn_slate_call *ret);
/** The calls up to n have been read. */
int spawn_slate_set_read(int fd, uint64_t n);

/* ---- worker: the slate is mapped with its board ---- */

/** There is a call, which begins. False: it must not, since there is no room,
 * or the lease ends. */
bool spawn_slate_begins(spawn_slate *slate, const spawn_slate_call *call);
/** It does not begin after all. */
void spawn_slate_withdraw(spawn_slate *slate);
/** The call that runs, to be filled before spawn_slate_ends. */
spawn_slate_call *spawn_slate_running(spawn_slate *slate);
/** It has ended. */
void spawn_slate_ends(spawn_slate *slate);
/** Its caller has the answer. */
void spawn_slate_answered(spawn_slate *slate);
/** Does the lease end? */
bool spawn_slate_is_held(const spawn_slate *slate);
/** How many are unread. */
unsigned spawn_slate_unread(const spawn_slate *slate);

#endif
