/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn-standalone: a pair (spawner and broker) without httpd, for scripts,
 * development and test suites. Starts one for a directory unless it has one,
 * and returns when it is ready; a process stays behind as its parent, in
 * httpd's place. That one ends the pair when nobody has used it for a while and
 * no job runs or waits, or when its directory was removed. spawn-standalone.1
 * is its manual.
 *
 * Runs as the account that calls it, never as root: a job would be root then.
 * Must start no second pair beside one that lives, whoever calls it at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "common/spawn_os.h"
#include "common/spawn_release.h"
#include "common/spawn_sweep.h"
#include "common/spawn_text.h"
#include "parent/listen.h"
#include "standalone/standalone.h"

#define IDLE_MS    300000
#define MAX_JOBS   10
#define STARTER_MS 60000 /* for another one that starts it */
#define ENDING_MS  10000 /* for a parent that ends */
#define LOOK_MOST  5000  /* between two looks whether it is used */
#define PAUSE_MOST 60
#define LIVED_WELL 10000
#define END_WITHIN 60000
#define WRONG_USE  2

static const char help[] =
    "usage: spawn-standalone [options] DIRECTORY\n"
    "Start a spawner and a broker without httpd, unless DIRECTORY has them.\n"
    "\n"
    "      --idle TIME      end when unused for so long (default: 5 min)\n"
    "      --max-jobs N     so many jobs at once (default: 10)\n"
    "      --perl PROGRAM   of the template app (default: /usr/bin/perl)\n"
    "      --inc DIR        for its @INC; may stand up to 64 times\n"
    "      --preload NAME   module that it loads; may stand up to 64 times\n"
    "      --require FILE   Perl file that it loads\n"
    "  -h, --help           this text\n"
    "  -V, --version        print the release\n";

static volatile sig_atomic_t stop;

static void on_stop(int signo)
{
    (void)signo;
    stop = 1;
}

static int trouble(const char *what, const char *why)
{
    (void)fprintf(stderr, "spawn-standalone: %s: %s\n", what, why);
    return 1;
}

static int wrong(const char *what)
{
    (void)fprintf(stderr,
                  "spawn-standalone: %s\n"
                  "  try 'spawn-standalone --help'\n",
                  what);
    return WRONG_USE;
}

static int not_allowed(const char *option, const char *value, int rv)
{
    char what[200];

    if (rv == -E2BIG)
        (void)snprintf(what, sizeof(what), "--%s: at most %d of them", option,
                       STANDALONE_LIST_MAX);
    else
        (void)snprintf(what, sizeof(what), "--%s: '%.100s' is not allowed",
                       option, value);
    return wrong(what);
}

/* ---- the directory ---- */

static int make_dir(int at, const char *path)
{
    struct stat st;
    int fd;

    if (mkdirat(at, path, 0700) < 0 && errno != EEXIST)
        return -errno;
    fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) == 0 && st.st_uid == geteuid()
        && !(st.st_mode & (S_IWGRP | S_IWOTH)))
        return fd;
    (void)close(fd);
    return -EPERM;
}

static int enter(standalone *s, const char *path)
{
    char whole[PATH_MAX];
    int rv;

    s->dir = make_dir(AT_FDCWD, path);
    if (s->dir < 0)
        return s->dir;
    s->store_dir = make_dir(s->dir, STANDALONE_STORE);
    if (s->store_dir < 0)
        return s->store_dir;
    rv = make_dir(s->store_dir, "spool");
    if (rv < 0)
        return rv;
    (void)close(rv);
    if (!realpath(path, whole))
        return -errno;
    if (strlen(whole) >= sizeof(s->path))
        return -ENAMETOOLONG;
    (void)strcpy(s->path, whole);
    (void)snprintf(s->socket, sizeof(s->socket), "%s/" STANDALONE_SOCKET,
                   s->path);
    (void)snprintf(s->store, sizeof(s->store), "%s/" STANDALONE_STORE, s->path);
    return 0;
}

/* ---- the programs ---- */

static int open_programs(standalone *s, const char *dir)
{
    char broker[4096];

    (void)snprintf(s->spawner, sizeof(s->spawner), "%.4000s/spawner", dir);
    (void)snprintf(broker, sizeof(broker), "%.4000s/broker", dir);
    s->spawner_bin = open(s->spawner, O_PATH | O_CLOEXEC);
    s->broker_bin = open(broker, O_PATH | O_CLOEXEC);
    return s->spawner_bin < 0 || s->broker_bin < 0 ? -ENOENT : 0;
}

