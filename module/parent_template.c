/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates of the kind `parent`: forked from the httpd parent when mod_perl
 * has loaded everything, before any child of httpd exists.
 *
 * The forked process is not httpd any more: own session, no descriptor of
 * httpd's (each number that was open is /dev/null now: Perl and APR may still
 * hold some, and must not find a stranger there), no scoreboard, no secret, no
 * privilege. It never runs a pool's cleanups or an END block: it ends by _exit.
 *
 * Runs in the httpd parent; below "in the template" in the forked process.
 */
#include "module/parent_template.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "ap_mpm.h"
#include "http_main.h"
#include "scoreboard.h"
#include "apr_thread_proc.h"
#include "module/account.h"
#include "module/config.h"
#include "module/retained.h"
#include "common/spawn_os.h"
#include "common/spawn_packet.h"
#include "common/spawn_process.h"

#define YOUNG_MS    10000
#define PAUSE_MAX_S 60
#define KILLED_MAX  5 /* in a row without a pause */

typedef struct {
    const char *name; /* of this configuration; NULL: a free place */
    unsigned memory;  /* SPAWN_MEMORY_ */
    unsigned spares;
    apr_proc_t process;
    bool registered;
    bool alive;
    bool absent; /* httpd has no Perl to fork it from */
    bool told;   /* that it is, to this spawner */
    int64_t since_ms;
    int64_t retry_at_ms;
    unsigned young_deaths;
} parent_template;

static parent_template templates[SPAWN_TEMPLATES_MAX + 1];
static const spawn_setup *current; /* theirs; NULL when pconf is cleared */
static spawn_template_runner_fn runner;
static void *runner_interpreter;

/* Virtual hosts with a Perl of their own; no more are logged. */
#define OWN_PERLS_MAX 20
static server_rec *own_perls[OWN_PERLS_MAX];
static int own_perls_count;

static bool loaded; /* Apache2::Spawn, by some Perl of httpd's parent */

bool spawn_template_runner_there(void)
{
    return loaded || own_perls_count > 0;
}

void spawn_template_runner_set(spawn_template_runner_fn fn, void *interpreter)
{
    loaded = true;
    runner = fn;
    runner_interpreter = interpreter;
}

/* Keep the server_rec, which lives as long as the configuration; log it when
 * the templates are made, since the logs are open then. */
void spawn_own_perl_note(server_rec *s)
{
    if (own_perls_count < OWN_PERLS_MAX)
        own_perls[own_perls_count++] = s;
}

static void tell_own_perls(void)
{
    int i;

    for (i = 0; i < own_perls_count; i++)
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, own_perls[i],
                     MSNO(0250) "virtual host %s has a Perl of its own "
                                "(PerlOptions +Parent), of which there is no "
                                "template: its Perl jobs are forked from the "
                                "main server's, unless their queue or the call "
                                "names another template",
                     own_perls[i]->server_hostname
                         ? own_perls[i]->server_hostname
                         : "_default_");
    own_perls_count = 0;
}

void spawn_parent_templates_forget(void)
{
    own_perls_count = 0;
    loaded = false;
    runner = NULL;
    runner_interpreter = NULL;
}

/* ---- in the template ---- */

static void default_signals(void)
{
    sigset_t none;

    spawn_os_default_signals();
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* All but stderr (the error log) and the link become /dev/null. */
static int forget_descriptors(int link)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *e;

    if (null < 0 || !dir)
        return -1;
    while ((e = readdir(dir)) != NULL) {
        int fd = atoi(e->d_name);

        if (*e->d_name == '.' || fd == STDERR_FILENO || fd == link || fd == null
            || fd == dirfd(dir))
            continue;
        if (dup3(null, fd, O_CLOEXEC) < 0)
            return -1;
    }
    (void)closedir(dir);
    (void)dup2(null,
               STDIN_FILENO); /* not close-on-exec, since jobs replace them */
    (void)dup2(null, STDOUT_FILENO);
    return close(null);
}

/* httpd's parent trusts the scoreboard, so no template may write there. Plain
 * memory takes its place, for code that still looks at it. */
