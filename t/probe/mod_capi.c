/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A module that uses the C API in every way, also in bad ones: what a test asks
 * for is in the path, the answer is what the API returned, a `name=value` a
 * line. For tests only; built against mod_spawn.h alone, as another one's is.
 *
 *   /capi/submit/UNTIL/WAIT/QUEUE?word+word   submit a program; WAIT in ms, the
 *                                        option queue only when it is there
 *   /capi/function/UNTIL/WAIT?name+text  a Perl function
 *   /capi/wait/UNTIL/WAIT?id, /capi/status?id, /capi/kill/SIGNAL?id,
 *   /capi/revive?id, /capi/start_now?id
 *   /capi/list/STATE/ROWS/QUEUE  STATE may be dead; a line `job=ID STATE DEAD`
 *                                for each
 *   /capi/cleanup, /capi/cleanup/-/-/QUEUE?word+word
 *   /capi/forked?word+word     submit in a process that the handler forks
 *   /capi/dies?word+word       submit, and end this httpd child
 *   /capi/threads/N?word+word  N threads run it at once, and compare the output
 *   /capi/fds/N?word+word      N times, with a pipe; open descriptors
 *   /capi/parent               what a submit in the parent had returned
 */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/wait.h>

#include "httpd.h"
#include "http_config.h"
#include "http_protocol.h"
#include "apr_strings.h"

#include "mod_spawn.h"

#define THREADS_MAX 32

extern module AP_MODULE_DECLARE_DATA capi_module
    __attribute__((visibility("default")));

static spawn_api api;
static int found;
static spawn_job_failure in_parent;

static void find(void)
{
    found = spawn_api_find(&api);
}

static int try_in_parent(apr_pool_t *p, apr_pool_t *log, apr_pool_t *temp,
                         server_rec *s)
{
    static const char *const argv[] = {"/bin/true", NULL};
    spawn_job *job;

    (void)log;
    (void)temp;
    find(); /* httpd calls this hook later */
    if (!found)
        return OK;
    job = api.make(p, NULL, s);
    api.program(job, argv);
    in_parent.size = sizeof(in_parent);
    api.submit(job, SPAWN_UNTIL_FINISHED, -1, NULL, &in_parent);
    return OK;
}

/* ---- what is asked for ---- */

typedef struct {
    request_rec *r;
    const char *action, *first, *second, *queue;
    const char **words; /* ended by NULL */
} asked;

static void read_asked(request_rec *r, asked *a)
{
    char *path = apr_pstrdup(r->pool, r->uri + strlen("/capi/")), *state;
    char *args = apr_pstrdup(r->pool, r->args ? r->args : ""), *word;
    apr_size_t count = 0;

    a->r = r;
    a->action = apr_strtok(path, "/", &state);
    a->first = a->action ? apr_strtok(NULL, "/", &state) : NULL;
    a->second = a->first ? apr_strtok(NULL, "/", &state) : NULL;
    a->queue = a->second ? apr_strtok(NULL, "/", &state) : NULL;
    a->words = apr_pcalloc(r->pool, (strlen(args) + 2) * sizeof(*a->words));
    for (word = apr_strtok(args, "+", &state); word;
         word = apr_strtok(NULL, "+", &state)) {
        (void)ap_unescape_url_keep2f(word, 1);
        a->words[count++] = word;
    }
    a->first = a->first ? a->first : "0";
    a->second = a->second ? a->second : "0";
}

static apr_interval_time_t wait_of(const asked *a)
{
    apr_int64_t ms = apr_atoi64(a->second);

    return ms < 0 ? -1 : ms * 1000;
}

/* "name=value", ..., "--" before the program are its options. */
static const char *const *take_options(const asked *a, spawn_job *job)
{
    const char *const *end = (const char *const *)a->words, *const * word;

    while (*end && strcmp(*end, "--") != 0)
        end++;
    if (!*end)
        return (const char *const *)a->words;
    for (word = (const char *const *)a->words; word < end; word++) {
        const char *value = strchr(*word, '=');

        if (value)
            api.option(
                job,
                apr_pstrmemdup(a->r->pool, *word, (apr_size_t)(value - *word)),
                value + 1);
    }
    return end + 1;
}

static spawn_job *job_of(const asked *a, apr_pool_t *p)
{
    spawn_job *job = api.make(p, a->r, NULL);

    api.program(job, take_options(a, job));
    api.option(job, "stdout", "capture");
    if (a->queue)
        api.option(job, "queue", a->queue);
    return job;
}

/* ---- what is answered ---- */