/* Beside us, as they are built; or where make install puts them. */
static int find_programs(standalone *s)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 16);
    char *slash;

    if (n > 0) {
        self[n] = '\0';
        slash = strrchr(self, '/');
        (void)strcpy(slash ? slash : self, "/mod_spawn");
        if (open_programs(s, self) == 0)
            return 0;
    }
    return open_programs(s, SPAWN_PROGRAMS);
}

/* ---- one starts it ---- */

static bool takes_callers(const standalone *s)
{
    int fd = spawn_connect_in(s->dir, STANDALONE_SOCKET);

    if (fd >= 0)
        (void)close(fd);
    return fd >= 0 || fd == -EAGAIN; /* many wait there */
}

/* Who has the lock of a pair's parent: 0, us, and one has to be started. 1:
 * another one, whose socket is there. The socket alone says nothing: its
 * process may have the number of a parent that was killed. */
static int look_for_parent(standalone *s)
{
    s->parent = standalone_lock(s->dir, STANDALONE_PARENT, 0);
    if (s->parent == -EWOULDBLOCK && takes_callers(s))
        return 1;
    if (s->parent == -EWOULDBLOCK) /* it is about to end */
        s->parent = standalone_lock(s->dir, STANDALONE_PARENT, ENDING_MS);
    return s->parent < 0 ? s->parent : 0;
}

/* ---- its parent ---- */

static void be_quiet(const standalone *s)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct sigaction act;

    (void)setsid();
    (void)umask(077);
    (void)!chdir("/");
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(null, STDOUT_FILENO);
    (void)dup2(s->log, STDERR_FILENO);
    if (null > STDERR_FILENO)
        (void)close(null);
    memset(&act, 0, sizeof(act));
    act.sa_handler = on_stop;
    (void)sigaction(SIGTERM, &act, NULL);
    (void)sigaction(SIGINT, &act, NULL);
    act.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &act, NULL);
    (void)sigaction(SIGHUP, &act, NULL);
    act.sa_handler = SIG_DFL; /* who has called us may ignore it */
    (void)sigaction(SIGCHLD, &act, NULL);
}

/* Another spawner in the place of one that was killed: slower and slower. */
static void start_again(standalone *s, int *pause_s, int64_t since)
{
    char why[200];

    if (spawn_mono_ms() - since > LIVED_WELL)
        *pause_s = 0;
    if (*pause_s > 0)
        (void)poll(NULL, 0, *pause_s * 1000);
    *pause_s = *pause_s == 0 ? 1 : *pause_s * 2;
    if (*pause_s > PAUSE_MOST)
        *pause_s = PAUSE_MOST;
    if (!stop && standalone_start(s, why) < 0) {
        (void)trouble(s->path, why);
        if (s->link >= 0)
            standalone_let_go(s, 0);
    }
}

static int look_every(const standalone *s)
{
    int64_t ms = s->options.idle_ms / 5 + 1;

    return (int)(ms < LOOK_MOST ? ms : LOOK_MOST);
}

static void serve(standalone *s)
{
    int64_t used_at = spawn_mono_ms(), since = used_at;
    bool found = true;
    int pause_s = 0;

    while (!stop) {
        struct pollfd link = {s->link, POLLIN, 0};

        (void)poll(&link, 1, look_every(s));
        found = standalone_found(s);
        if (!found) {
            (void)trouble(s->path, "it was removed, or its socket was");
            break;
        }
        if (s->link < 0 || !standalone_listen_to(s)) {
            start_again(s, &pause_s, since);
            since = spawn_mono_ms();
        }
        if (standalone_used(s))
            used_at = spawn_mono_ms();
        else if (spawn_mono_ms() - used_at >= s->options.idle_ms
                 && standalone_close_door(s))
            break;
    }
    /* a door is closed only where it is found */
    standalone_let_go(s, stop || !found ? 0 : END_WITHIN);
}

static int be_the_parent(standalone *s, int report, int starter)
{
    char why[200];
    int rv;

    be_quiet(s);
    rv = standalone_start(s, why);
    if (rv == 0)
        rv = standalone_ready(s, why);
    if (rv < 0) {
        (void)!write(report, why, strlen(why));
        if (s->link >= 0)
            standalone_let_go(s, 0);
        return 1;
    }
    (void)!write(report, "", 1);
    (void)close(report);
    (void)close(starter);
    serve(s);
    return 0;
}

