/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields of a job: names, text forms, and the check of the values. Runs in
 * every process; no state, no allocation.
 */
#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

#include "common/spawn_job.h"

#define X_FIELD(ATTR, name, FORM, dflt, what)                                  \
    {SPAWN_A_##ATTR, SPAWN_FORM_##FORM, name},
static const spawn_field fields[] = {SPAWN_FIELD_LIST(X_FIELD)};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static const struct {
    const char *name;
    int resource;
} limits[] = {
#define X_LIMIT(n, RLIM, name) [n] = {name, RLIMIT_##RLIM},
    SPAWN_LIMIT_LIST(X_LIMIT)};
#define LIMITS (sizeof(limits) / sizeof(limits[0]))

/* Descriptors 3 to 63 can be asked for by number. */
#define FD_TARGET_MIN 3
#define FD_TARGET_MAX 63

#define RETRY_MAX 100

const spawn_field *spawn_field_find(const char *name)
{
    size_t i;

    for (i = 0; i < FIELDS; i++) {
        if (strcmp(fields[i].name, name) == 0)
            return &fields[i];
    }
    return NULL;
}

const spawn_field *spawn_field_at(unsigned i)
{
    return i < FIELDS ? &fields[i] : NULL;
}

/* ---- text forms ---- */

static int parse_u64(const char *text, int base, uint64_t *ret,
                     const char **ret_end)
{
    char *end;
    unsigned long long v;

    if (!isdigit((unsigned char)*text))
        return -EINVAL;
    errno = 0;
    v = strtoull(text, &end, base);
    if (errno)
        return -ERANGE;
    *ret = v;
    *ret_end = end;
    return 0;
}

int spawn_parse_duration(const char *text, uint64_t *ret_ms)
{
    return spawn_parse_time_to(text, SPAWN_DURATION_MAX_MS, ret_ms);
}

int spawn_parse_time_to(const char *text, uint64_t most_ms, uint64_t *ret_ms)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"", 1000},     {"s", 1000},    {"ms", 1},
                 {"m", 60000},   {"min", 60000}, {"mi", 60000},
                 {"h", 3600000}, {"d", 86400000}};
    char *end;
    double v;
    size_t i;

    if (!isdigit((unsigned char)*text) && *text != '.')
        return -EINVAL;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        return -EINVAL;
    errno = 0;
    v = strtod(text, &end);        /* of nothing: no unit begins as it does */
    if (v == 0 && errno == ERANGE) /* too small for a double: yet not 0 */
        v = DBL_MIN;
    for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcasecmp(end, units[i].unit) == 0) {
            v *= units[i].ms;
            if (!(v <= (double)most_ms))
                return -ERANGE;
            *ret_ms = (uint64_t)(v + 0.5);
            if (*ret_ms == 0 && v > 0)
                *ret_ms = 1; /* 0 would mean: no limit */
            return 0;
        }
    }
    return -EINVAL;
}

int spawn_parse_size(const char *text, uint64_t *ret_bytes)
{
    const char *end;
    uint64_t v;
    unsigned shift = 0;
    int rv = parse_u64(text, 10, &v, &end);

    if (rv)
        return rv;
    switch (toupper((unsigned char)*end)) {
    case 'K':
        shift = 10;
        break;
    case 'M':
        shift = 20;
        break;
    case 'G':
        shift = 30;
        break;
    case '\0':
        break;
    default:
        return -EINVAL;
    }
    if (*end && end[1])
        return -EINVAL;
    if (v > UINT64_MAX >> (shift + 1))
        return -ERANGE;
    *ret_bytes = v << shift;
    return 0;
}

int spawn_parse_octal(const char *text, uint64_t *ret)
{
    const char *end;
    uint64_t v;
    int rv = parse_u64(text, 8, &v, &end);

    if (rv)
        return rv;
    if (*end)
        return -EINVAL;
    *ret = v;
    return 0;
}

int spawn_parse_integer(const char *text, int64_t *ret)
{
    char *end;
    long long v;

    if (!isdigit((unsigned char)*text)
        && !(*text == '-' && isdigit((unsigned char)text[1])))
        return -EINVAL;
    errno = 0;
    v = strtoll(text, &end, 10);
    if (errno)
        return -ERANGE;
    if (*end)
        return -EINVAL;
    *ret = v;
    return 0;
}

int spawn_parse_bool(const char *text, uint64_t *ret)
{
    static const char *const yes[] = {"1", "on", "yes", "true"};
    static const char *const no[] = {"", "0", "off", "no", "false"};
    size_t i;

    for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (strcmp(text, yes[i]) == 0) {
            *ret = 1;
            return 0;
        }
    }
    for (i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        if (strcmp(text, no[i]) == 0) {
            *ret = 0;
            return 0;
        }
    }
    return -EINVAL;
}

