/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A module that forks a daemon from the httpd parent, as mod_wsgi and mod_cgid
 * do, and lets it turn against mod_spawn with whatever it has inherited: each
 * Unix socket gets the messages that would be worth something, and the secret
 * that lies in its memory is tried at the callers' socket.
 *
 * For tests only. ForeignDaemon runs in a process forked in post_config, the
 * handler in an httpd child. The daemon ends with httpd.
 *
 *   ForeignDir DIR        where the programs' files are: `marker`, `NAME.go`
 *                         (a FIFO; a byte starts an attack, `s` shuts the
 *                         control link down), `NAME.said`
 *   ForeignDaemon NAME    an account; its daemon is called the same
 *   ForeignDaemon NAME-raw  the same, forked past the C library, so that nobody
 *                         could take anything away from it
 *   SetHandler foreign    an attack from the child that serves the request
 */
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "module/retained.h"
#include "common/spawn_os.h"
#include "common/spawn_packet.h"
#include "http_protocol.h"

#define WAIT_MS 10000
#define RAW     "-raw"

extern module AP_MODULE_DECLARE_DATA foreign_module
    __attribute__((visibility("default")));

static const char *dir;
static apr_array_header_t *daemons;

/* ---- what is said about it ---- */

static char said[65536];

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *fmt, ...)
{
    size_t used = strlen(said);
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(said + used, sizeof(said) - used, fmt, ap);
    va_end(ap);
}

/* ---- messages ---- */

static void send_on(int sock, spawn_writer *w, const int *fds, unsigned count)
{
    int rv = spawn_writer_finish(w, count);

    if (rv == 0)
        rv = spawn_packet_send(sock, w->data, w->length, fds, count);
    say(" %s:%d", spawn_message_name((unsigned)w->data[4]), rv);
    spawn_writer_free(w);
}

static void begin(spawn_writer *w, uint16_t type)
{
    spawn_writer_init(w, SPAWN_REQUEST_MAX);
    spawn_writer_begin(w, type, 0);
}

static void plain(int sock, uint16_t type)
{
    spawn_writer w;

    begin(&w, type);
    send_on(sock, &w, NULL, 0);
}

static const char *marker(void)
{
    static char path[4096];

    (void)snprintf(path, sizeof(path), "%s/marker", dir);
    return path;
}

/* Another release, and what is said to be its program. */
static void configure(int sock)
{
    static const uint8_t secret[SPAWN_SECRET_SIZE] = {1};
    uint64_t role = SPAWN_FD_SPAWNER_BIN;
    int program = open(marker(), O_PATH | O_CLOEXEC);
    spawn_writer w;
    size_t mark;

    begin(&w, SPAWN_M_CONFIGURE);
    spawn_put_str(&w, SPAWN_A_RELEASE, "another");
    spawn_put_bytes(&w, SPAWN_A_SECRET, secret, sizeof(secret));
    spawn_put_u64v(&w, SPAWN_A_FD_ROLES, &role, 1);
    mark = spawn_open_nest(&w, SPAWN_A_QUEUE_RULES);
    spawn_put_str(&w, SPAWN_A_QUEUE, "default");
    spawn_put_u64(&w, SPAWN_A_MAX_JOBS, 1);
    spawn_put_u64(&w, SPAWN_A_MAX_QUEUED, 1);
    spawn_close(&w, mark);
    spawn_put_str(&w, SPAWN_A_STORE_PATH, "/tmp");
    spawn_put_str(&w, SPAWN_A_SOCKET_PATH, "configured");
    spawn_put_u64(&w, SPAWN_A_UID, 65534);
    spawn_put_u64(&w, SPAWN_A_GID, 65534);
    spawn_put_u64(&w, SPAWN_A_BROKER_UID, 65534);
    spawn_put_u64(&w, SPAWN_A_BROKER_GID, 65534);
    send_on(sock, &w, &program, 1);
    (void)close(program);
}

