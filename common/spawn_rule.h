/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_rule.h
 * @brief The rules that a job brings for its start, its repetition and its end:
 * what their numbers mean on the wire, and their text forms.
 *
 * Runs in every process. Must keep no state and allocate nothing.
 */
#ifndef SPAWN_RULE_H
#define SPAWN_RULE_H

#include "common/spawn_proto.h"

/** EXPIRES: ms since the submit; with this bit, ms since 1970. 0: never. */
#define SPAWN_EXPIRES_MOMENT (1ull << 63)

/** BACKOFF: the kind, then its numbers in ms. */
#define SPAWN_BACKOFF_FIXED       1 /* pause */
#define SPAWN_BACKOFF_EXPONENTIAL 2 /* first, most; with jitter */
#define SPAWN_BACKOFF_LIST        3 /* a pause for each retry; the last goes on */
#define SPAWN_BACKOFF_MAX         33 /* numbers, kind included */
#define SPAWN_BACKOFF_FIRST_MS    1000
#define SPAWN_BACKOFF_MOST_MS     300000

/** RETRY_ON: kinds of ends, and exit codes: SPAWN_RETRY_CODE + code. */
#define SPAWN_RETRY_ON_LIST(X)                                                 \
    X(1, FAILED, "failed")                                                     \
    X(2, LOST, "lost")                                                         \
    X(3, TIMEOUT, "timeout")                                                   \
    X(4, START_FAILED, "start_failed")                                         \
    X(5, SIGNAL, "signal")                                                     \
    X(6, OUT_OF_MEMORY, "out_of_memory")
#define SPAWN_RETRY_CODE   256
#define SPAWN_RETRY_ON_MAX 64 /* numbers */

/** ON_CONFLICT: what happens to a job whose unique key another one has. */
#define SPAWN_CONFLICT_LIST(X)                                                 \
    X(0, REJECT, "reject")                                                     \
    X(1, KEEP, "keep")                                                         \
    X(2, REPLACE, "replace")                                                   \
    X(3, AFTER, "after")

/** UNIQUE_FOR: how long a job has its key; a greater number: so many ms. */
#define SPAWN_UNIQUE_WAITING 0   /* until it starts */
#define SPAWN_UNIQUE_ENDED   1   /* until it has ended */
#define SPAWN_UNIQUE_MAX     255 /* bytes of a key */

/** AFTER: ids, one behind the other. AFTER_FAILED: when one of these has not
 * ended well. */
#define SPAWN_AFTER_MAX 64
#define SPAWN_AFTER_FAILED_LIST(X)                                             \
    X(0, CANCEL, "cancel")                                                     \
    X(1, RUN, "run")                                                           \
    X(2, KEEP, "keep")

#define SPAWN_PRIORITY_MAX 100

/** ON_FAILURE: no function, also where the queue has one. */
#define SPAWN_ON_FAILURE_NONE "none"

#define SPAWN_X_RULE(n, NAME, name) SPAWN_RETRY_ON_##NAME = n,
enum {
    SPAWN_RETRY_ON_LIST(SPAWN_X_RULE)
};
#undef SPAWN_X_RULE
#define SPAWN_X_RULE(n, NAME, name) SPAWN_CONFLICT_##NAME = n,
enum {
    SPAWN_CONFLICT_LIST(SPAWN_X_RULE)
};
#undef SPAWN_X_RULE
#define SPAWN_X_RULE(n, NAME, name) SPAWN_AFTER_FAILED_##NAME = n,
enum {
    SPAWN_AFTER_FAILED_LIST(SPAWN_X_RULE)
};
#undef SPAWN_X_RULE

/* Text forms: 0, or -EINVAL or -ERANGE, with the result untouched. */

/** A duration after the submit, or a moment with date and zone. */
int spawn_parse_expiry(const char *text, uint64_t *ret);
int spawn_parse_conflict(const char *text, uint64_t *ret);
int spawn_parse_unique_for(const char *text, uint64_t *ret);
int spawn_parse_after_failed(const char *text, uint64_t *ret);

/** "10" or "fixed:10"; "exponential", "exponential:1:300"; "1,5,30". values has
 * room for SPAWN_BACKOFF_MAX. */
int spawn_parse_backoff(const char *text, uint64_t *values,
                        uint32_t *ret_count);

/** Words and exit codes with commas between them. values has room for
 * SPAWN_RETRY_ON_MAX. */
int spawn_parse_retry_on(const char *text, uint64_t *values,
                         uint32_t *ret_count);

/** Is this the full name of a Perl function, or none? */
bool spawn_on_failure_ok(const char *function);

/** Ids with commas between them; ids has room for SPAWN_AFTER_MAX. */
int spawn_parse_ids(const char *text, spawn_id *ids, uint32_t *ret_count);

/**
 * Check the values of these fields in a job that has come.
 * @return 0, or -EINVAL with why filled: spawn_check.h
 */
int spawn_rules_check(const spawn_message *m, spawn_failure *why);

#endif
