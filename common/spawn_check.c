/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check of a job's values. Runs in every process. Must keep no state and
 * allocate nothing.
 */
#include <errno.h>
#include <string.h>

#include "common/spawn_check.h"
#include "common/spawn_field.h"
#include "common/spawn_name.h"
#include "common/spawn_retry.h"
#include "common/spawn_rule.h"

/* Descriptors 3 to 63 can be asked for by number. */
#define FD_TARGET_MIN 3
#define FD_TARGET_MAX 63

#define FAIL(rv, code, ...)                                                    \
    do {                                                                       \
        spawn_failure_set(why, code, SPAWN_STEP_OPTIONS, 0, __VA_ARGS__);      \
        return rv;                                                             \
    } while (0)

static int check_range(const spawn_message *m, unsigned attr, uint64_t most,
                       const char *wanted, spawn_failure *why)
{
    if (spawn_u64_or(m, attr, 0) > most)
        FAIL(-EINVAL, SPAWN_E_INVALID, "%s: %llu is not allowed; wanted: %s",
             spawn_attr_name(attr),
             (unsigned long long)spawn_attr_u64(&m->attr[attr]), wanted);
    return 0;
}

/* Each text of a map is name=value. In an environment a name alone is allowed,
 * too: a variable that is taken away. */
static int check_map(const spawn_message *m, unsigned attr, spawn_failure *why)
{
    const spawn_attr *a = &m->attr[attr];
    uint32_t count = spawn_has(m, attr) ? spawn_strv_count(a) : 0, i;
    const char *text = NULL;

    if (count > SPAWN_ENV_MAX)
        FAIL(-EINVAL, SPAWN_E_INVALID,
             "%s: %u are too many; wanted: at most %d", spawn_attr_name(attr),
             count, SPAWN_ENV_MAX);
    for (i = 0; i < count; i++) {
        text = spawn_strv_next(a, text);
        if (*text == '=' || !*text
            || (attr != SPAWN_A_ENV && !strchr(text, '=')))
            FAIL(-EINVAL, SPAWN_E_INVALID,
                 "%s: '%.100s' is not name=value with a name",
                 spawn_attr_name(attr), text);
    }
    return 0;
}

static int check_text(const spawn_message *m, unsigned attr, spawn_failure *why)
{
    const char *p = spawn_str_or(m, attr, "");

    for (; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            FAIL(-EINVAL, SPAWN_E_INVALID,
                 "%s: control characters are not allowed",
                 spawn_attr_name(attr));
    }
    return 0;
}

static int check_stream(const spawn_message *m, unsigned attr,
                        spawn_failure *why)
{
    bool in = attr == SPAWN_A_STDIN;
    spawn_stdio s;
    bool ok = false;

    if (!spawn_has(m, attr))
        return 0;
    spawn_attr_stdio(&m->attr[attr], &s);
    switch (s.how) {
    case SPAWN_STDIO_NULL:
    case SPAWN_STDIO_FD:
        ok = true;
        break;
    case SPAWN_STDIO_PATH:
        if (*s.path != '/')
            FAIL(-EINVAL, SPAWN_E_INVALID,
                 "%s: '%.100s' is not an absolute path", spawn_attr_name(attr),
                 s.path);
        ok = true;
        break;
    case SPAWN_STDIO_DATA:
        ok = in && spawn_has(m, SPAWN_A_STDIN_DATA);
        break;
    case SPAWN_STDIO_LOG:
    case SPAWN_STDIO_CAPTURE:
        ok = !in;
        break;
    case SPAWN_STDIO_STDOUT:
        ok = attr == SPAWN_A_STDERR;
        break;
    default:
        break;
    }
    if (!ok)
        FAIL(-EINVAL, SPAWN_E_INVALID, "%s: wanted: %s", spawn_attr_name(attr),
             in ? "null, a path, a handle or data"
                : "null, a path, a handle, log, capture or (stderr) stdout");
    return 0;
}

static int check_fds(const spawn_message *m, spawn_failure *why)
{
    const spawn_attr *a = &m->attr[SPAWN_A_FDS];
    uint64_t seen = 0;
    uint32_t i;

    for (i = 0; i < spawn_u64v_count(a); i += 2) {
        uint64_t target = spawn_u64v_at(a, i + 1);

        if (target < FD_TARGET_MIN || target > FD_TARGET_MAX)
            FAIL(-EINVAL, SPAWN_E_INVALID,
                 "fds: %llu is not allowed; wanted: a number from %d to %d",
                 (unsigned long long)target, FD_TARGET_MIN, FD_TARGET_MAX);
        if (seen & 1ull << target)
            FAIL(-EINVAL, SPAWN_E_INVALID, "fds: %llu stands twice",
                 (unsigned long long)target);
        seen |= 1ull << target;
    }
    return 0;
}

