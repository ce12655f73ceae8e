/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The brokers that this process talks to: one client for each endpoint, for the
 * life of the process, shared by all interpreters. Runs in callers. Must hold
 * no Perl data.
 *
 * Perl objects hold an index into the table, or a socket's path and how long an
 * answer is waited for, never a pointer: clones of an object (ithreads) and
 * children after a fork use it as it is. Entries are only added, and read
 * without the lock, so a fork while another thread adds one does no harm to
 * readers in the child; a fork waits for the lock, so that the child can add
 * some, too. They go with the last interpreter, and an interpreter that comes
 * just then waits for that.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_field.h"
#include "perl/xs/spawn_perl.h"

#define TIMEOUT_MAX_MS 3600000 /* as that of SpawnSubmitTimeout */

typedef struct {
    char *path;
    bool own; /* httpd's own: with secret and post socket */
    int post_fd;
    uint32_t timeout_ms;
    spawn_client *client;
} entry;

#define ENTRIES_MAX 256

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static entry *entries[ENTRIES_MAX];
static int entries_count;
static int interpreters;
static spawn_perl_httpd_fn httpd;
static spawn_perl_choose_fn httpd_choose;

void spawn_perl_set_httpd(spawn_perl_httpd_fn fn, spawn_perl_choose_fn choose)
{
    __atomic_store_n(&httpd_choose, choose, __ATOMIC_RELEASE);
    __atomic_store_n(&httpd, fn, __ATOMIC_RELEASE);
}

bool spawn_perl_in_httpd(void)
{
    return __atomic_load_n(&httpd, __ATOMIC_ACQUIRE) != NULL;
}

static int find(const spawn_endpoint *e, int count)
{
    bool own = e->secret != NULL;
    int i;

    for (i = 0; i < count; i++) {
        const entry *known = entries[i];

        if (known->timeout_ms == e->timeout_ms && known->own == own
            && known->post_fd == e->post_fd
            && strcmp(known->path, e->socket_path) == 0)
            return i;
    }
    return -1;
}

/* Without the lock: a fork takes the client's locks first. */
static int make(const spawn_endpoint *e, entry **ret)
{
    entry *made = calloc(1, sizeof(*made));
    int rv = -ENOMEM;

    if (!made)
        return -ENOMEM;
    made->own = e->secret != NULL;
    made->post_fd = e->post_fd;
    made->timeout_ms = e->timeout_ms;
    made->path = strdup(e->socket_path);
    if (!made->path)
        goto fail;
    rv = spawn_client_open(e, &made->client);
    if (rv < 0)
        goto fail;
    *ret = made;
    return 0;
fail:
    free(made->path);
    free(made);
    return rv;
}

static void discard(entry *made)
{
    spawn_client_close(made->client);
    free(made->path);
    free(made);
}

/* Another thread may have been faster: then *made stays the caller's. */
static int add(const spawn_endpoint *e, entry **made)
{
    int i = find(e, entries_count);

    if (i >= 0)
        return i;
    if (entries_count == ENTRIES_MAX)
        return -EMFILE;
    entries[entries_count] = *made;
    *made = NULL;
    __atomic_store_n(&entries_count, entries_count + 1, __ATOMIC_RELEASE);
    return entries_count - 1;
}

int spawn_perl_endpoint(const spawn_endpoint *e, spawn_failure *why)
{
    int i = find(e, __atomic_load_n(&entries_count, __ATOMIC_ACQUIRE));
    entry *made = NULL;
    sigset_t before;

    if (i >= 0)
        return i;
    spawn_perl_signals_off(&before);
    i = make(e, &made);
    if (i == 0) {
        (void)pthread_mutex_lock(&lock);
        i = add(e, &made);
        (void)pthread_mutex_unlock(&lock);
    }
    if (made)
        discard(made);
    spawn_perl_signals_on(&before);
    if (i >= 0)
        return i;
    if (i == -ENAMETOOLONG)
        spawn_failure_set(why, SPAWN_E_INVALID, SPAWN_STEP_CONNECT, -i,
                          "socket path '%.120s': a Unix socket's path has at "
                          "most 107 bytes",
                          e->socket_path);
    else if (i == -EMFILE)
        spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_CONNECT, -i,
                          "no more connections can be made: this process has "
                          "made %d, each of another socket or timeout; round "
                          "timeouts that are reckoned",
                          ENTRIES_MAX);
    else
        spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_CONNECT, -i,
                          "no more connections can be made");
    return -1;
}