static void template(int sock)
{
    spawn_writer w;
    spawn_id id;

    (void)spawn_id_make(&id);
    begin(&w, SPAWN_M_TEMPLATE);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "app");
    spawn_put_str(&w, SPAWN_A_TEXT, "taken away by a foreign process");
    send_on(sock, &w, NULL, 0);
}

static void job(int sock, uint16_t type, const char *how)
{
    spawn_writer w;
    spawn_id id;
    size_t mark;

    (void)spawn_id_make(&id);
    begin(&w, SPAWN_M_SUBMIT);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, marker(), strlen(marker()));
    spawn_add_text(&w, mark, how, strlen(how));
    spawn_close(&w, mark);
    spawn_writer_set_type(&w, type);
    send_on(sock, &w, NULL, 0);
}

/* ---- the attack ---- */

static void on_socket(int fd)
{
    char bytes[64] = "no message at all";
    int got;

    say("socket %d:", fd);
    got = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (got >= 0 || errno == EAGAIN) {
        say(" listening\n");
        if (got >= 0)
            (void)close(got);
        return;
    }
    plain(fd, SPAWN_M_GO);
    template(fd);
    configure(fd);
    job(fd, SPAWN_M_POST, "posted");
    (void)send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)send(fd, bytes, 0, MSG_DONTWAIT | MSG_NOSIGNAL);
    say("\n");
}

static bool is_ours(int fd)
{
    int domain = 0, type = 0;
    socklen_t length = sizeof(int);

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0
           && domain == AF_UNIX
           && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0
           && type == SOCK_SEQPACKET;
}

static void on_descriptors(void)
{
    char link[64], target[256];
    int fd;

    for (fd = 3; fd < 1024; fd++) {
        ssize_t n;

        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, target, sizeof(target) - 1);
        if (n <= 0)
            continue;
        target[n] = '\0';
        if (strstr(target, "spawn") && !strstr(target, ".go"))
            say("file %d: %s\n", fd, target);
        if (is_ours(fd))
            on_socket(fd);
    }
}

static void hear(int sock)
{
    uint8_t room[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];
    struct pollfd p = {sock, POLLIN, 0};
    ssize_t n;

    (void)poll(&p, 1, WAIT_MS);
    n = recv(sock, room, sizeof(room), MSG_DONTWAIT);
    say(" heard %s",
        n > SPAWN_WIRE_HEADER ? spawn_message_name(room[4]) : "nothing");
}

static void at_the_door(void)
{
    const spawn_retained *r = ap_retained_data_get(SPAWN_RETAINED_KEY);
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    static const uint8_t zeros[SPAWN_SECRET_SIZE];
    struct sockaddr_un a;
    spawn_writer w;

    if (!r) {
        say("nothing is retained\n");
        return;
    }
    say("secret %s:",
        memcmp(r->secret, zeros, sizeof(zeros)) == 0 ? "wiped" : "there");
    memset(&a, 0, sizeof(a));
    a.sun_family = AF_UNIX;
    apr_cpystrn(a.sun_path, r->socket_path, sizeof(a.sun_path));
    if (connect(sock, (struct sockaddr *)&a, sizeof(a)) < 0) {
        say(" not connected: %s\n", strerror(errno));
        (void)close(sock);
        return;
    }
    begin(&w, SPAWN_M_HELLO);
    spawn_put_str(&w, SPAWN_A_CLIENT, "foreign");
    spawn_put_bytes(&w, SPAWN_A_SECRET, r->secret, SPAWN_SECRET_SIZE);
    send_on(sock, &w, NULL, 0);
    hear(sock);
    job(sock, SPAWN_M_SUBMIT, "submitted");
    hear(sock);
    say("\n");
    (void)close(sock);
}

static void attack(void)
{
    said[0] = '\0';
    say("pid %d uid %d\n", (int)getpid(), (int)getuid());
    on_descriptors();
    at_the_door();
}

