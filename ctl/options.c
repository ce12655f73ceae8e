/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run's options: a job as a SUBMIT message. Runs in spawnctl. The names are
 * those of the job's fields with '-' for '_'; values must be read by the parser
 * that all front ends share.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/spawn_field.h"
#include "common/spawn_name.h"
#include "ctl/ctl.h"

/* Options that are a field of a job: value 1000 + the attribute. */
#define FIELD   1000
#define UNSET   2000
#define FORWARD 2001
#define TTY     2002

/* Texts of an option that may be given more than once. They lie in argv. */
typedef struct {
    const char *text[256];
    unsigned count;
} texts;

typedef struct {
    const char *field[SPAWN_A_COUNT]; /* by attribute: text, or NULL */
    texts env, unset, context, limits, fds;
    bool detach, forward;
    int argc;
    char **argv; /* the program */
} job_options;

#define OPTION(name, ATTR)                                                     \
    {                                                                          \
        name, required_argument, NULL, FIELD + SPAWN_A_##ATTR                  \
    }

static const struct option options[] = {
    OPTION("id", ID),
    OPTION("queue", QUEUE),
    OPTION("cwd", CWD),
    OPTION("env", ENV),
    {"unset", required_argument, NULL, UNSET},
    OPTION("umask", UMASK),
    OPTION("user", USER),
    OPTION("group", GROUP),
    OPTION("stdin", STDIN),
    OPTION("stdout", STDOUT),
    OPTION("stderr", STDERR),
    OPTION("fds", FDS),
    OPTION("timeout", TIMEOUT),
    OPTION("grace", GRACE),
    OPTION("nice", NICE),
    OPTION("ionice", IONICE),
    OPTION("limits", LIMITS),
    OPTION("limit", LIMITS),
    {"no-new-privs", optional_argument, NULL, FIELD + SPAWN_A_NO_NEW_PRIVS},
    OPTION("leftovers", LEFTOVERS),
    OPTION("reply", REPLY),
    OPTION("label", LABEL),
    OPTION("context", CONTEXT),
    OPTION("capture-limit", CAPTURE_LIMIT),
    OPTION("retry", RETRY),
    OPTION("backoff", BACKOFF),
    OPTION("retry-on", RETRY_ON),
    OPTION("delay", DELAY),
    OPTION("at", AT),
    OPTION("expires", EXPIRES),
    OPTION("priority", PRIORITY),
    OPTION("unique", UNIQUE),
    OPTION("on-conflict", ON_CONFLICT),
    OPTION("unique-for", UNIQUE_FOR),
    OPTION("after", AFTER),
    OPTION("after-failed", AFTER_FAILED),
    OPTION("on-failure", ON_FAILURE),
    {"durable", optional_argument, NULL, FIELD + SPAWN_A_DURABLE},
    {"tty", no_argument, NULL, TTY},
    {"forward-signals", no_argument, NULL, FORWARD},
    {"detach", no_argument, NULL, 'd'},
    CTL_LONG_OPTIONS};

static int add_text(const spawn_ctl *ctl, const char *name, texts *list,
                    const char *text)
{
    if (list->count == sizeof(list->text) / sizeof(list->text[0]))
        return ctl_usage(ctl, "--%s: given more than %u times", name,
                         list->count);
    list->text[list->count++] = text;
    return -1;
}

static int read_field(const spawn_ctl *ctl, unsigned attr, const char *text,
                      job_options *o)
{
    switch (attr) {
    case SPAWN_A_ENV:
        return add_text(ctl, "env", &o->env, text);
    case SPAWN_A_CONTEXT:
        return add_text(ctl, "context", &o->context, text);
    case SPAWN_A_LIMITS:
        return add_text(ctl, "limit", &o->limits, text);
    case SPAWN_A_FDS:
        return add_text(ctl, "fds", &o->fds, text);
    default:
        o->field[attr] = text ? text : "1";
        return -1;
    }
}

