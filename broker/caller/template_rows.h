/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file template_rows.h
 * @brief The answer to TEMPLATES: a row for each process of a template and for
 * each worker.
 */
#ifndef SPAWN_BROKER_CALLER_TEMPLATE_ROWS_H
#define SPAWN_BROKER_CALLER_TEMPLATE_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "broker/job/template.h"
#include "broker/caller/connection.h"

/** A finished PROCESS message. */
typedef struct spawn_row spawn_row;
struct spawn_row {
    spawn_row *next;
    size_t length;
    uint8_t data[];
};

/**
 * All rows of this moment that the caller may see, so that a caller that reads
 * slowly gets no mixture of two moments.
 * @return NULL when there is none; freed by spawn_rows_free.
 */
spawn_row *spawn_processes(const spawn_peer *peer, uint32_t seq);

void spawn_rows_free(spawn_row *rows);

/** May the caller see the template? Yes if it may see the jobs of a queue that
 * has the template; if no queue has it, the jobs of queues that say nothing
 * about access. For a spawn_template_shown.
 * @param of a spawn_peer. */
bool spawn_template_is_seen(const void *of, const spawn_template *t);

#endif
