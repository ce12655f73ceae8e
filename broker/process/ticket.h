/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file ticket.h
 * @brief Which call a worker was given last: a memfd that broker and spawner
 * hold.
 *
 * It protects a call that the store does not know yet. The broker writes it
 * before it sends the call; after a killed broker the next one reads there
 * which call the worker has, and on the worker's board whether that has
 * returned. The worker never has the ticket. It is sealed against being cut, so
 * that it can be mapped; its contents are checked all the same.
 */
#ifndef SPAWN_BROKER_PROCESS_TICKET_H
#define SPAWN_BROKER_PROCESS_TICKET_H

#include "common/spawn_slate.h"
#include "broker/job/job.h"

/** Most bytes of an order (attributes and arguments) that it takes. */
#define SPAWN_TICKET_ORDER_MAX 32000u

typedef struct spawn_ticket spawn_ticket;

/** It has said that it is ready; and that it writes the slate that we read. */
#define SPAWN_TICKET_READY    1
#define SPAWN_TICKET_LENDABLE (1 + SPAWN_SLATE_FORM)

/** Of the worker; fixed when it is started. */
typedef struct {
    char queue[SPAWN_NAME_MAX + 1];
    spawn_id template_id; /* of the process that it was forked from */
    uint32_t ready;       /* 0, or SPAWN_TICKET_READY or _LENDABLE */
} spawn_ticket_owner;

/** Of the call that it was given last. */
typedef struct {
    spawn_id id;
    uint64_t digest;
    int64_t submitted_at;
    int64_t started_at;
    int64_t mono_started;
    pid_t caller_pid;
    uid_t caller_uid;
    uint32_t attempt;
} spawn_ticket_call;

/** A new one; rules: what the worker was started by (spawn_worker_rules). NULL
 * with errno: none. *ret_fd stays the ticket's. */
spawn_ticket *spawn_ticket_make(const spawn_ticket_owner *owner, uint32_t rules,
                                int *ret_fd);
/** One that the spawner kept; owns fd, also on failure. NULL: it is none. */
spawn_ticket *spawn_ticket_adopt(int fd, spawn_ticket_owner *ret);
void spawn_ticket_close(spawn_ticket *ticket);
/** The rules that the worker was started by; 0: by an older release, which did
 * not say. */
uint32_t spawn_ticket_rules(const spawn_ticket *ticket);
/** The worker has said that it is ready; lendable: with our form of slate. */
void spawn_ticket_ready(spawn_ticket *ticket, bool lendable);

/** Does an order of this size fit? (One for a worker has no data for stdin.) */
bool spawn_ticket_fits(const spawn_body *body);

/** There is no call. */
void spawn_ticket_clear(spawn_ticket *ticket);
/** Put a call on one that is clear. body: NULL or too big: it stands in the
 * store. */
void spawn_ticket_put(spawn_ticket *ticket, const spawn_ticket_call *call,
                      const spawn_body *body);

/**
 * Read the call.
 * @param ret_body malloc'd; *ret_body NULL: it stands in the store. NULL: not
 * wanted.
 * @return false: none was put.
 */
bool spawn_ticket_get(const spawn_ticket *ticket, spawn_ticket_call *ret,
                      spawn_body **ret_body);

#endif