/* What is done while we wait: not when we do not. */
static int check_beside(const spawn_ctl *ctl, const job_options *o)
{
    static const struct {
        uint8_t attr;
        const char *name;
    } taken[] = {{SPAWN_A_STDIN, "stdin"},
                 {SPAWN_A_STDOUT, "stdout"},
                 {SPAWN_A_STDERR, "stderr"}};
    const char *name = o->field[SPAWN_A_TTY] ? "tty" : "forward-signals";
    const char *reply = o->field[SPAWN_A_REPLY];
    size_t i;

    if (!o->field[SPAWN_A_TTY] && !o->forward)
        return -1;
    if (o->detach || (reply && strcmp(reply, "finished") != 0))
        return ctl_usage(
            ctl, "--%s: only while spawnctl waits for the job's end", name);
    for (i = 0; o->field[SPAWN_A_TTY] && i < 3; i++) {
        if (o->field[taken[i].attr])
            return ctl_usage(ctl, "--%s: with --tty it is the terminal",
                             taken[i].name);
    }
    if (o->field[SPAWN_A_TTY] && ctl->json)
        return ctl_usage(ctl, "--json: with --tty stdout has what the job "
                              "prints");
    return -1;
}

static int read_options(spawn_ctl *ctl, int argc, char **argv, job_options *o)
{
    int option, code;

    while (
        (option = ctl_getopt(ctl, argc, argv, CTL_SHORT_OPTIONS "d", options))
        != -1) {
        if (option == 'd' || option == FORWARD || option == TTY) {
            o->detach |= option == 'd';
            o->forward |= option == FORWARD;
            if (option == TTY)
                o->field[SPAWN_A_TTY] = "1";
            continue;
        }
        if (option == UNSET)
            code = strchr(optarg, '=')
                       ? ctl_usage(ctl,
                                   "--unset: '%s' is not allowed; wanted: the "
                                   "NAME of a variable",
                                   optarg)
                       : add_text(ctl, "unset", &o->unset, optarg);
        else
            code = option > FIELD
                       ? read_field(ctl, (unsigned)option - FIELD, optarg, o)
                       : ctl_option(ctl, option);
        if (code >= 0)
            return code;
    }
    o->argc = argc - optind;
    o->argv = argv + optind;
    if (o->argc == 0 || !*o->argv[0])
        return ctl_usage(ctl, "no program; wanted: spawnctl run [options] -- "
                              "program [argument ...]");
    if (o->detach && o->field[SPAWN_A_REPLY])
        return ctl_usage(ctl, "--detach means --reply accepted; give one of "
                              "them");
    code = check_beside(ctl, o);
    if (code >= 0)
        return code;
    if (*o->argv[0] != '/' && strchr(o->argv[0], '/') && !o->field[SPAWN_A_CWD])
        return ctl_usage(ctl,
                         "'%s' is relative, and the job does not start in "
                         "this directory; wanted: an absolute path, a name to "
                         "look up, or --cwd",
                         o->argv[0]);
    return -1;
}

/* ---- into the message ---- */

/* Send our own descriptor with the job. Returns its index, or -1 with a
 * message. */
static int add_fd(const spawn_ctl *ctl, ctl_job *job, int fd, const char *name)
{
    if (fcntl(fd, F_GETFD) < 0) {
        (void)ctl_usage(ctl, "--%s: our descriptor %d is not open", name, fd);
        return -1;
    }
    if (job->fds_count == SPAWN_JOB_FDS_MAX) {
        (void)ctl_usage(ctl, "--%s: more than %d descriptors", name,
                        SPAWN_JOB_FDS_MAX);
        return -1;
    }
    job->fds[job->fds_count] = fd;
    return (int)job->fds_count++;
}

/* The text begins with the field's name, which our option spells with '-'. */
static int refuse_field(const spawn_ctl *ctl, spawn_failure *why)
{
    char *p;

    for (p = why->text; *p && *p != ':'; p++) {
        if (*p == '_')
            *p = '-';
    }
    return ctl_usage(ctl, "--%s", why->text);
}

/* When nobody waits for the job, our own stdin is read to its end and sent with
 * the job: so the data is kept where the job is, and a busy queue does not hold
 * up its writer. */