spawn_client *spawn_perl_client(int index, uint32_t *ret_timeout_ms)
{
    if (index < 0 || index >= __atomic_load_n(&entries_count, __ATOMIC_ACQUIRE))
        return NULL;
    if (ret_timeout_ms)
        *ret_timeout_ms = entries[index]->timeout_ms;
    return entries[index]->client;
}

spawn_client *spawn_perl_brief_client(int index)
{
    spawn_endpoint e = {NULL, NULL, -1, "perl", SPAWN_PERL_SUBMIT_MS, NULL};
    spawn_failure unused;
    uint32_t timeout_ms = 0;
    int i;

    if (!spawn_perl_client(index, &timeout_ms) || spawn_perl_is_httpds(index)
        || timeout_ms <= SPAWN_PERL_SUBMIT_MS)
        return NULL;
    e.socket_path = entries[index]->path;
    i = spawn_perl_endpoint(&e, &unused);
    return i < 0 ? NULL : spawn_perl_client(i, NULL);
}

bool spawn_perl_is_httpds(int index)
{
    return index >= 0
           && index < __atomic_load_n(&entries_count, __ATOMIC_ACQUIRE)
           && entries[index]->own;
}

spawn_perl_choose_fn spawn_perl_httpd_queues(int index)
{
    return spawn_perl_is_httpds(index)
               ? __atomic_load_n(&httpd_choose, __ATOMIC_ACQUIRE)
               : NULL;
}

static void take_lock(void)
{
    (void)pthread_mutex_lock(&lock);
}

static void give_lock(void)
{
    (void)pthread_mutex_unlock(&lock);
}

/* The C library forgets it when this is unloaded. */
static void at_forks(void)
{
    (void)pthread_atfork(take_lock, give_lock, give_lock);
}

void spawn_perl_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    sigset_t before;

    (void)pthread_once(&once, at_forks);
    spawn_perl_signals_off(&before);
    take_lock();
    interpreters++;
    give_lock();
    spawn_perl_signals_on(&before);
}

void spawn_perl_end(void)
{
    entry *gone[ENTRIES_MAX];
    int count = 0;
    sigset_t before;

    spawn_perl_signals_off(&before);
    take_lock();
    if (--interpreters == 0) {
        count = entries_count;
        memcpy(gone, entries, (size_t)count * sizeof(gone[0]));
        __atomic_store_n(&entries_count, 0, __ATOMIC_RELEASE);
    }
    give_lock();
    spawn_perl_signals_on(&before);
    while (count > 0) {
        entry *e = gone[--count];

        spawn_client_close(e->client);
        free(e->path);
        free(e);
    }
}

/* ---- from Perl ---- */

static int index_for_path(pTHX_ const char *path, uint32_t timeout_ms)
{
    spawn_endpoint e = {path, NULL, -1, "perl", timeout_ms, NULL};
    spawn_failure why;
    int i;

    if (*path != '/')
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "socket path '%.120s' is not absolute; wanted: the "
                          "path that SpawnSocket names",
                          path);
    i = spawn_perl_endpoint(&e, &why);
    if (i < 0)
        spawn_perl_throw(aTHX_ & why, NULL);
    return i;
}