int spawn_parse_ionice(const char *text, uint64_t *ret)
{
    static const char effort[] = "best-effort";

    if (strcmp(text, "idle") == 0) {
        *ret = 3 << 8;
        return 0;
    }
    if (strncmp(text, effort, sizeof(effort) - 1) != 0)
        return -EINVAL;
    text += sizeof(effort) - 1;
    if (*text == '\0') {
        *ret = 2 << 8 | 4;
        return 0;
    }
    if (text[0] != ':' || text[1] < '0' || text[1] > '7' || text[2] != '\0')
        return -EINVAL;
    *ret = 2 << 8 | (uint64_t)(text[1] - '0');
    return 0;
}

int spawn_parse_leftovers(const char *text, uint64_t *ret)
{
    if (strcmp(text, "keep") == 0)
        *ret = SPAWN_LEFTOVERS_KEEP;
    else if (strcmp(text, "kill") == 0)
        *ret = SPAWN_LEFTOVERS_KILL;
    else
        return -EINVAL;
    return 0;
}

int spawn_parse_stdio(const char *text, spawn_stdio *ret)
{
    static const struct {
        const char *name;
        spawn_stdio_how how;
    } words[] = {{"null", SPAWN_STDIO_NULL},
                 {"log", SPAWN_STDIO_LOG},
                 {"capture", SPAWN_STDIO_CAPTURE},
                 {"stdout", SPAWN_STDIO_STDOUT}};
    spawn_stdio s = {SPAWN_STDIO_PATH, 0, 0, ""};
    size_t i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(text, words[i].name) == 0) {
            s.how = words[i].how;
            *ret = s;
            return 0;
        }
    }
    if (strncmp(text, ">>", 2) == 0) {
        s.flags = SPAWN_STDIO_APPEND;
        text += 2;
    }
    else if (*text == '>') {
        text++;
    }
    if (*text != '/')
        return -EINVAL;
    s.path = text;
    *ret = s;
    return 0;
}

int spawn_parse_limit(const char *name, const char *value, uint64_t *ret_limit,
                      uint64_t *ret_value)
{
    uint64_t v;
    size_t i;
    int rv;

    for (i = 1; i < LIMITS; i++) {
        if (strcmp(limits[i].name, name) == 0)
            break;
    }
    if (i == LIMITS)
        return -EINVAL;
    if (strcmp(value, "unlimited") == 0) {
        v = SPAWN_LIMIT_UNLIMITED;
    }
    else {
        rv = spawn_parse_size(value, &v);
        if (rv)
            return rv;
    }
    *ret_limit = i;
    *ret_value = v;
    return 0;
}

int spawn_limit_resource(uint64_t limit)
{
    return limit > 0 && limit < LIMITS ? limits[limit].resource : -EINVAL;
}

bool spawn_queue_name_ok(const char *name)
{
    size_t length = strlen(name);
    size_t i;

    if (length == 0 || length > SPAWN_NAME_MAX || *name == '.' || *name == '-')
        return false;
    for (i = 0; i < length; i++) {
        unsigned char c = (unsigned char)name[i];

        if (!isalnum(c) && c != '_' && c != '-' && c != '.')
            return false;
    }
    return true;
}

#define FAIL(rv, code, ...)                                                    \
    do {                                                                       \
        spawn_failure_set(why, code, SPAWN_STEP_OPTIONS, 0, __VA_ARGS__);      \
        return rv;                                                             \
    } while (0)

/* A stream by the words that this one takes. */
static int parse_stream(unsigned attr, const char *text, spawn_stdio *ret,
                        const char **ret_wanted)
{
    spawn_stdio s;
    int rv = spawn_parse_stdio(text, &s);
    bool output = rv == 0 && s.how != SPAWN_STDIO_NULL
                  && (s.how != SPAWN_STDIO_PATH || *text == '>');

    if (attr == SPAWN_A_STDIN) {
        *ret_wanted = "null or an absolute path";
        if (output)
            rv = -EINVAL;
    }
    else if (attr == SPAWN_A_STDOUT) {
        *ret_wanted = "null, log, capture or an absolute path (>> before it "
                      "appends)";
        if (rv == 0 && s.how == SPAWN_STDIO_STDOUT)
            rv = -EINVAL;
    }
    else {
        *ret_wanted = "null, log, capture, stdout or an absolute path (>> "
                      "before it appends)";
    }
    if (rv == 0)
        *ret = s;
    return rv;
}