static int put_own_input(const spawn_ctl *ctl, const spawn_field *field,
                         ctl_job *job)
{
    static const spawn_stdio from_data = {SPAWN_STDIO_DATA, 0, 0, ""};
    size_t room = 1 << 16, length = 0;
    char *data = malloc(room);
    int code = -1;

    while (data) {
        ssize_t n = read(STDIN_FILENO, data + length, room - length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            code = ctl_usage(ctl, "--stdin: it cannot be read: %s",
                             strerrordesc_np(errno));
        length += n > 0 ? (size_t)n : 0;
        if (length > SPAWN_STDIN_MAX)
            code = ctl_usage(ctl,
                             "--stdin: there are more than %u MB, the most "
                             "that goes with a job; the job was not sent; "
                             "wanted: a file's path, --stdin /PATH",
                             SPAWN_STDIN_MAX >> 20);
        if (n <= 0 || code >= 0)
            break;
        if (length == room) {
            char *more = realloc(data, room *= 2);

            if (!more)
                free(data);
            data = more;
        }
    }
    if (!data)
        return ctl_usage(ctl, "--stdin: no memory");
    if (code < 0) {
        spawn_put_stdio(&job->message, field->attr, &from_data);
        spawn_put_bytes(&job->message, SPAWN_A_STDIN_DATA, data, length);
    }
    free(data);
    return code;
}

/* All three are the job's end of its terminal. */
static int put_terminal(const spawn_ctl *ctl, const spawn_field *field,
                        ctl_job *job)
{
    spawn_stdio s = {SPAWN_STDIO_FD, 0, 0, ""};
    int place = 0;

    if (job->terminal.its < 0) {
        int code = ctl_terminal_open(ctl, &job->terminal);

        if (code >= 0)
            return code;
    }
    while (place < (int)job->fds_count && job->fds[place] != job->terminal.its)
        place++;
    if (place == (int)job->fds_count)
        place = add_fd(ctl, job, job->terminal.its, "tty");
    if (place < 0)
        return CTL_TROUBLE;
    s.fd = (uint16_t)place;
    spawn_put_stdio(&job->message, field->attr, &s);
    return -1;
}

/* "-" is our own stream, handed over; or its contents, when we do not wait. */
static int put_stream(const spawn_ctl *ctl, const char *text,
                      const spawn_field *field, ctl_job *job)
{
    spawn_stdio s = {SPAWN_STDIO_FD, 0, 0, ""};
    spawn_failure why;
    int place;

    if (strcmp(text, "-") != 0)
        return spawn_field_put_text(&job->message, field, text, &why)
                   ? refuse_field(ctl, &why)
                   : -1;
    if (field->attr == SPAWN_A_STDIN && job->reply != SPAWN_REPLY_FINISHED)
        return put_own_input(ctl, field, job);
    place = add_fd(ctl, job, field->attr - SPAWN_A_STDIN, field->name);
    if (place < 0)
        return CTL_TROUBLE;
    s.fd = (uint16_t)place;
    spawn_put_stdio(&job->message, field->attr, &s);
    return -1;
}

static bool names(const texts *list, const char *name)
{
    size_t length = strlen(name);
    unsigned i;

    for (i = 0; i < list->count; i++) {
        const char *text = list->text[i];

        if (strncmp(text, name, length) == 0
            && (text[length] == '=' || text[length] == '\0'))
            return true;
    }
    return false;
}

/* The kind of our terminal, which is that of the job's. */
static const char *own_term(const job_options *o)
{
    if (!o->field[SPAWN_A_TTY] || names(&o->env, "TERM")
        || names(&o->unset, "TERM"))
        return NULL;
    return getenv("TERM");
}

/* name=value; a variable's name alone takes our own value. On the wire a name
 * alone stands for a variable to be taken away. */
static int put_env(const spawn_ctl *ctl, const job_options *o, ctl_job *job)
{
    const texts *list = &o->env, *unset = &o->unset;
    const char *term = own_term(o);
    spawn_writer *w = &job->message;
    size_t mark;
    unsigned i;
    char *pair;

    if (list->count + unset->count == 0 && !term)
        return -1;
    mark = spawn_open_strv(w, SPAWN_A_ENV);
    if (term && asprintf(&pair, "TERM=%s", term) >= 0) {
        spawn_add_text(w, mark, pair, strlen(pair));
        free(pair);
    }
    for (i = 0; i < unset->count; i++)
        spawn_add_text(w, mark, unset->text[i], strlen(unset->text[i]));
    for (i = 0; i < list->count; i++) {
        const char *text = list->text[i];
        const char *value;

        if (strchr(text, '=')) {
            spawn_add_text(w, mark, text, strlen(text));
            continue;
        }
        value = getenv(text);
        if (!value)
            return ctl_usage(ctl,
                             "--env: '%s' is not set here; wanted: "
                             "NAME=VALUE, or the NAME of a variable "
                             "that is set",
                             text);
        if (asprintf(&pair, "%s=%s", text, value) < 0)
            return ctl_usage(ctl, "--env: no memory");
        spawn_add_text(w, mark, pair, strlen(pair));
        free(pair);
    }
    spawn_close(w, mark);
    return -1;
}

/* In a job: what it submits is of the same request, and by this job. */
static void put_parent(const texts *given, spawn_writer *w, size_t mark)
{
    static const char *const pairs[][2] = {{"request_id", "SPAWN_REQUEST_ID"},
                                           {"job", "SPAWN_JOB_ID"}};
    char text[300];
    size_t i;

    for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        const char *value = getenv(pairs[i][1]);

        if (!value || !spawn_request_id_ok(value) || names(given, pairs[i][0]))
            continue;
        (void)snprintf(text, sizeof(text), "%s=%s", pairs[i][0], value);
        spawn_add_text(w, mark, text, strlen(text));
    }
}