static int check_limits(const spawn_message *m, spawn_failure *why)
{
    const spawn_attr *a = &m->attr[SPAWN_A_LIMITS];
    uint32_t i;

    if (spawn_u64v_count(a) % 2 != 0)
        FAIL(-EINVAL, SPAWN_E_INVALID, "limits: not made of pairs");
    for (i = 0; i < spawn_u64v_count(a); i += 2) {
        if (spawn_limit_resource(spawn_u64v_at(a, i)) < 0)
            FAIL(-EINVAL, SPAWN_E_INVALID,
                 "limits: wanted: " SPAWN_LIMIT_NAMES);
        if (!spawn_limit_may_be(spawn_u64v_at(a, i), spawn_u64v_at(a, i + 1)))
            FAIL(-EINVAL, SPAWN_E_INVALID, "limits: %s: wanted: %d to %d",
                 spawn_limit_name(spawn_u64v_at(a, i)), SPAWN_WEIGHT_LEAST,
                 SPAWN_WEIGHT_MOST);
    }
    return 0;
}

static int check_numbers(const spawn_message *m, spawn_failure *why)
{
    uint64_t ionice = spawn_u64_or(m, SPAWN_A_IONICE, 3 << 8);
    int64_t nice;
    int rv;

    if ((rv = check_range(m, SPAWN_A_UMASK, 0777, "000 to 777", why))
        || (rv = check_range(m, SPAWN_A_TIMEOUT, SPAWN_DURATION_MAX_MS,
                             "at most a year", why))
        || (rv = check_range(m, SPAWN_A_GRACE, SPAWN_DURATION_MAX_MS,
                             "at most a year", why))
        || (rv = check_range(m, SPAWN_A_NO_NEW_PRIVS, 1, "0 or 1", why))
        || (rv = check_range(m, SPAWN_A_TTY, 1, "0 or 1", why))
        || (rv = check_range(m, SPAWN_A_LEFTOVERS, SPAWN_LEFTOVERS_KILL,
                             "keep or kill", why))
        || (rv = check_range(m, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED,
                             "posted, accepted, started or finished", why))
        || (rv = check_range(m, SPAWN_A_CAPTURE_LIMIT, SPAWN_CAPTURE_MAX,
                             "at most 16M", why)))
        return rv;
    if (spawn_has(m, SPAWN_A_NICE)) {
        nice = spawn_attr_i64(&m->attr[SPAWN_A_NICE]);
        if (nice < 0 || nice > 19)
            FAIL(-EINVAL, SPAWN_E_INVALID,
                 "nice: %lld is not allowed; wanted: 0 to 19", (long long)nice);
    }
    if ((ionice >> 8 != 2 && ionice >> 8 != 3) || (ionice & 0xff) > 7)
        FAIL(-EINVAL, SPAWN_E_INVALID,
             "ionice: wanted: idle, best-effort or best-effort:0-7");
    return 0;
}

/* Only a descriptor of the caller's can be the terminal of a job, and only of a
 * process that executes a program: a function runs in what its template has
 * loaded, which knows no terminal. */
static int check_tty(const spawn_message *m, spawn_failure *why)
{
    spawn_stdio s = {SPAWN_STDIO_NULL, 0, 0, ""};

    if (!spawn_u64_or(m, SPAWN_A_TTY, 0))
        return 0;
    if (spawn_has(m, SPAWN_A_FUNCTION))
        FAIL(-EINVAL, SPAWN_E_INVALID,
             "tty: it belongs to programs, this job is a Perl function");
    if (spawn_has(m, SPAWN_A_STDIN))
        spawn_attr_stdio(&m->attr[SPAWN_A_STDIN], &s);
    if (s.how != SPAWN_STDIO_FD)
        FAIL(-EINVAL, SPAWN_E_INVALID,
             "tty: it needs a terminal as stdin, handed over as a handle");
    return 0;
}