static int start(standalone *s, int starter)
{
    char why[200];
    int report[2];
    ssize_t n;
    pid_t pid;

    if (pipe2(report, O_CLOEXEC) < 0)
        return trouble(s->path, strerror(errno));
    pid = fork();
    if (pid < 0)
        return trouble(s->path, strerror(errno));
    if (pid == 0) {
        (void)close(report[0]);
        _exit(be_the_parent(s, report[1], starter));
    }
    (void)close(report[1]);
    do {
        n = read(report[0], why, sizeof(why) - 1);
    } while (n < 0 && errno == EINTR);
    if (n == 1 && why[0] == '\0')
        return 0;
    why[n > 0 ? n : 0] = '\0';
    return trouble(s->path, n > 0 ? why : "it ended; see its log");
}

/* What we have of our caller would live as long as the pair does: a pipe whose
 * end somebody waits for, a lock. Of 0 to 2 each has to be there, or another
 * one that we open becomes it. */
static int keep_standard_descriptors(void)
{
    int fd;

    (void)spawn_os_close_from(STDERR_FILENO + 1);
    do {
        fd = open("/dev/null", O_RDWR); /* 0 to 2 outlive exec */
    } while (fd >= 0 && fd <= STDERR_FILENO);
    return fd < 0 ? -errno : close(fd);
}

/* ---- what is asked for ---- */

static int add(standalone_list *list, const char *text)
{
    if (list->count == STANDALONE_LIST_MAX)
        return -E2BIG;
    list->text[list->count++] = text;
    return 0;
}

static int take_number(const char *text, uint64_t *ret)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*end || end == text || value < 1 || value > 10000)
        return -EINVAL;
    *ret = value;
    return 0;
}

static int take_idle(const char *text, int64_t *ret)
{
    uint64_t ms;
    int rv = spawn_parse_duration(text, &ms);

    if (rv < 0 || ms == 0)
        return -EINVAL;
    *ret = (int64_t)ms;
    return 0;
}

enum {
    IDLE = 256,
    MAX,
    PERL,
    INC,
    PRELOAD,
    REQUIRE
};

static int take(standalone_options *o, int option, const char *text)
{
    switch (option) {
    case IDLE:
        return take_idle(text, &o->idle_ms);
    case MAX:
        return take_number(text, &o->max_jobs);
    case PERL:
        o->perl = text;
        return 0;
    case INC:
        return add(&o->include, text);
    case PRELOAD:
        return add(&o->preload, text);
    case REQUIRE:
        o->require = text;
        return 0;
    default:
        return -EINVAL;
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"idle", required_argument, NULL, IDLE},
        {"max-jobs", required_argument, NULL, MAX},
        {"perl", required_argument, NULL, PERL},
        {"inc", required_argument, NULL, INC},
        {"preload", required_argument, NULL, PRELOAD},
        {"require", required_argument, NULL, REQUIRE},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0}};
    static standalone s = {.options = {.idle_ms = IDLE_MS,
                                       .max_jobs = MAX_JOBS,
                                       .perl = "/usr/bin/perl"},
                           .listen = -1,
                           .post_rx = -1,
                           .post_tx = -1,
                           .inbox = -1,
                           .link = -1};
    int option, at, starter, rv;

    if (keep_standard_descriptors() < 0)
        return trouble("/dev/null", strerror(errno));
    while ((option = getopt_long(argc, argv, "hV", options, &at)) != -1) {
        if (option == 'h')
            return fputs(help, stdout) < 0;
        if (option == 'V')
            return puts("spawn-standalone " SPAWN_RELEASE) < 0;
        if (option == '?')
            return WRONG_USE;
        rv = take(&s.options, option, optarg);
        if (rv < 0)
            return not_allowed(options[at].name, optarg, rv);
    }
    if (optind != argc - 1)
        return wrong("one directory is wanted");
    if (geteuid() == 0 || getuid() != geteuid())
        return trouble(argv[optind],
                       "not as root: jobs would be root; use another account");
    rv = enter(&s, argv[optind]);
    if (rv < 0)
        return trouble(argv[optind],
                       rv == -EPERM
                           ? "it belongs to another account, or others "
                             "may write there"
                           : strerror(-rv));
    if (find_programs(&s) < 0)
        return trouble(s.spawner, "install mod_spawn again");
    starter = standalone_lock(s.dir, STANDALONE_STARTER, STARTER_MS);
    if (starter < 0)
        return trouble(s.path, strerror(-starter));
    rv = look_for_parent(&s);
    if (rv < 0)
        return trouble(s.path, rv == -EWOULDBLOCK
                                   ? "its parent does not end, and has no "
                                     "socket"
                                   : strerror(-rv));
    if (rv == 1)
        return 0;
    s.log = standalone_open_log(s.dir);
    if (s.log < 0)
        return trouble("its log", strerror(-s.log));
    return start(&s, starter);
}
