/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file logs.h
 * @brief Log lines of the broker about jobs, and the log they go to: that of
 * the virtual host that a job's request came to.
 */
#ifndef SPAWN_BROKER_BASE_LOGS_H
#define SPAWN_BROKER_BASE_LOGS_H

#include "common/spawn_sink.h"

/** New logs follow: forget the present ones. */
void spawn_logs_begin(void);
/** A descriptor of role VHOST_LOG, which is taken over; in the order in which
 * they came. */
void spawn_logs_fd(int fd);
/** A VHOST_LOG attribute of CONFIGURE. An attribute that makes no sense is left
 * out: its lines go to the main log. */
void spawn_logs_rule(const spawn_attr *nest);

/** The log of the virtual host of this name; NULL: the main one. */
const spawn_sink *spawn_logs_find(const char *vhost);

/** One value of an order's context; NULL: none of this name. */
const char *spawn_logs_context(const spawn_message *order, const char *name);

/** Function or program, never its arguments: a password may be among them. */
const char *spawn_logs_what(const spawn_message *order);

/** The virtual host of an order. */
static inline const char *spawn_logs_vhost(const spawn_message *order)
{
    return spawn_logs_context(order, "vhost");
}

/** Whose job an order is, as far as its lines in the log say so; "": not
 * known. */
typedef struct {
#define SPAWN_LOGS_VHOST   256
#define SPAWN_LOGS_REQUEST 100
    char vhost[SPAWN_LOGS_VHOST + 1];
    char request[SPAWN_LOGS_REQUEST + 1]; /* can be no other part of a line */
} spawn_whose;

/** order: NULL is nobody's. */
void spawn_logs_whose(const spawn_message *order, spawn_whose *ret);

/** A job's name in the log, into name[SPAWN_LOGS_NAME]: its id, and of what
 * request it is. Returns name. */
#define SPAWN_LOGS_NAME (SPAWN_ID_TEXT + SPAWN_LOGS_REQUEST + 16)
const char *spawn_logs_name(const spawn_id *id, const spawn_message *order,
                            char *name);

#endif