static void tell(const asked *a, apr_status_t rv, const spawn_job_info *info,
                 const spawn_job_failure *why)
{
    request_rec *r = a->r;

    ap_set_content_type(r, "text/plain");
    ap_rprintf(r, "status=%d\npid=%ld\n", rv, (long)getpid());
    if (why)
        ap_rprintf(r, "code=%s\nstep=%s\nerror=%d\nmessage=%s\n",
                   why->code_name, why->step, why->error, why->message);
    if (info)
        ap_rprintf(r,
                   "id=%s\nstate=%d\nend=%d\nexit_code=%d\nsignal=%d\n"
                   "attempt=%d\nqueue=%s\njob_pid=%" APR_INT64_T_FMT
                   "\nout=%s\n",
                   info->id, info->state, info->end, info->exit_code,
                   info->signal, info->attempt, info->queue ? info->queue : "",
                   info->pid, info->out.data ? info->out.data : "");
}

/* ---- actions ---- */

/* The job's pool goes before the job has run, and before its answer is told. */
static void submit(const asked *a, int function)
{
    spawn_job_failure why = {.size = sizeof(why)};
    spawn_job_info info = {.size = sizeof(info)};
    apr_pool_t *p;
    spawn_job *job;
    apr_status_t rv;

    (void)apr_pool_create(&p, a->r->pool);
    if (function) {
        job = api.make(p, a->r, NULL);
        api.function(job, a->words[0], a->words + 1);
    }
    else {
        job = job_of(a, p);
    }
    rv = api.submit(job, (spawn_until)atoi(a->first), wait_of(a), &info, &why);
    tell(a, rv, &info, &why);
    apr_pool_destroy(p);
}

static void ask(const asked *a)
{
    spawn_job_failure why = {.size = sizeof(why)};
    spawn_job_info info = {.size = sizeof(info)};
    const char *id = a->words[0];
    server_rec *s = a->r->server;
    apr_status_t rv;

    if (*a->action == 'w')
        rv = api.wait(s, a->r->pool, id, (spawn_until)atoi(a->first),
                      wait_of(a), &info, &why);
    else if (strcmp(a->action, "status") == 0)
        rv = api.status(s, a->r->pool, id, 1, &info, &why);
    else if (*a->action == 'k')
        rv = api.kill(s, id, atoi(a->first), &why);
    else if (*a->action == 'r')
        rv = api.revive(s, id, &why);
    else
        rv = api.start_now(s, id, &why);
    tell(a, rv,
         *a->action == 'w' || strcmp(a->action, "status") == 0 ? &info : NULL,
         &why);
}

static int row(void *of, const spawn_job_info *info)
{
    ap_rprintf(of, "job=%s %d %d %s\n", info->id, info->state, info->dead,
               info->queue);
    return 1;
}

static void list(const asked *a)
{
    spawn_job_filter which = {.size = sizeof(which),
                              .queue = a->queue,
                              .state = atoi(a->first),
                              .dead = strcmp(a->first, "dead") == 0,
                              .rows = (apr_size_t)atoi(a->second)};
    spawn_job_failure why = {.size = sizeof(why)};
    spawn_job_info info = {.size = sizeof(info)};

    tell(a, api.list(a->r->server, a->r->pool, &which, &info, row, a->r, &why),
         NULL, &why);
}

static void cleanup(const asked *a)
{
    spawn_job_failure why = {.size = sizeof(why)};
    apr_pool_t *p;
    spawn_job *job;
    apr_status_t rv;

    (void)apr_pool_create(&p, a->r->pool);
    job = job_of(a, p);
    rv = api.cleanup(job, a->r, SPAWN_CLEANUP_ALWAYS, &why);
    tell(a, rv, NULL, &why);
    ap_rprintf(a->r, "id=%s\n", api.id(job));
    apr_pool_destroy(p);
}

