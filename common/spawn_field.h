/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_field.h
 * @brief The fields of a job: their names and text forms.
 *
 * Runs in every process. Tests check docs, POD and man page against this list.
 */
#ifndef SPAWN_FIELD_H
#define SPAWN_FIELD_H

#include "common/spawn_proto.h"
#include "common/spawn_text.h"

/** The form that a field's value has for a user. */
typedef enum {
    SPAWN_FORM_TEXT,
    SPAWN_FORM_PATH,     /* absolute */
    SPAWN_FORM_DURATION, /* seconds, fractions allowed; wire: ms */
    SPAWN_FORM_SIZE,     /* bytes; K, M, G may follow */
    SPAWN_FORM_OCTAL,
    SPAWN_FORM_INTEGER,
    SPAWN_FORM_BOOL,
    SPAWN_FORM_IONICE,
    SPAWN_FORM_LEFTOVERS,
    SPAWN_FORM_REPLY,
    SPAWN_FORM_MAP,    /* name = value pairs */
    SPAWN_FORM_LIMITS, /* resource = value pairs */
    SPAWN_FORM_STDIO,
    SPAWN_FORM_FDS,
    SPAWN_FORM_MOMENT,   /* of the wall clock; wire: ms since 1970 */
    SPAWN_FORM_EXPIRY,   /* a duration or a moment */
    SPAWN_FORM_BACKOFF,  /* pauses */
    SPAWN_FORM_RETRY_ON, /* kinds of ends, and exit codes */
    SPAWN_FORM_IDS,
    SPAWN_FORM_CONFLICT,
    SPAWN_FORM_UNIQUE_FOR,
    SPAWN_FORM_AFTER_FAILED
} spawn_form;

/* The options of a job; argv, function and args aside. X(ATTR, "name", FORM,
 * "default", "what") */
#define SPAWN_FIELD_LIST(X)                                                    \
    X(ID, "id", TEXT, "made anew", "the job's id, a UUIDv7")                   \
    X(QUEUE, "queue", TEXT, "default", "the queue that it runs in")            \
    X(CWD, "cwd", PATH, "/", "directory that it starts in")                    \
    X(ENV, "env", MAP, "none",                                                 \
      "variables added to the small clean set, or taken from it")              \
    X(UMASK, "umask", OCTAL, "022", "file creation mask")                      \
    X(USER, "user", TEXT, "httpd's User", "account that it runs as")           \
    X(GROUP, "group", TEXT, "httpd's Group", "group that it runs as")          \
    X(STDIN, "stdin", STDIO, "null", "null, a path, a handle or data")         \
    X(STDOUT, "stdout", STDIO, "null",                                         \
      "null, a path, a handle, log or capture")                                \
    X(STDERR, "stderr", STDIO, "null",                                         \
      "null, a path, a handle, log, capture or stdout")                        \
    X(FDS, "fds", FDS, "none", "more handles, at chosen numbers")              \
    X(TIMEOUT, "timeout", DURATION, "the queue's",                             \
      "longest run time in seconds, 0 for none")                               \
    X(GRACE, "grace", DURATION, "5", "seconds between TERM and KILL")          \
    X(NICE, "nice", INTEGER, "0", "0 to 19")                                   \
    X(IONICE, "ionice", IONICE, "the system's",                                \
      "idle, best-effort or best-effort:0-7")                                  \
    X(LIMITS, "limits", LIMITS, "httpd's at its start",                        \
      "cpu, memory, files, processes, core, filesize")                         \
    X(NO_NEW_PRIVS, "no_new_privs", BOOL, "0",                                 \
      "forbid gaining rights by set-id programs")                              \
    X(LEFTOVERS, "leftovers", LEFTOVERS, "keep",                               \
      "keep or kill what it leaves in its process group")                      \
    X(REPLY, "reply", REPLY, "accepted",                                       \
      "posted, accepted, started or finished")                                 \
    X(LABEL, "label", TEXT, "none", "a word for people")                       \
    X(CONTEXT, "context", MAP, "the request's",                                \
      "what the job belongs to, for people")                                   \
    X(CAPTURE_LIMIT, "capture_limit", SIZE, "1M",                              \
      "most captured bytes of each stream")                                    \
    X(LOAD, "load", TEXT, "none", "module to load before the function's call") \
    X(RETRY, "retry", INTEGER, "0",                                            \
      "how often it is tried again when it has failed, or is lost")            \
    X(BACKOFF, "backoff", BACKOFF, "exponential:1:300",                        \
      "pause before each retry")                                               \
    X(RETRY_ON, "retry_on", RETRY_ON, "failed,lost", "which ends are retried") \
    X(DELAY, "delay", DURATION, "0",                                           \
      "seconds from the submit before which it does not start")                \
    X(AT, "at", MOMENT, "none", "moment before which it does not start")       \
    X(EXPIRES, "expires", EXPIRY, "none",                                      \
      "seconds from the submit, or a moment, after which it does not start")   \
    X(PRIORITY, "priority", INTEGER, "0",                                      \
      "-100 to 100: which of its queue's jobs go first")                       \
    X(UNIQUE, "unique", TEXT, "none", "key that one job at a time has")        \
    X(ON_CONFLICT, "on_conflict", CONFLICT, "reject",                          \
      "reject, keep, replace or after, when another job has its key")          \
    X(UNIQUE_FOR, "unique_for", UNIQUE_FOR, "ended",                           \
      "waiting, ended or a time: how long it has its key")                     \
    X(AFTER, "after", IDS, "none", "jobs that end well before it starts")      \
    X(AFTER_FAILED, "after_failed", AFTER_FAILED, "cancel",                    \
      "cancel, run or keep, when one of these fails")                          \
    X(ON_FAILURE, "on_failure", TEXT, "the queue's",                           \
      "Perl function that is called when it has failed for good, or none")     \
    X(TTY, "tty", BOOL, "0", "its stdin is its controlling terminal")          \
    X(DURABLE, "durable", BOOL, "0", "outlive a power cut")                    \
    X(TEMPLATE, "template", TEXT, "the queue's",                               \
      "template that a Perl function's process is forked from")