static void put_context(const texts *given, ctl_job *job)
{
    spawn_writer *w = &job->message;
    size_t mark;
    unsigned i;

    if (given->count == 0 && !getenv("SPAWN_JOB_ID"))
        return;
    mark = spawn_open_strv(w, SPAWN_A_CONTEXT);
    put_parent(given, w, mark);
    for (i = 0; i < given->count; i++)
        spawn_add_text(w, mark, given->text[i], strlen(given->text[i]));
    spawn_close(w, mark);
}

/* Call each with the pieces between commas. text is part of argv, and is
 * cut. */
static int each_piece(const spawn_ctl *ctl, const texts *list,
                      int (*each)(const spawn_ctl *, char *, void *), void *arg)
{
    unsigned i;

    for (i = 0; i < list->count; i++) {
        char *copy = strdup(list->text[i]);
        char *save = NULL;
        char *piece;

        if (!copy)
            return ctl_usage(ctl, "no memory");
        for (piece = strtok_r(copy, ", ", &save); piece;
             piece = strtok_r(NULL, ", ", &save)) {
            int code = each(ctl, piece, arg);

            if (code >= 0) {
                free(copy);
                return code;
            }
        }
        free(copy);
    }
    return -1;
}

typedef struct {
    ctl_job *job;
    uint64_t values[2 * SPAWN_FDS_MAX];
    unsigned count;
} pairs;

static int add_pair(const spawn_ctl *ctl, pairs *p, const char *name,
                    uint64_t first, uint64_t second)
{
    if (p->count + 2 > sizeof(p->values) / sizeof(p->values[0]))
        return ctl_usage(ctl, "--%s: too many", name);
    p->values[p->count++] = first;
    p->values[p->count++] = second;
    return -1;
}

static int read_limit(const spawn_ctl *ctl, char *text, void *arg)
{
    char *value = strchr(text, '=');
    uint64_t limit, most;

    if (value)
        *value++ = '\0';
    if (!value || spawn_parse_limit(text, value, &limit, &most))
        return ctl_usage(ctl,
                         "--limits: '%s%s%s' is not allowed; wanted: "
                         "resource=value with one of " SPAWN_LIMIT_NAMES
                         ", and a number (K, M, G may follow) or unlimited",
                         text, value ? "=" : "", value ? value : "");
    return add_pair(ctl, arg, "limit", limit, most);
}

/* N: our descriptor N as the same number there; N=M: our M. */
static int read_fd(const spawn_ctl *ctl, char *text, void *arg)
{
    pairs *p = arg;
    char *value = strchr(text, '=');
    int64_t target, ours;
    int place;

    if (value)
        *value++ = '\0';
    if (spawn_parse_integer(text, &target)
        || spawn_parse_integer(value ? value : text, &ours) || target < 0
        || ours < 0 || ours > INT32_MAX)
        return ctl_usage(ctl,
                         "--fds: '%s%s%s' is not allowed; wanted: N, or N=M "
                         "for our descriptor M as N in the job",
                         text, value ? "=" : "", value ? value : "");
    place = add_fd(ctl, p->job, (int)ours, "fds");
    if (place < 0)
        return CTL_TROUBLE;
    return add_pair(ctl, p, "fds", (uint64_t)place, (uint64_t)target);
}

static int put_pairs(const spawn_ctl *ctl, const texts *list, unsigned attr,
                     int (*read)(const spawn_ctl *, char *, void *),
                     ctl_job *job)
{
    pairs p = {job, {0}, 0};
    int code = each_piece(ctl, list, read, &p);

    if (code >= 0)
        return code;
    if (p.count)
        spawn_put_u64v(&job->message, (uint16_t)attr, p.values, p.count);
    return -1;
}