static int forget_scoreboard(void)
{
    long page = sysconf(_SC_PAGESIZE);
    uintptr_t from, to;

    if (!ap_scoreboard_image || !ap_scoreboard_image->global)
        return 0; /* at the first start there is none yet */
    from = (uintptr_t)ap_scoreboard_image->global;
    to = from + (uintptr_t)ap_calc_scoreboard_size();
    from &= ~((uintptr_t)page - 1);
    to = (to + (uintptr_t)page - 1) & ~((uintptr_t)page - 1);
    return mmap((void *)from, to - from, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                0) == MAP_FAILED
               ? -1
               : 0;
}

static int become(const spawn_account *account)
{
    gid_t groups[SPAWN_GROUPS_MAX];
    uint32_t i;

    if (!account->switched)
        return 0;
    for (i = 0; i < account->groups_count; i++)
        groups[i] = (gid_t)account->groups[i];
    if (setgroups(account->groups_count, groups) < 0
        || setresgid(account->gid, account->gid, account->gid) < 0
        || setresuid(account->uid, account->uid, account->uid) < 0)
        return -1;
    return 0;
}

static void be_template(const spawn_setup *setup, const parent_template *t,
                        int link) __attribute__((noreturn));

static void be_template(const spawn_setup *setup, const parent_template *t,
                        int link)
{
    /* a copy, since the original is wiped */
    spawn_account account = *setup->account;
    apr_uint64_t bounding_set = setup->conf->bounding_set;

    default_signals();
    if (setsid() < 0 || forget_descriptors(link) < 0 || forget_scoreboard() < 0
        || (bounding_set != SPAWN_CAPABILITIES_ALL
            && spawn_os_bounding_set(bounding_set) < 0)
        || become(&account) < 0)
        _exit(1);
    memset(setup->r->secret, 0, sizeof(setup->r->secret));
    (void)spawn_os_subreaper();
    if (chdir("/") < 0)
        _exit(1);
    runner(runner_interpreter, t->name, link, t->memory, t->spares);
    _exit(0);
}

/* ---- in the parent ---- */

static bool stopping(void)
{
    int state;

    return ap_mpm_query(AP_MPMQ_MPM_STATE, &state) != APR_SUCCESS
           || state == AP_MPMQ_STOPPING;
}

/* httpd warns of a child that nobody knows. Templates of earlier configurations
 * live until their jobs are done, and must be known until then. */
static void on_old_child(int reason, void *data, int status)
{
    pid_t *slot = data;

    (void)status;
    if (reason == APR_OC_REASON_DEATH || reason == APR_OC_REASON_LOST) {
        *slot = 0;
        apr_proc_other_child_unregister(slot); /* found by its data */
    }
}

static void know_old(const spawn_setup *setup, pid_t *place)
{
    apr_pool_t *pconf = setup->s->process->pconf;
    apr_proc_t *process = apr_pcalloc(pconf, sizeof(*process));

    process->pid = *place;
    apr_proc_other_child_register(process, on_old_child, place, NULL, pconf);
}

static void know_old_ones(const spawn_setup *setup)
{
    spawn_retained_templates *block = &setup->r->templates;
    int i;

    for (; block; block = block->next) {
        for (i = 0; i < SPAWN_RETAINED_TEMPLATES; i++) {
            if (block->pids[i] != 0)
                know_old(setup, &block->pids[i]);
        }
    }
}

/* The place of a template's pid, or for 0 a free one. NULL: there is none. */
static pid_t *place_of(spawn_retained *r, pid_t pid)
{
    spawn_retained_templates *block = &r->templates;
    int i;

    for (; block; block = block->next) {
        for (i = 0; i < SPAWN_RETAINED_TEMPLATES; i++) {
            if (block->pids[i] == pid)
                return &block->pids[i];
        }
    }
    return NULL;
}

/* More blocks are made when many live at once, and never freed. */
static void remember(const spawn_setup *setup, pid_t pid)
{
    pid_t *place = place_of(setup->r, 0);

    if (!place) {
        spawn_retained_templates *block =
            apr_pcalloc(setup->s->process->pool, sizeof(*block));

        block->next = setup->r->templates.next;
        setup->r->templates.next = block;
        place = &block->pids[0];
    }
    *place = pid;
}

static void forget(spawn_retained *r, pid_t pid)
{
    pid_t *place = place_of(r, pid);

    if (place)
        *place = 0;
}

