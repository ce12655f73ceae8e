/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file account.h
 * @brief The accounts of jobs and templates: for their environment, and for
 * what is refused early. Which account a process gets is the spawner's matter,
 * which has its own list.
 */
#ifndef SPAWN_BROKER_JOB_ACCOUNT_H
#define SPAWN_BROKER_JOB_ACCOUNT_H

#include "common/spawn_proto.h"
#include "broker/job/queue.h"
#include "broker/job/template.h"

typedef struct {
    uid_t uid;
    gid_t gid;
    const char *user;  /* its name, or the number */
    const char *group; /* NULL: it has no name */
    const char *home;
} spawn_account_look;

/** CONFIGURE is read anew: all have httpd's User, until it is said. Call before
 * the rules of queues and templates are read. */
void spawn_accounts_begin(void);
/** An ACCOUNT of CONFIGURE, behind the rules of the queues and templates that
 * it names. -1: it cannot be read, why filled. */
int spawn_accounts_rule(const spawn_attr *nest, spawn_failure *why);

/** Of a queue's jobs (NULL: of httpd's User), until the next CONFIGURE. */
spawn_account_look spawn_account_of_queue(const spawn_queue *q);
/** Of a template's processes. */
spawn_account_look spawn_account_of_template(const spawn_template *t);

/** Put the account of a queue that has one, for people. */
void spawn_account_put_row(const spawn_queue *q, spawn_writer *w);

/** Can jobs of the queue be forked from the template? */
bool spawn_account_fits(const spawn_queue *q, const spawn_template *t);

#endif