static int put_field(const spawn_ctl *ctl, const job_options *o,
                     const spawn_field *field, ctl_job *job)
{
    const char *text = o->field[field->attr];
    spawn_failure why;

    switch (field->form) {
    case SPAWN_FORM_MAP:
        if (field->attr == SPAWN_A_ENV)
            return put_env(ctl, o, job);
        put_context(&o->context, job);
        return -1;
    case SPAWN_FORM_LIMITS:
        return put_pairs(ctl, &o->limits, field->attr, read_limit, job);
    case SPAWN_FORM_FDS:
        return put_pairs(ctl, &o->fds, field->attr, read_fd, job);
    case SPAWN_FORM_STDIO:
        if (o->field[SPAWN_A_TTY])
            return put_terminal(ctl, field, job);
        /* a caller that waits wants to see what the program prints */
        if (!text && field->attr != SPAWN_A_STDIN
            && job->reply == SPAWN_REPLY_FINISHED)
            text = "capture";
        return text ? put_stream(ctl, text, field, job) : -1;
    default:
        if (!text || field->attr == SPAWN_A_ID)
            return -1;
        return spawn_field_put_text(&job->message, field, text, &why)
                   ? refuse_field(ctl, &why)
                   : -1;
    }
}

static int put_head(const spawn_ctl *ctl, job_options *o, ctl_job *job)
{
    const char *id = o->field[SPAWN_A_ID];
    spawn_writer *w = &job->message;
    size_t mark;
    int i, reply;

    if (id && spawn_id_parse(id, &job->id))
        return ctl_usage(ctl,
                         "--id: '%s' is not allowed; wanted: the text of a "
                         "UUIDv7",
                         id);
    if (!id && spawn_id_make(&job->id))
        return ctl_usage(ctl, "--id: none could be made: %s",
                         strerrordesc_np(errno));
    if (!o->field[SPAWN_A_REPLY])
        o->field[SPAWN_A_REPLY] = o->detach ? "accepted" : "finished";
    reply = spawn_reply_number(o->field[SPAWN_A_REPLY]);
    job->reply = reply < 0 ? SPAWN_REPLY_ACCEPTED : (spawn_reply)reply;
    spawn_writer_begin(w, SPAWN_M_SUBMIT, 0);
    spawn_put_id(w, SPAWN_A_ID, &job->id);
    mark = spawn_open_strv(w, SPAWN_A_ARGV);
    for (i = 0; i < o->argc; i++)
        spawn_add_text(w, mark, o->argv[i], strlen(o->argv[i]));
    spawn_close(w, mark);
    return -1;
}

int ctl_refused_option(const spawn_ctl *ctl, spawn_failure *why)
{
    bool quoted = *why->text == '\'';
    char *name = why->text + quoted, *end;
    char kept;

    if (why->step != SPAWN_STEP_OPTIONS && why->step != SPAWN_STEP_CHECK)
        return -1;
    end = name + strspn(name, "abcdefghijklmnopqrstuvwxyz_");
    kept = *end;
    if (kept != (quoted ? '\'' : ':'))
        return -1;
    *end = '\0';
    if (!spawn_field_find(name)) {
        *end = kept;
        return -1;
    }
    for (; *name; name++) {
        if (*name == '_')
            *name = '-';
    }
    return ctl_usage(ctl, "--%s%s%s", why->text + quoted, quoted ? "" : ":",
                     end + 1);
}

int ctl_job_options(spawn_ctl *ctl, int argc, char **argv, ctl_job *ret)
{
    job_options *o = calloc(1, sizeof(*o));
    const spawn_field *field;
    unsigned i;
    int code;

    spawn_writer_init(&ret->message, SPAWN_WIRE_HEADER + SPAWN_SUBMIT_MAX);
    ret->fds_count = 0;
    if (!o)
        return ctl_usage(ctl, "no memory");
    code = read_options(ctl, argc, argv, o);
    ret->forward = o->forward;
    if (code < 0)
        code = put_head(ctl, o, ret);
    for (i = 0; code < 0 && (field = spawn_field_at(i)); i++)
        code = put_field(ctl, o, field, ret);
    free(o);
    if (code < 0)
        (void)spawn_writer_finish(&ret->message, ret->fds_count);
    else
        spawn_writer_free(&ret->message);
    return code;
}