typedef struct {
    uint8_t attr;
    uint8_t form; /* spawn_form */
    const char *name;
} spawn_field;

/* Resources of limits. X(number on the wire, RLIMIT_, "name") */
#define SPAWN_LIMIT_LIST(X)                                                    \
    X(1, CPU, "cpu")                                                           \
    X(2, AS, "memory")                                                         \
    X(3, NOFILE, "files")                                                      \
    X(4, NPROC, "processes")                                                   \
    X(5, CORE, "core")                                                         \
    X(6, FSIZE, "filesize")                                                    \
    X(7, SPAWN_TREE_MEMORY, "tree-memory")                                     \
    X(8, SPAWN_TREE_CPU, "tree-cpu")                                           \
    X(9, SPAWN_TREE_PROCESSES, "tree-processes")                               \
    X(10, SPAWN_TREE_WEIGHT, "tree-weight")
/** All of them, for a message. */
#define SPAWN_LIMIT_NAMES                                                      \
    "cpu, memory, files, processes, core, filesize, tree-memory, tree-cpu, "   \
    "tree-processes, tree-weight"
/* Of all processes of a job together, by its cgroup: no setrlimit(2) knows
 * these. */
#define RLIMIT_SPAWN_TREE_MEMORY    1001
#define RLIMIT_SPAWN_TREE_CPU       1002 /* percent of a processor */
#define RLIMIT_SPAWN_TREE_PROCESSES 1003
#define RLIMIT_SPAWN_TREE_WEIGHT    1004 /* among jobs: cpu.weight */
#define SPAWN_WEIGHT_LEAST          1
#define SPAWN_WEIGHT_MOST           10000
#define SPAWN_WEIGHT_USUAL          100 /* of a job that has none written */
#define SPAWN_LIMIT_UNLIMITED       UINT64_MAX

#define SPAWN_LEFTOVERS_KEEP 0
#define SPAWN_LEFTOVERS_KILL 1

#define SPAWN_DEFAULT_QUEUE       "default"
#define SPAWN_DEFAULT_MAX_DELAYED 100000
#define SPAWN_DEFAULT_TEMPLATE    "app"
#define SPAWN_DEFAULT_PATH        "/usr/local/bin:/usr/bin:/bin"
#define SPAWN_DEFAULT_UMASK       022
#define SPAWN_DEFAULT_GRACE_MS    5000
#define SPAWN_DEFAULT_CAPTURE     (1u << 20)

/** The field of that name, or NULL. */
const spawn_field *spawn_field_find(const char *name);
/** The i-th field, or NULL past the last. For lists of all names. */
const spawn_field *spawn_field_at(unsigned i);

/* Text forms. Each returns 0, or -EINVAL for text that is not of its form,
 * -ERANGE for a value out of bounds; *ret untouched then. */
int spawn_parse_size(const char *text, uint64_t *ret_bytes);
int spawn_parse_octal(const char *text, uint64_t *ret);
int spawn_parse_bool(const char *text, uint64_t *ret);
int spawn_parse_ionice(const char *text, uint64_t *ret);
int spawn_parse_leftovers(const char *text, uint64_t *ret);
/** Text of a standard stream: "null", "log", "capture", "stdout", "/path",
 * ">/path" (cut), ">>/path" (append). ret->path points into text. */
int spawn_parse_stdio(const char *text, spawn_stdio *ret);
/** A limit: its number on the wire, and its value ("unlimited", a size for
 * memory, core and filesize, seconds for cpu, a number for the others). */
int spawn_parse_limit(const char *name, const char *value, uint64_t *ret_limit,
                      uint64_t *ret_value);
/** The name of a limit, by its number on the wire; or "?". */
const char *spawn_limit_name(uint64_t limit);
/** Its value as people write it, into room[32]; returns room. */
const char *spawn_limit_text(uint64_t limit, uint64_t value, char *room);
/** RLIMIT_ number for a limit's number on the wire, or -EINVAL. From
 * RLIMIT_SPAWN_TREE_MEMORY on it is of the job's cgroup. */
int spawn_limit_resource(uint64_t limit);
/** Does it have limits of its cgroup?
 * @param order of a job, which has been checked. */
bool spawn_limits_of_tree(const spawn_message *order);
/** Can this limit have this value? The others are whatever fits. */
bool spawn_limit_may_be(uint64_t limit, uint64_t value);

/**
 * Put a field from text. Not for MAP, LIMITS, STDIO with handles, and FDS,
 * which the front ends build from what they have.
 * @return 0, or -EINVAL with why filled (code INVALID, step OPTIONS).
 */
int spawn_field_put_text(spawn_writer *w, const spawn_field *field,
                         const char *text, spawn_failure *why);

#endif