static uint32_t timeout_of(pTHX_ SV *value)
{
    const char *text;
    STRLEN length;
    uint64_t ms;

    SvGETMAGIC(value);
    if (!SvOK(value))
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "connect: timeout is undefined; leave it out for "
                          "its default");
    text = spawn_perl_bytes(aTHX_ value, &length, false, "connect: timeout");
    if (spawn_parse_duration(text, &ms) < 0 || ms == 0 || ms > TIMEOUT_MAX_MS)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "connect: timeout: '%.100s' is not allowed; wanted: "
                          "seconds, or a time such as 500ms, 30s or 2min, from "
                          "1ms to 1h",
                          text);
    return (uint32_t)ms;
}

static const char *connect_option(unsigned i)
{
    return i == 0 ? "timeout" : NULL;
}

/* When it stands twice the last counts, as when a hash is made of the list. */
static uint32_t timeout_option(pTHX_ SV **options, SSize_t count)
{
    SV *timeout = NULL;
    SSize_t i;

    if (count % 2 != 0)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "connect: options come in pairs after the path, "
                          "name => value");
    for (i = 0; i < count; i += 2) {
        STRLEN length;
        const char *name = spawn_perl_bytes(aTHX_ options[i], &length, false,
                                            "connect: the name of an option");

        if (strcmp(name, connect_option(0)) != 0)
            spawn_perl_unknown_option(aTHX_ name, connect_option);
        timeout = options[i + 1];
    }
    return timeout ? timeout_of(aTHX_ timeout) : SPAWN_PERL_SUBMIT_MS;
}

static SV *socket_in_environment(pTHX)
{
    HV *env = get_hv("ENV", 0);
    SV **path = env ? hv_fetchs(env, "SPAWN_SOCKET", 0) : NULL;

    if (path)
        SvGETMAGIC(*path);
    return path && SvOK(*path) ? *path : NULL;
}

static _Noreturn void no_socket_is_named(pTHX)
{
    spawn_failure why;

    spawn_failure_set(&why, SPAWN_E_UNREACHABLE, SPAWN_STEP_CONNECT, 0,
                      "this is not an httpd, and no socket is named: use "
                      "Apache2::Spawn->connect($path), or set SPAWN_SOCKET "
                      "to the path that SpawnSocket names");
    spawn_perl_throw(aTHX_ & why, NULL);
}

/* The broker of the httpd that we are in, else the one that the environment
 * names. */
static const char *own_path(pTHX_ STRLEN *ret_length)
{
    spawn_perl_httpd_fn fn = __atomic_load_n(&httpd, __ATOMIC_ACQUIRE);
    SV *path = fn ? NULL : socket_in_environment(aTHX);
    spawn_failure why;
    spawn_endpoint e;

    if (path)
        return spawn_perl_bytes(aTHX_ path, ret_length, false, "SPAWN_SOCKET");
    if (!fn)
        no_socket_is_named(aTHX);
    if (fn(NULL, &e, &why))
        spawn_perl_throw(aTHX_ & why, NULL);
    *ret_length = strlen(e.socket_path);
    return e.socket_path;
}

/* The object is a string, so that any serializer can carry it: the path and,
 * where it is not the default, a NUL and the timeout in ms. */
SV *spawn_perl_connect(pTHX_ SV *class_name, SV *path, SV **options,
                       SSize_t count)
{
    STRLEN length;
    const char *text;
    uint32_t timeout_ms;
    HV *stash;
    SV *inner, *object;

    spawn_perl_hold(aTHX_ path);
    spawn_perl_hold_all(aTHX_ options, count);
    timeout_ms = timeout_option(aTHX_ options, count);
    stash = SvROK(class_name) && SvOBJECT(SvRV(class_name))
                ? SvSTASH(SvRV(class_name))
                : gv_stashsv(class_name, GV_ADD);
    text = SvOK(path) ? spawn_perl_word(aTHX_ path, &length, "socket path")
                      : own_path(aTHX_ & length);
    (void)index_for_path(aTHX_ text, timeout_ms);
    inner = newSVpvn(text, length);
    if (timeout_ms != SPAWN_PERL_SUBMIT_MS)
        sv_catpvf(inner, "%c%lu", 0, (unsigned long)timeout_ms);
    object = newRV_noinc(inner);
    sv_bless(object, stash);
    SvREADONLY_on(inner);
    return object;
}