/* No message, but the end of it for whoever is at the other end. */
static void shut_down(void)
{
    const spawn_retained *r = ap_retained_data_get(SPAWN_RETAINED_KEY);

    said[0] = '\0';
    say("shutdown: %d\n", shutdown(r->link, SHUT_RDWR));
}

/* ---- the daemon ---- */

static void report(const char *name)
{
    char part[4096], whole[4096];
    FILE *out;

    (void)snprintf(part, sizeof(part), "%s/%s.part", dir, name);
    (void)snprintf(whole, sizeof(whole), "%s/%s.said", dir, name);
    out = fopen(part, "we");
    if (!out)
        _exit(1);
    (void)fputs(said, out);
    (void)fclose(out);
    (void)rename(part, whole);
}

static void be_daemon(const char *name) __attribute__((noreturn));

static void be_daemon(const char *name)
{
    const struct passwd *as;
    char fifo[4096], account[256], byte;
    int go;

    apr_cpystrn(account, name, sizeof(account));
    if (strstr(account, RAW))
        *strstr(account, RAW) = '\0';
    as = getpwnam(account);

    if (!as || setgroups(0, NULL) < 0
        || setresgid(as->pw_gid, as->pw_gid, as->pw_gid) < 0
        || setresuid(as->pw_uid, as->pw_uid, as->pw_uid) < 0)
        _exit(1);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)snprintf(fifo, sizeof(fifo), "%s/%s.go", dir, name);
    for (;;) {
        go = open(fifo, O_RDONLY | O_CLOEXEC);
        if (go < 0)
            _exit(1);
        while (read(go, &byte, 1) == 1) {
            if (byte == 's')
                shut_down();
            else
                attack();
            report(name);
        }
        (void)close(go);
    }
}

static int fork_daemons(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                        server_rec *s)
{
    int i;

    (void)plog;
    (void)ptemp;
    (void)s;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG)
        return OK;
    for (i = 0; i < daemons->nelts; i++) {
        const char *name = APR_ARRAY_IDX(daemons, i, const char *);
        apr_proc_t *proc = apr_pcalloc(pconf, sizeof(*proc));

        proc->pid =
            strstr(name, RAW) ? (pid_t)syscall(SYS_clone, SIGCHLD, 0) : fork();
        if (proc->pid == 0)
            be_daemon(name);
        apr_pool_note_subprocess(pconf, proc, APR_KILL_ALWAYS);
    }
    return OK;
}

static int handler(request_rec *r)
{
    if (strcmp(r->handler, "foreign") != 0)
        return DECLINED;
    attack();
    ap_set_content_type(r, "text/plain");
    ap_rputs(said, r);
    return OK;
}

/* ---- the module ---- */

static const char *set_dir(cmd_parms *cmd, void *unused, const char *text)
{
    (void)cmd;
    (void)unused;
    dir = text;
    return NULL;
}

static const char *add_daemon(cmd_parms *cmd, void *unused, const char *text)
{
    (void)cmd;
    (void)unused;
    APR_ARRAY_PUSH(daemons, const char *) = text;
    return NULL;
}

static int begin_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    (void)plog;
    (void)ptemp;
    daemons = apr_array_make(pconf, 4, sizeof(const char *));
    return OK;
}

static void hooks(apr_pool_t *p)
{
    (void)p;
    ap_hook_pre_config(begin_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(fork_daemons, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}

static const command_rec directives[] = {
    AP_INIT_TAKE1("ForeignDir", set_dir, NULL, RSRC_CONF, "a directory"),
    AP_INIT_TAKE1("ForeignDaemon", add_daemon, NULL, RSRC_CONF, "an account"),
    {NULL, {NULL}, NULL, 0, RAW_ARGS, NULL}};

module AP_MODULE_DECLARE_DATA foreign_module = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, directives, hooks,
    AP_MODULE_FLAG_NONE};
