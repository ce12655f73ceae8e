/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file choice.h
 * @brief Which jobs a LIST asks for: by spawnctl and by the status page, which
 * must choose alike, and how people write that.
 *
 * Runs in callers, any thread.
 */
#ifndef SPAWN_CLIENT_CHOICE_H
#define SPAWN_CLIENT_CHOICE_H

#include "client/spawn_client.h"

/** Bytes of arguments that a row of a list has: all of them are told of one
 * job. */
#define SPAWN_CHOICE_ARGV 4096

enum {
    SPAWN_BY_REQUEST,
    SPAWN_BY_USER,
    SPAWN_BY_VHOST,
    SPAWN_BY_CONTEXTS
};

/** Zeros, and NULL or "" as texts: all jobs. */
typedef struct {
    const char *queue;
    uint64_t states; /* a bit for each */
    uint64_t ended;  /* ENDED_AS */
    const char *context[SPAWN_BY_CONTEXTS];
    /* contained in the program or function, in the label, anywhere */
    const char *what, *label, *search;
    uint64_t since, until; /* submitted, ms of Unix time */
    uint64_t ended_since;  /* the same */
    bool oldest_first;
    uint64_t before; /* behind this SEQ; 0: from the first on */
    uint64_t rows;   /* 0: as many as there are */
    uint64_t looks;  /* rows that the broker looks at, about; 0: all */
    bool no_argv;    /* else SPAWN_CHOICE_ARGV bytes of it */
} spawn_choice;

/** The LIST, into a writer with room for SPAWN_LIST_BODY. */
void spawn_choice_write(const spawn_choice *choice, spawn_writer *w);

/** "failed", or outcomes: "timed_out,lost". 0, or -EINVAL; *ret untouched
 * then. */
int spawn_choice_ended(const char *text, uint64_t *ret);
#define SPAWN_CHOICE_ENDED_WANTED                                              \
    "failed, or some of exited, signalled, timed_out, cancelled, "             \
    "start_failed, expired, lost, code_unknown, out_of_memory"

/** "2h" (ago), a day "2030-01-31", a day and a time of this machine's zone
 * "2030-01-31T17:30", or a moment with its zone. The same. */
int spawn_choice_time(const char *text, int64_t now, uint64_t *ret);
#define SPAWN_CHOICE_TIME_WANTED                                               \
    "how long ago, such as 30m, 2h, 7d; or a date, such as 2030-01-31 or "     \
    "2030-01-31T17:30"

#endif
