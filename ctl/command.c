/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Common to all verbs: their common options, the connection to the broker, and
 * messages about a wrong use or a failure, with a hint what to do. Runs in
 * spawnctl. Must know no verb.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_field.h"
#include "common/spawn_release.h"
#include "ctl/ctl.h"

int ctl_usage(const spawn_ctl *ctl, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;

    (void)fputs("spawnctl: ", stderr);
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    /* the typed text may be somebody else's, and so is a refusal */
    ctl_print_text(stderr, text ? text : "wrong use", 0);
    free(text);
    (void)fputc('\n', stderr);
    (void)fprintf(stderr, "  try 'spawnctl %s%s--help'\n",
                  ctl->verb ? ctl->verb : "", ctl->verb ? " " : "");
    return CTL_TROUBLE;
}

#define BE_ONE_OF                                                              \
    "be root, or the user that httpd was started by or runs as, or one that "  \
    "SpawnAccess in httpd.conf names"

static const char *hint(const spawn_failure *why)
{
    switch (why->code) {
    case SPAWN_E_UNREACHABLE:
        if (why->step != SPAWN_STEP_CONNECT)
            return "try again, or give it more time: spawnctl --timeout 30 "
                   "...";
        if (why->error == EACCES)
            return BE_ONE_OF;
        return "name httpd's SpawnSocket with --socket or SPAWN_SOCKET";
    case SPAWN_E_UNCONFIRMED:
        return "'spawnctl show' with the job's id tells whether it was "
               "accepted";
    case SPAWN_E_DEADLINE:
        return "try again, or give it more time: spawnctl --timeout 30 ...";
    case SPAWN_E_QUEUE_FULL:
        return "try again later, or raise SpawnMaxQueued in httpd.conf";
    case SPAWN_E_UNKNOWN_QUEUE:
        return "queues are made by <SpawnQueue name> in httpd.conf";
    case SPAWN_E_NOT_PERMITTED:
        if (why->step == SPAWN_STEP_CHECK)
            return NULL; /* the hint is about the request */
        return BE_ONE_OF;
    case SPAWN_E_NO_SUCH_JOB:
        return "'spawnctl ps --all' lists the jobs that are known";
    case SPAWN_E_TIMED_OUT:
        return "the job goes on: 'spawnctl wait' waits again, 'spawnctl "
               "kill' ends it";
    case SPAWN_E_STOPPING:
        return "try again when httpd has started";
    case SPAWN_E_VERSION:
        return "restart httpd, or use the spawnctl of the same release";
    default:
        return NULL;
    }
}

/* That of a check says nothing to people: the text does. */
static const char *step_of(const spawn_failure *why)
{
    switch (why->step) {
    case SPAWN_STEP_NONE:
    case SPAWN_STEP_OPTIONS:
    case SPAWN_STEP_CHECK:
    case SPAWN_STEP_QUEUE:
        return NULL;
    default:
        return spawn_step_name(why->step);
    }
}

int ctl_fail(const spawn_failure *why)
{
    const char *text = why->text[0] ? why->text : spawn_error_text(why->code);
    const char *error = why->error ? strerrordesc_np(why->error) : NULL;
    const char *step = step_of(why);
    const char *todo = hint(why);

    (void)fputs("spawnctl: ", stderr);
    ctl_print_text(stderr, text, 0);
    if (error && strstr(text, error))
        error = NULL;
    if (step && error)
        (void)fprintf(stderr, " (%s, %s)", step, error);
    else if (step || error)
        (void)fprintf(stderr, " (%s)", step ? step : error);
    (void)fputc('\n', stderr);
    if (todo)
        (void)fprintf(stderr, "  %s\n", todo);
    return CTL_TROUBLE;
}

/* How many options begin with this word. */
static unsigned options_like(const char *word, const struct option *options)
{
    size_t length = strcspn(word, "=");
    unsigned count = 0;

    for (; options->name; options++)
        count += strncmp(options->name, word, length) == 0;
    return count;
}

int ctl_getopt(const spawn_ctl *ctl, int argc, char **argv, const char *letters,
               const struct option *options)
{
    int option;
    const char *word;

    opterr = 0;
    option = getopt_long(argc, argv, letters, options, NULL);
    if (option != '?' && option != ':')
        return option;
    word = argv[optind - 1]; /* has been read, but for a letter among others */
    if (option == ':')
        (void)ctl_usage(ctl, "'%s' needs a value", word);
    else if (optopt == 0 && options_like(word + 2, options) > 1)
        (void)ctl_usage(ctl, "'%s' may mean more than one option", word);
    else if (optopt == 0)
        (void)ctl_usage(ctl, "'%s' is not an option", word);
    else if (optopt > UCHAR_MAX
             || (isalpha((unsigned char)optopt) && strchr(letters, optopt)))
        (void)ctl_usage(ctl, "'%s': this option has no value", word);
    else
        (void)ctl_usage(ctl, "'-%c' is not an option", optopt);
    return '?';
}

int ctl_option(spawn_ctl *ctl, int option)
{
    switch (option) {
    case 's':
        ctl->socket = optarg;
        return -1;
    case CTL_JSON:
        ctl->json = true;
        return -1;
    case 'h':
        (void)fputs(ctl->help, stdout);
        return CTL_OK;
    case 'V':
        (void)puts("spawnctl " SPAWN_RELEASE);
        return CTL_OK;
    default:
        return CTL_TROUBLE; /* ctl_getopt has said what is wrong */
    }
}

int ctl_option_timeout(spawn_ctl *ctl, const char *text)
{
    uint64_t ms;

    if (spawn_parse_duration(text, &ms) || ms == 0 || ms > UINT32_MAX)
        return ctl_usage(ctl,
                         "--timeout: '%s' is not allowed; wanted: a time such "
                         "as 5, 500ms or 1min, more than 0 and at most 49d",
                         text);
    ctl->timeout_ms = (uint32_t)ms;
    return -1;
}

int ctl_connect(spawn_ctl *ctl)
{
    spawn_endpoint endpoint = {ctl->socket,     NULL, -1, "spawnctl",
                               ctl->timeout_ms, NULL};
    int rv = spawn_client_open(&endpoint, &ctl->client);

    if (rv == -ENAMETOOLONG)
        return ctl_usage(ctl,
                         "--socket: a path of at most 107 bytes is wanted");
    if (rv) {
        (void)fprintf(stderr, "spawnctl: %s\n", strerrordesc_np(-rv));
        return CTL_TROUBLE;
    }
    return 0;
}