/* A program or a Perl function, and only fields that belong to it. */
static int check_what(const spawn_message *m, spawn_failure *why)
{
    const char *function = spawn_str_or(m, SPAWN_A_FUNCTION, "");

    if (spawn_has(m, SPAWN_A_ARGV) == spawn_has(m, SPAWN_A_FUNCTION))
        FAIL(-EINVAL, SPAWN_E_INVALID,
             "a job is either a program (argv) or a Perl function");
    if (spawn_has(m, SPAWN_A_ARGV)) {
        if (spawn_strv_count(&m->attr[SPAWN_A_ARGV]) == 0
            || *spawn_strv_next(&m->attr[SPAWN_A_ARGV], NULL) == '\0')
            FAIL(-EINVAL, SPAWN_E_INVALID,
                 "argv: no program; wanted: [program, argument, ...]");
        if (spawn_has(m, SPAWN_A_ARGS) || spawn_has(m, SPAWN_A_LOAD)
            || spawn_has(m, SPAWN_A_TEMPLATE) || spawn_has(m, SPAWN_A_WANT))
            FAIL(-EINVAL, SPAWN_E_INVALID,
                 "load and template belong to Perl functions, this job is a "
                 "program");
        return 0;
    }
    if (!spawn_perl_name_ok(function) || !strstr(function, "::"))
        FAIL(-EINVAL, SPAWN_E_INVALID,
             "function: '%.100s' is not a name; wanted: the full name, such "
             "as My::Report::build",
             function);
    if (spawn_has(m, SPAWN_A_LOAD)
        && !spawn_perl_name_ok(spawn_str_or(m, SPAWN_A_LOAD, "")))
        FAIL(-EINVAL, SPAWN_E_INVALID,
             "load: '%.100s' is not the name of a module",
             spawn_str_or(m, SPAWN_A_LOAD, ""));
    if (!spawn_queue_name_ok(
            spawn_str_or(m, SPAWN_A_TEMPLATE, SPAWN_DEFAULT_TEMPLATE)))
        FAIL(-EINVAL, SPAWN_E_INVALID,
             "template: '%.64s' is not a name; wanted: letters, digits, '_', "
             "'-' and '.', at most %d",
             spawn_str_or(m, SPAWN_A_TEMPLATE, ""), SPAWN_NAME_MAX);
    if ((spawn_u64_or(m, SPAWN_A_WANT, 0)
         & ~(uint64_t)(SPAWN_WANT_OBJECTS | SPAWN_WANT_EARLY))
        > SPAWN_WANT_LIST)
        FAIL(-EINVAL, SPAWN_E_INVALID, "want: wanted: void, scalar or list");
    return 0;
}

int spawn_job_check(const spawn_message *m, spawn_failure *why)
{
    const char *queue = spawn_str_or(m, SPAWN_A_QUEUE, SPAWN_DEFAULT_QUEUE);
    const char *cwd = spawn_str_or(m, SPAWN_A_CWD, "/");
    spawn_id id;
    int rv;

    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    if (!spawn_id_valid(&id))
        FAIL(-EINVAL, SPAWN_E_INVALID, "id: not a UUIDv7");
    if ((rv = check_what(m, why)))
        return rv;
    if (!spawn_queue_name_ok(queue))
        FAIL(-EINVAL, SPAWN_E_INVALID,
             "queue: '%.64s' is not a name; wanted: letters, digits, '_', '-' "
             "and '.', at most %d",
             queue, SPAWN_NAME_MAX);
    if (*cwd != '/')
        FAIL(-EINVAL, SPAWN_E_INVALID, "cwd: '%.100s' is not an absolute path",
             cwd);
    if ((rv = check_map(m, SPAWN_A_ENV, why))
        || (rv = check_map(m, SPAWN_A_CONTEXT, why))
        || (rv = check_text(m, SPAWN_A_LABEL, why))
        || (rv = check_text(m, SPAWN_A_UNIQUE, why))
        || (rv = check_stream(m, SPAWN_A_STDIN, why))
        || (rv = check_stream(m, SPAWN_A_STDOUT, why))
        || (rv = check_stream(m, SPAWN_A_STDERR, why))
        || (rv = check_fds(m, why)) || (rv = check_limits(m, why))
        || (rv = check_numbers(m, why)) || (rv = check_tty(m, why))
        || (rv = spawn_rules_check(m, why)))
        return rv;
    return spawn_retry_check(m, why) ? -EINVAL : 0;
}
