/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_words.h
 * @brief The broker's answers in words: for spawnctl and for the status page,
 * which must tell a job alike.
 *
 * Runs in callers, any thread. Texts of callers and jobs (arguments, labels,
 * progress) are handed out as they are: the program that shows them makes them
 * safe for the place where they are shown.
 */
#ifndef SPAWN_WORDS_H
#define SPAWN_WORDS_H

#include "common/spawn_proto.h"

/* ---- words.c: of a JOB, or of an attempt at it ---- */

/** "running", "exited 3", "signalled KILL" ... into text; and with all that is
 * known: "timed_out, signalled 9 (KILL, core)". */
void spawn_outcome_brief(const spawn_message *job, char *text, size_t room);
void spawn_outcome_text(const spawn_message *job, char *text, size_t room);

/** "returned", "died", "none": of a Perl function that has ended, else NULL. */
const char *spawn_result_kind_name(const spawn_message *job);
/** How many bytes of stdout (0), stderr (1) or the result (2) are not kept any
 * more. */
uint64_t spawn_cut_of(const spawn_message *job, unsigned which);

/** The words of a job's command line, quoted as a shell would want them, or
 * its Perl function. Freed by the caller; NULL without memory.
 * @param most bytes: about so many are written when there are more. */
char *spawn_command_text(const spawn_message *job, size_t most);

/** "3 of 10: row 3", the progress of a Perl function; false when there is
 * none. */
bool spawn_progress_text(const spawn_message *job, char *text, size_t room);

/** The share of it that is done, 0 to 1; false when it does not tell two
 * numbers, the second one above 0. */
bool spawn_progress_share(const spawn_message *job, double *ret);

/** Call each for the attempts before the present one, the first one first. */
void spawn_attempts_each(const spawn_message *job,
                         void (*each)(void *arg, const spawn_message *attempt),
                         void *arg);

/** "utime_us": the name of a number of RUSAGE in JSON. */
const char *spawn_rusage_name(unsigned which);

/** Length of the valid UTF-8 character at p, 0 when there is none. left > 0. */
size_t spawn_utf8_length(const uint8_t *p, size_t left);

/** "0.25s", "12s", "3m20s", "2h05m", "4d03h"; "-" when ms is below 0. */
void spawn_duration_text(int64_t ms, char *text, size_t room);

/** Bytes that a job of a template has for itself, about: the pages that those
 * touched which have ended; each was a minor fault. False: none has ended. */
bool spawn_private_per_job(const spawn_message *process, uint64_t *ret);

/** "640K", "3.4M", "212M" */
void spawn_size_text(uint64_t bytes, char *text, size_t room);

/** Unix time in ms: local for people, UTC in ISO 8601 for programs. */
void spawn_time_local(uint64_t ms, char *text, size_t room);
void spawn_time_iso(uint64_t ms, char *text, size_t room);

/* ---- queue_words.c: of a QUEUE_STATE ---- */

/** "open", "paused", "draining", "paused,draining", "removed". */
const char *spawn_queue_state_name(const spawn_message *queue);

/** How many of its jobs may run at once, as scaled or configured. */
uint64_t spawn_queue_most(const spawn_message *queue);

/** A rule as a job's option has it: name and text. */
typedef void (*spawn_rule_fn)(void *arg, const char *name, const char *text);

/** Call each for the rules that the queue has; `env` and `allow` come once for
 * each variable and pattern. */
void spawn_queue_rules_each(const spawn_message *queue, spawn_rule_fn each,
                            void *arg);

/** The same for those that a JOB has brought, each once. */
void spawn_job_rules_each(const spawn_message *job, spawn_rule_fn each,
                          void *arg);

#endif