int spawn_field_put_text(spawn_writer *w, const spawn_field *field,
                         const char *text, spawn_failure *why)
{
    const char *wanted = "";
    uint64_t u = 0;
    int64_t i = 0;
    spawn_stdio s;
    spawn_id id;
    int rv = -EINVAL;

    switch (field->form) {
    case SPAWN_FORM_TEXT:
        if (field->attr == SPAWN_A_ID) {
            rv = spawn_id_parse(text, &id);
            wanted = "the text of a UUIDv7";
            if (rv == 0)
                spawn_put_id(w, field->attr, &id);
            break;
        }
        spawn_put_str(w, field->attr, text);
        return 0;
    case SPAWN_FORM_PATH:
        spawn_put_str(w, field->attr, text);
        return 0;
    case SPAWN_FORM_DURATION:
        rv = field->attr == SPAWN_A_TIMEOUT && strcasecmp(text, "none") == 0
                 ? 0
                 : spawn_parse_duration(text, &u);
        wanted = "a time: a number and a unit (ms, s, min or m, h, d; s when "
                 "there is none), at most a year; 0 is none";
        break;
    case SPAWN_FORM_SIZE:
        rv = spawn_parse_size(text, &u);
        wanted = "bytes (a whole number; K, M or G may follow)";
        break;
    case SPAWN_FORM_OCTAL:
        rv = spawn_parse_octal(text, &u);
        wanted = "an octal number such as 022";
        break;
    case SPAWN_FORM_INTEGER:
        rv = spawn_parse_integer(text, &i);
        wanted = "a whole number";
        if (rv == 0)
            spawn_put_i64(w, field->attr, i);
        break;
    case SPAWN_FORM_BOOL:
        rv = spawn_parse_bool(text, &u);
        wanted = "0 or 1";
        break;
    case SPAWN_FORM_IONICE:
        rv = spawn_parse_ionice(text, &u);
        wanted = "idle, best-effort or best-effort:0 to best-effort:7";
        break;
    case SPAWN_FORM_LEFTOVERS:
        rv = spawn_parse_leftovers(text, &u);
        wanted = "keep or kill";
        break;
    case SPAWN_FORM_REPLY:
        rv = spawn_reply_number(text);
        wanted = "posted, accepted, started or finished";
        if (rv >= 0) {
            u = (uint64_t)rv;
            rv = 0;
        }
        break;
    case SPAWN_FORM_STDIO:
        rv = parse_stream(field->attr, text, &s, &wanted);
        if (rv == 0)
            spawn_put_stdio(w, field->attr, &s);
        break;
    default:
        wanted = "given in another form";
        break;
    }
    if (rv)
        FAIL(-EINVAL, SPAWN_E_INVALID,
             "%s: '%.100s' is not allowed; wanted: %s", field->name, text,
             wanted);
    if (field->form != SPAWN_FORM_INTEGER && field->form != SPAWN_FORM_STDIO
        && field->form != SPAWN_FORM_TEXT)
        spawn_put_u64(w, field->attr, u);
    return 0;
}

/* ---- the check of a job ---- */

static int check_range(const spawn_message *m, unsigned attr, uint64_t most,
                       const char *wanted, spawn_failure *why)
{
    if (spawn_u64_or(m, attr, 0) > most)
        FAIL(-EINVAL, SPAWN_E_INVALID, "%s: %llu is not allowed; wanted: %s",
             spawn_attr_name(attr),
             (unsigned long long)spawn_attr_u64(&m->attr[attr]), wanted);
    return 0;
}

/* Each text of a map is name=value with a name; of the environment also the
 * name alone of a variable that is not to be there. */
static int check_map(const spawn_message *m, unsigned attr, spawn_failure *why)
{
    const spawn_attr *a = &m->attr[attr];
    const char *text = NULL;
    uint32_t i;

    for (i = 0; spawn_has(m, attr) && i < spawn_strv_count(a); i++) {
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
                 "limits: wanted: cpu, memory, files, processes, core, "
                 "filesize");
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
    if (spawn_has(m, SPAWN_A_RETRY)) {
        int64_t retry = spawn_attr_i64(&m->attr[SPAWN_A_RETRY]);

        if (retry < 0 || retry > RETRY_MAX)
            FAIL(-EINVAL, SPAWN_E_INVALID,
                 "retry: %lld is not allowed; wanted: 0 to %d",
                 (long long)retry, RETRY_MAX);
    }
    if ((ionice >> 8 != 2 && ionice >> 8 != 3) || (ionice & 0xff) > 7)
        FAIL(-EINVAL, SPAWN_E_INVALID,
             "ionice: wanted: idle, best-effort or best-effort:0-7");
    return 0;
}

bool spawn_perl_name_ok(const char *name)
{
    bool start = true;

    for (; *name; name++) {
        if (name[0] == ':' && name[1] == ':' && !start) {
            name++;
            start = true;
            continue;
        }
        if (!isalpha((unsigned char)*name) && *name != '_'
            && (start || !isdigit((unsigned char)*name)))
            return false;
        start = false;
    }
    return !start;
}

/* A program or a Perl function, and only what belongs to it. */
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
            || spawn_has(m, SPAWN_A_TEMPLATE) || spawn_has(m, SPAWN_A_WANT)
            || spawn_has(m, SPAWN_A_RETRY))
            FAIL(-EINVAL, SPAWN_E_INVALID,
                 "load, template and retry belong to Perl functions, this job "
                 "is a program");
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
        || (rv = check_stream(m, SPAWN_A_STDIN, why))
        || (rv = check_stream(m, SPAWN_A_STDOUT, why))
        || (rv = check_stream(m, SPAWN_A_STDERR, why))
        || (rv = check_fds(m, why)) || (rv = check_limits(m, why))
        || (rv = check_numbers(m, why)))
        return rv;
    return 0;
}