static void forked(const asked *a)
{
    spawn_job_failure why = {.size = sizeof(why)};
    spawn_job_info info = {.size = sizeof(info)};
    int status = -1;
    pid_t pid;

    /* so that there is a connection, which the process must leave alone */
    (void)api.submit(job_of(a, a->r->pool), SPAWN_UNTIL_FINISHED, -1, NULL,
                     NULL);
    pid = fork();
    if (pid == 0)
        _exit(api.submit(job_of(a, a->r->pool), SPAWN_UNTIL_FINISHED, -1, &info,
                         &why)
                  ? 1
                  : info.exit_code);
    if (pid > 0)
        (void)waitpid(pid, &status, 0);
    tell(a,
         api.submit(job_of(a, a->r->pool), SPAWN_UNTIL_FINISHED, -1, &info,
                    &why),
         &info, &why);
    ap_rprintf(a->r, "forked=%d\n",
               WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static void dies(const asked *a)
{
    (void)api.submit(job_of(a, a->r->pool), SPAWN_UNTIL_STARTED, -1, NULL,
                     NULL);
    (void)kill(getpid(), SIGKILL);
    (void)pause();
}

typedef struct {
    const asked *a;
    int number;
    int bad;
    pthread_t thread;
} runner;

/* A handler's threads have pools of their own. */
static void *run(void *arg)
{
    spawn_job_failure why = {.size = sizeof(why)};
    spawn_job_info info = {.size = sizeof(info)};
    runner *me = arg;
    apr_pool_t *p;
    spawn_job *job;
    char *want;
    int i;

    for (i = 0; i < 3; i++) {
        (void)apr_pool_create(&p, NULL);
        want = apr_itoa(p, me->number * 1000 + i);
        job = api.make(p, NULL, me->a->r->server);
        api.program(job, me->a->words);
        api.option(job, "stdout", "capture");
        api.data(job, want, strlen(want));
        if (api.submit(job, SPAWN_UNTIL_FINISHED, -1, &info, &why)
            || !info.out.data || strcmp(info.out.data, want) != 0)
            me->bad++;
        apr_pool_destroy(p);
    }
    return NULL;
}

static void threads(const asked *a)
{
    runner all[THREADS_MAX];
    int count = atoi(a->first), bad = 0, i;

    for (i = 0; i < count && i < THREADS_MAX; i++) {
        all[i] = (runner){.a = a, .number = i + 1};
        if (pthread_create(&all[i].thread, NULL, run, &all[i]))
            abort();
    }
    while (i-- > 0) {
        (void)pthread_join(all[i].thread, NULL);
        bad += all[i].bad;
    }
    tell(a, 0, NULL, NULL);
    ap_rprintf(a->r, "bad=%d\n", bad);
}

static int open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    while (dir && readdir(dir))
        count++;
    if (dir)
        (void)closedir(dir);
    return count;
}

static void fds(const asked *a)
{
    int count = atoi(a->first), before = 0, good = 0, i;

    for (i = 0; i <= count; i++) {
        spawn_job_failure why = {.size = sizeof(why)};
        spawn_job *job = job_of(a, a->r->pool);
        char text[64];
        int ends[2];
        ssize_t n;

        if (pipe(ends))
            break;
        api.fd(job, 1, ends[1]);
        if (api.submit(job, SPAWN_UNTIL_FINISHED, -1, NULL, &why) == 0) {
            /* ours is still open; with it the last one goes */
            good += close(ends[1]) == 0
                    && (n = read(ends[0], text, sizeof(text))) > 0
                    && read(ends[0], text, sizeof(text)) == 0;
        }
        else {
            (void)close(ends[1]);
        }
        (void)close(ends[0]);
        if (i == 0)
            before = open_fds(); /* with the connection */
    }
    tell(a, 0, NULL, NULL);
    ap_rprintf(a->r, "good=%d\nmore=%d\n", good, open_fds() - before);
}

static int handler(request_rec *r)
{
    asked a;

    if (!r->handler || strcmp(r->handler, "capi") != 0)
        return DECLINED;
    read_asked(r, &a);
    if (!found)
        return HTTP_SERVICE_UNAVAILABLE;
    if (strcmp(a.action, "submit") == 0 || strcmp(a.action, "function") == 0)
        submit(&a, *a.action == 'f' && a.action[1] == 'u');
    else if (strcmp(a.action, "wait") == 0 || strcmp(a.action, "status") == 0
             || strcmp(a.action, "kill") == 0 || strcmp(a.action, "revive") == 0
             || strcmp(a.action, "start_now") == 0)
        ask(&a);
    else if (strcmp(a.action, "list") == 0)
        list(&a);
    else if (strcmp(a.action, "cleanup") == 0)
        cleanup(&a);
    else if (strcmp(a.action, "forked") == 0)
        forked(&a);
    else if (strcmp(a.action, "dies") == 0)
        dies(&a);
    else if (strcmp(a.action, "threads") == 0)
        threads(&a);
    else if (strcmp(a.action, "fds") == 0)
        fds(&a);
    else if (strcmp(a.action, "parent") == 0)
        tell(&a, 0, NULL, &in_parent);
    else
        return HTTP_NOT_FOUND;
    return OK;
}

static void hooks(apr_pool_t *p)
{
    (void)p;
    ap_hook_optional_fn_retrieve(find, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(try_in_parent, NULL, NULL, APR_HOOK_REALLY_LAST);
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA capi_module = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, hooks,
    AP_MODULE_FLAG_NONE};