/* It may have been blessed by somebody else. */
static int index_of_object(pTHX_ SV *inner)
{
    const char *path = SvPVX(inner);
    size_t length = strlen(path);
    int64_t ms = SPAWN_PERL_SUBMIT_MS;

    if (length < SvCUR(inner)
        && (spawn_parse_integer(path + length + 1, &ms) < 0 || ms < 1
            || ms > TIMEOUT_MAX_MS))
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "not a connection; wanted: what "
                          "Apache2::Spawn->connect($path) gives");
    return index_for_path(aTHX_ path, (uint32_t)ms);
}

int spawn_perl_httpd_endpoint(pTHX_ void *server)
{
    spawn_perl_httpd_fn fn = __atomic_load_n(&httpd, __ATOMIC_ACQUIRE);
    spawn_endpoint e;
    spawn_failure why;
    int i = -1;

    if (!fn) /* in a template that was forked from httpd, and in its jobs */
        return spawn_perl_own_endpoint(aTHX_ false);
    spawn_perl_enter(aTHX);
    if (fn(server, &e, &why) == 0)
        i = spawn_perl_endpoint(&e, &why);
    if (i < 0)
        spawn_perl_throw(aTHX_ & why, NULL);
    LEAVE;
    return i;
}

bool spawn_perl_has_broker(pTHX)
{
    spawn_perl_httpd_fn fn = __atomic_load_n(&httpd, __ATOMIC_ACQUIRE);
    spawn_endpoint e;
    spawn_failure unused;

    return fn ? fn(NULL, &e, &unused) == 0
              : socket_in_environment(aTHX) != NULL;
}

/* Has this process connected to one broker only, with whatever timeouts? */
static bool one_broker(void)
{
    int count = __atomic_load_n(&entries_count, __ATOMIC_ACQUIRE);
    int i;

    for (i = 1; i < count; i++) {
        if (strcmp(entries[i]->path, entries[0]->path) != 0)
            return false;
    }
    return count > 0;
}

int spawn_perl_own_endpoint(pTHX_ bool any)
{
    STRLEN length;
    SV *path;

    if (__atomic_load_n(&httpd, __ATOMIC_ACQUIRE))
        return spawn_perl_httpd_endpoint(aTHX_ NULL);
    path = socket_in_environment(aTHX);
    if (path)
        return index_for_path(
            aTHX_ spawn_perl_bytes(aTHX_ path, &length, false, "SPAWN_SOCKET"),
            SPAWN_PERL_SUBMIT_MS);
    if (any && one_broker())
        return 0;
    no_socket_is_named(aTHX);
}

/* It is mostly our own name, which needs no look into Perl's tables. */
static bool is_class(pTHX_ SV *self)
{
    static const char own[] = SPAWN_PERL_CLASS;

    return (SvPOK(self) && SvCUR(self) == sizeof(own) - 1
            && memcmp(SvPVX(self), own, sizeof(own) - 1) == 0)
           || (SvOK(self) && sv_derived_from(self, SPAWN_PERL_CLASS));
}

int spawn_perl_invocant(pTHX_ SV *self)
{
    SvGETMAGIC(self);
    if (SvROK(self) && sv_derived_from(self, SPAWN_PERL_CLASS)
        && SvPOK(SvRV(self)))
        return index_of_object(aTHX_ SvRV(self));
    if (!is_class(aTHX_ self))
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "this is a method, not a function: write it with an "
                          "arrow, as in Apache2::Spawn->run(...)");
    return spawn_perl_own_endpoint(aTHX_ false);
}