/* Seconds to wait after so many young deaths in a row: none after the first,
 * nor after some that were killed. A template that cannot live ends by itself.
 */
static unsigned pause_after(unsigned deaths, bool killed)
{
    if (deaths < 2 || (killed && deaths <= KILLED_MAX))
        return 0;
    return deaths > 6 ? PAUSE_MAX_S : (1u << (deaths - 1)) - 1;
}

/* Templates end with their spawner. One that is forked before its successor is
 * there would have nobody to be told to. */
static bool has_spawner(const spawn_setup *setup)
{
    struct pollfd link = {.fd = setup->r->link, .events = 0};

    return link.fd >= 0 && poll(&link, 1, 0) == 0;
}

static void fork_template(const spawn_setup *setup, parent_template *t);

/* The MPM looks for children that have ended once a second. */
static void on_child(int reason, void *data, int status)
{
    parent_template *t = data;
    bool young = spawn_mono_ms() - t->since_ms < YOUNG_MS;
    char when[40];
    unsigned pause;

    if (reason == APR_OC_REASON_UNREGISTER) {
        t->registered = false;
        return;
    }
    if (reason != APR_OC_REASON_DEATH && reason != APR_OC_REASON_LOST)
        return;
    t->alive = false;
    forget(spawn_retained_get(), t->process.pid);
    if (t->registered)
        apr_proc_other_child_unregister(t);
    t->registered = false;
    t->young_deaths = young ? t->young_deaths + 1 : 0;
    /* httpd tells a signal's number, or an exit code */
    pause = pause_after(t->young_deaths, status == SIGKILL);
    t->retry_at_ms = spawn_mono_ms() + 1000 * (int64_t)pause;
    if (stopping() || !current)
        return;
    if (pause == 0)
        apr_cpystrn(when, "at once", sizeof(when));
    else
        apr_snprintf(when, sizeof(when), "within %u s", pause + 11);
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, ap_server_conf,
                 MSNO(0230) "template '%s' (pid %d) ended; another is forked "
                            "%s",
                 t->name, (int)t->process.pid, when);
    if (pause == 0 && runner && has_spawner(current))
        fork_template(current, t);
}

/* Give the spawner the other end of the template's link, and a pidfd: it may
 * have to end the template, and is not its parent. Or, without a process, tell
 * why there is none: jobs then fail with that reason instead of waiting. */
static int introduce(const spawn_setup *setup, const char *name, pid_t pid,
                     int link, const char *why)
{
    int fds[2] = {link, why ? -1 : spawn_os_pidfd(pid)};
    unsigned count = why ? 0 : fds[1] < 0 ? 1 : 2;
    uint8_t room[1024];
    spawn_writer w;
    spawn_id id;
    int rv;

    rv = spawn_id_make(&id);
    if (rv < 0)
        goto cleanup;
    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_TEMPLATE, 0);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, name);
    if (why)
        spawn_put_str(&w, SPAWN_A_TEXT, why);
    else
        spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    rv = spawn_writer_finish(&w, count);
    if (rv == 0)
        rv = spawn_packet_send(setup->r->link, w.data, w.length, fds, count);
cleanup:
    if (fds[1] >= 0)
        (void)close(fds[1]);
    return rv;
}

static void fork_template(const spawn_setup *setup, parent_template *t)
{
    int ends[2];
    pid_t pid;
    int rv;

    t->retry_at_ms = spawn_mono_ms() + 1000;
    if (setup->r->link < 0)
        return; /* try again when there is a spawner */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        ap_log_error(APLOG_MARK, APLOG_ERR, APR_FROM_OS_ERROR(errno), setup->s,
                     MSNO(0231) "no link for template '%s'", t->name);
        return;
    }
    pid = fork();
    if (pid == 0) {
        (void)close(ends[0]);
        be_template(setup, t, ends[1]);
    }
    (void)close(ends[1]);
    rv = pid < 0 ? -errno : introduce(setup, t->name, pid, ends[0], NULL);
    (void)close(ends[0]); /* a template that nobody knows ends by itself */
    if (rv < 0)
        ap_log_error(APLOG_MARK, APLOG_ERR, APR_FROM_OS_ERROR(-rv), setup->s,
                     MSNO(0232) "template '%s' could not be %s", t->name,
                     pid < 0 ? "forked" : "told to the spawner");
    if (pid < 0)
        return;
    memset(&t->process, 0, sizeof(t->process));
    t->process.pid = pid;
    remember(setup, pid);
    t->alive = true;
    t->since_ms = spawn_mono_ms();
    apr_proc_other_child_register(&t->process, on_child, t, NULL,
                                  setup->s->process->pconf);
    t->registered = true;
}

