/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawnctl: start, list, watch and stop jobs from a shell. Runs as whoever
 * calls it, holds no privilege, and never becomes a parent of a job: all it
 * does is talk to the broker. spawnctl.1 is its manual.
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "common/spawn_release.h"

#define DEFAULT_TIMEOUT_MS 5000
#define VERBS              "run, ps, show, wait, kill, templates"

static const char main_help[] =
    "usage: spawnctl [options] verb [options] ...\n"
    "Start, list, watch and stop jobs of an httpd with mod_spawn.\n"
    "\n"
    "  run [options] [--] program [argument ...]   start a program\n"
    "  ps [options]                                list jobs\n"
    "  show [options] id ...                       all about a job\n"
    "  wait [options] id                           until it starts or ends\n"
    "  kill [options] id ...                       send a signal, or cancel\n"
    "  templates [options]                         what Perl jobs are forked "
    "from\n"
    "\n"
    "  -s, --socket PATH    httpd's SpawnSocket (default: $SPAWN_SOCKET, else\n"
    "                       " SPAWNCTL_SOCKET ")\n"
    "      --timeout TIME   longest time for an answer of the broker\n"
    "                       (default: 5 s); before the verb\n"
    "      --json           print JSON instead of text\n"
    "  -h, --help           this text; after a verb: its options\n"
    "  -V, --version        print the release\n";

static const struct {
    const char *name;
    int (*run)(spawn_ctl *ctl, int argc, char **argv);
    const char *help;
} verbs[] = {{"run", ctl_run, ctl_run_help},
             {"ps", ctl_ps, ctl_ps_help},
             {"show", ctl_show, ctl_show_help},
             {"wait", ctl_wait, ctl_wait_help},
             {"kill", ctl_kill, ctl_kill_help},
             {"templates", ctl_templates, ctl_templates_help}};

int ctl_usage(const spawn_ctl *ctl, const char *fmt, ...)
{
    va_list ap;

    if (fmt) {
        (void)fputs("spawnctl: ", stderr);
        va_start(ap, fmt);
        (void)vfprintf(stderr, fmt, ap);
        va_end(ap);
        (void)fputc('\n', stderr);
    }
    (void)fprintf(stderr, "  try 'spawnctl %s%s--help'\n",
                  ctl->verb ? ctl->verb : "", ctl->verb ? " " : "");
    return CTL_TROUBLE;
}

static const char *hint(const spawn_failure *why)
{
    switch (why->code) {
    case SPAWN_E_UNREACHABLE:
        if (why->step != SPAWN_STEP_CONNECT)
            return "try again, or give it more time: spawnctl --timeout 30 "
                   "...";
        if (why->error == EACCES)
            return "be root, or the user that httpd was started by or runs as";
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
            return NULL; /* what is asked for, not who asks */
        return "be root, or the user that httpd was started by or runs as";
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

int ctl_fail(const spawn_failure *why)
{
    const char *text = why->text[0] ? why->text : spawn_error_text(why->code);
    const char *error = why->error ? strerrordesc_np(why->error) : NULL;
    const char *todo = hint(why);

    (void)fputs("spawnctl: ", stderr);
    ctl_print_text(stderr, text, 0);
    if (error && strstr(text, error))
        error = NULL;
    if (why->step && error)
        (void)fprintf(stderr, " (%s, %s)", spawn_step_name(why->step), error);
    else if (why->step || error)
        (void)fprintf(stderr, " (%s)",
                      error ? error : spawn_step_name(why->step));
    (void)fputc('\n', stderr);
    if (todo)
        (void)fprintf(stderr, "  %s\n", todo);
    return CTL_TROUBLE;
}

int ctl_option(spawn_ctl *ctl, int option)
{
    switch (option) {
    case 's':
        ctl->socket = optarg;
        return -1;
    case 'J':
        ctl->json = true;
        return -1;
    case 'h':
        (void)fputs(ctl->help, stdout);
        return CTL_OK;
    case 'V':
        (void)puts("spawnctl " SPAWN_RELEASE);
        return CTL_OK;
    default:
        return ctl_usage(ctl, NULL); /* getopt has told what is wrong */
    }
}

int ctl_option_timeout(spawn_ctl *ctl, const char *text)
{
    uint64_t ms;

    if (spawn_parse_duration(text, &ms) || ms == 0 || ms > UINT32_MAX)
        return ctl_usage(ctl,
                         "--timeout: '%s' is not allowed; wanted: seconds, "
                         "more than 0",
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

/* A descriptor that we open must not become somebody's stdin, stdout or
 * stderr. */
static int hold_standard_descriptors(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR); /* not O_CLOEXEC: as 0 to 2 are */
    } while (fd >= 0 && fd <= 2);
    if (fd < 0)
        return -1;
    return close(fd);
}

static int run_verb(spawn_ctl *ctl, int argc, char **argv)
{
    size_t i;

    for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        static char name[] = "spawnctl";
        int code;

        if (strcmp(argv[0], verbs[i].name) != 0)
            continue;
        ctl->verb = verbs[i].name;
        ctl->help = verbs[i].help;
        argv[0] = name; /* getopt puts it before its messages */
        optind = 0;     /* begin anew */
        code = verbs[i].run(ctl, argc, argv);
        spawn_client_close(ctl->client);
        return code;
    }
    return ctl_usage(ctl, "'%s' is not a verb; wanted: " VERBS, argv[0]);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"timeout", required_argument, NULL, 'T'}, CTL_LONG_OPTIONS};
    spawn_ctl ctl = {NULL, main_help, NULL, DEFAULT_TIMEOUT_MS, false, NULL};
    int option, code;

    if (hold_standard_descriptors())
        return CTL_TROUBLE;
    (void)setlocale(LC_CTYPE, "");
    ctl.socket = getenv("SPAWN_SOCKET");
    if (!ctl.socket || !*ctl.socket)
        ctl.socket = SPAWNCTL_SOCKET;
    while ((option = getopt_long(argc, argv, CTL_SHORT_OPTIONS, options, NULL))
           != -1) {
        code = option == 'T' ? ctl_option_timeout(&ctl, optarg)
                             : ctl_option(&ctl, option);
        if (code >= 0)
            return code;
    }
    if (optind == argc)
        return ctl_usage(&ctl, "no verb; wanted: " VERBS);
    code = run_verb(&ctl, argc - optind, argv + optind);
    if (fflush(stdout) || ferror(stdout)) {
        (void)fprintf(stderr, "spawnctl: stdout: %s\n", strerrordesc_np(errno));
        return CTL_TROUBLE;
    }
    return code;
}