static apr_status_t forget_all(void *unused)
{
    (void)unused;
    memset(templates, 0, sizeof(templates));
    current = NULL;
    return APR_SUCCESS;
}

/* httpd has no Perl: its callers are to hear that. Until a spawner has it, the
 * monitor hook tries again. */
static int tell_absent(const spawn_setup *setup, parent_template *t)
{
    int rv;

    if (setup->r->link < 0)
        return -ENOTCONN;
    rv = introduce(setup, t->name, 0, -1,
                   "it is forked from httpd's own Perl, where Apache2::Spawn "
                   "is not loaded: add 'PerlModule Apache2::Spawn' to "
                   "httpd.conf");
    t->told = rv == 0;
    return rv;
}

/* The admin who configured it is to know, too. */
static void not_there(const spawn_setup *setup, parent_template *t,
                      const spawn_template_rules *rules)
{
    t->absent = true;
    if (tell_absent(setup, t) < 0 || rules->where)
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, setup->s,
                     MSNO(0233) "template '%s' is not there: it is forked "
                                "from httpd's own Perl, and 'PerlModule "
                                "Apache2::Spawn' is missing",
                     rules->name);
}

void spawn_parent_templates_begin(const spawn_setup *setup)
{
    const apr_array_header_t *all = setup->conf->templates;
    int i, used = 0;

    current = setup;
    apr_pool_cleanup_register(setup->s->process->pconf, NULL, forget_all,
                              apr_pool_cleanup_null);
    know_old_ones(setup);
    tell_own_perls();
    for (i = 0; i < all->nelts && used <= SPAWN_TEMPLATES_MAX; i++) {
        const spawn_template_rules *rules =
            APR_ARRAY_IDX(all, i, spawn_template_rules *);
        parent_template *t = &templates[used];

        if (!rules->parent)
            continue;
        t->name = rules->name;
        t->memory = rules->memory;
        t->spares = rules->spares;
        used++;
        if (runner)
            fork_template(setup, t);
        else
            not_there(setup, t, rules);
    }
}

const char *spawn_parent_templates_names(apr_pool_t *p)
{
    const char *names = "";
    int i;

    for (i = 0; i <= SPAWN_TEMPLATES_MAX && templates[i].name; i++) {
        if (!templates[i].absent)
            names = apr_pstrcat(p, names, *names ? ", " : "", templates[i].name,
                                NULL);
    }
    return names;
}

void spawn_parent_templates_look(const spawn_setup *setup)
{
    int64_t now = spawn_mono_ms();
    int i;

    for (i = 0; i <= SPAWN_TEMPLATES_MAX; i++) {
        parent_template *t = &templates[i];

        if (t->absent && !t->told)
            (void)tell_absent(setup, t);
        else if (runner && t->name && !t->absent && !t->alive
                 && now >= t->retry_at_ms)
            fork_template(setup, t);
    }
}

/* It is not told to the new one: nobody could say which of its orders it had
 * read. It ends when its jobs are done. */
static void leave_to_its_jobs(const spawn_setup *setup, parent_template *t)
{
    pid_t *place = place_of(setup->r, t->process.pid);

    if (t->registered)
        apr_proc_other_child_unregister(t);
    t->registered = t->alive = false;
    if (place)
        know_old(setup, place);
}

void spawn_parent_templates_again(const spawn_setup *setup)
{
    int i;

    for (i = 0; i <= SPAWN_TEMPLATES_MAX; i++) {
        parent_template *t = &templates[i];

        t->told = false;
        if (t->absent)
            (void)tell_absent(setup, t);
        if (!runner || !t->name || t->absent)
            continue;
        if (t->alive)
            leave_to_its_jobs(setup, t);
        fork_template(setup, t);
    }
}
