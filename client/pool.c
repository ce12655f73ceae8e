/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client and its connections. Runs in callers, in any thread.
 *
 * Fork: the locks are taken before it and let go after it on both sides, so
 * that in the child no lock is held by a thread that the child does not have.
 * Connections of an older generation are the parent's: the child must say
 * nothing on them, and closes its copies at once, before other code there can
 * close the numbers and open others in their place. A fork that runs no
 * handlers (a bare clone) is noticed by the process id. The locks are held for
 * a few list operations only, never while waiting for the broker.
 */
#include "client/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define IDLE_MOST          16 /* those that owe answers stay all the same */
#define DEFAULT_TIMEOUT_MS 2000
#define IN_DOUBT           256 /* calls; 8 KB of each process */

struct spawn_client {
    spawn_endpoint endpoint;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    char name[64];
    uint8_t secret[SPAWN_SECRET_SIZE];
    pthread_mutex_t lock;
    spawn_connection *all; /* under lock, as all below */
    unsigned idle;
    char release[SPAWN_RELEASE_TEXT];
    bool bound; /* never changes */
    bool broke; /* the last one that was used, and the other side broke it */
    struct spawn_client *next; /* under clients_lock */
};

static pthread_mutex_t clients_lock = PTHREAD_MUTEX_INITIALIZER;
static spawn_client *clients;
/* Those that went to a worker directly and have no answer: of all clients,
 * since a job may be submitted again by another one. Under clients_lock. */
static struct {
    spawn_id job, worker;
} in_doubt[IN_DOUBT];
static unsigned doubts;
static atomic_uint generation;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static const spawn_pool_events *told;         /* set once */
static const spawn_pool_events *told_of_fork; /* under clients_lock */

void spawn_pool_tell(const spawn_pool_events *events)
{
    __atomic_store_n(&told, events, __ATOMIC_RELEASE);
}

static void before_fork(void)
{
    const spawn_pool_events *events = __atomic_load_n(&told, __ATOMIC_ACQUIRE);
    spawn_client *client;

    if (events)
        events->lock();
    (void)pthread_mutex_lock(&clients_lock);
    told_of_fork = events; /* its lock is to be let go in any case */
    for (client = clients; client; client = client->next)
        (void)pthread_mutex_lock(&client->lock);
}

static void after_fork(void)
{
    const spawn_pool_events *events = told_of_fork;
    spawn_client *client;

    for (client = clients; client; client = client->next)
        (void)pthread_mutex_unlock(&client->lock);
    (void)pthread_mutex_unlock(&clients_lock);
    if (events)
        events->unlock();
}

/* Must make only calls that are allowed in the child of a process with
 * threads. */
static void after_fork_in_child(void)
{
    spawn_client *client;
    spawn_connection *c;

    atomic_fetch_add(&generation, 1);
    for (client = clients; client; client = client->next) {
        for (c = client->all; c; c = c->next) {
            spawn_fd_close(&c->kept);
            spawn_fd_close(&c->direct);
            c->fd = -1;
        }
    }
    if (told_of_fork)
        told_of_fork->in_child();
    after_fork();
}

static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

static int open_client(const spawn_endpoint *endpoint, bool bound,
                       spawn_client **ret)
{
    spawn_client *client;
    int rv;

    if (strlen(endpoint->socket_path) >= sizeof(client->path))
        return -ENAMETOOLONG;
    client = calloc(1, sizeof(*client));
    if (!client)
        return -ENOMEM;
    client->endpoint = *endpoint;
    client->bound = bound;
    memcpy(client->path, endpoint->socket_path,
           strlen(endpoint->socket_path) + 1);
    client->endpoint.socket_path = client->path;
    strncpy(client->name, endpoint->name ? endpoint->name : "caller",
            sizeof(client->name) - 1);
    client->endpoint.name = client->name;
    if (endpoint->secret) {
        memcpy(client->secret, endpoint->secret, sizeof(client->secret));
        client->endpoint.secret = client->secret;
    }
    if (client->endpoint.timeout_ms == 0)
        client->endpoint.timeout_ms = DEFAULT_TIMEOUT_MS;
    rv = pthread_mutex_init(&client->lock, NULL);
    if (rv) {
        free(client);
        return -rv;
    }
    (void)pthread_once(&fork_once, watch_forks);
    (void)pthread_mutex_lock(&clients_lock);
    client->next = clients;
    clients = client;
    (void)pthread_mutex_unlock(&clients_lock);
    *ret = client;
    return 0;
}

int spawn_client_open(const spawn_endpoint *endpoint, spawn_client **ret)
{
    return open_client(endpoint, false, ret);
}

int spawn_client_open_bound(const spawn_client *like, spawn_client **ret)
{
    return open_client(&like->endpoint, true, ret);
}

/* Its other end is there: what is unread does not matter. */
static bool is_whole(const spawn_connection *c)
{
    struct pollfd p = {.fd = spawn_fd_kept(&c->kept), .events = POLLRDHUP};

    return p.fd >= 0 && poll(&p, 1, 0) == 0;
}

bool spawn_client_holds(spawn_client *client)
{
    bool ret;

    (void)pthread_mutex_lock(&client->lock);
    ret = client->all ? is_whole(client->all) : !client->broke;
    (void)pthread_mutex_unlock(&client->lock);
    return ret;
}

void spawn_client_close(spawn_client *client)
{
    const spawn_pool_events *events = __atomic_load_n(&told, __ATOMIC_ACQUIRE);
    spawn_client **at;

    if (!client)
        return;
    (void)pthread_mutex_lock(&clients_lock);
    for (at = &clients; *at != client; at = &(*at)->next)
        ;
    *at = client->next;
    (void)pthread_mutex_unlock(&clients_lock);
    if (events)
        events->closed(client);
    while (client->all) {
        spawn_connection *c = client->all;

        client->all = c->next;
        spawn_connection_free(c);
    }
    (void)pthread_mutex_destroy(&client->lock);
    explicit_bzero(client->secret, sizeof(client->secret));
    free(client);
}

const spawn_endpoint *spawn_pool_endpoint(const spawn_client *client)
{
    return &client->endpoint;
}

bool spawn_pool_bound(const spawn_client *client)
{
    return client->bound;
}

void spawn_client_release(spawn_client *client, char *text)
{
    (void)pthread_mutex_lock(&client->lock);
    memcpy(text, client->release, sizeof(client->release));
    (void)pthread_mutex_unlock(&client->lock);
}

static bool is_parents(const spawn_connection *c, pid_t self)
{
    return c->generation != atomic_load(&generation) || c->pid != self;
}

/* The thread that awaits an answer notes that without the lock. */
static bool is_anothers(const spawn_connection *c)
{
    return c->awaited_count > 0 && !pthread_equal(c->awaits, pthread_self());
}

/* Under the lock: let go of a parent's connections, and find an idle one. */
static spawn_connection *find_idle(spawn_client *client)
{
    pid_t self = getpid();
    spawn_connection **at = &client->all;
    spawn_connection *found = NULL;

    while (*at) {
        spawn_connection *c = *at;

        if (is_parents(c, self)) {
            /* also a busy one: the thread that had it is in the parent */
            *at = c->next;
            if (!c->busy)
                client->idle--;
            spawn_connection_free(c);
            continue;
        }
        if (!found && !c->busy && !is_anothers(c))
            found = c;
        at = &c->next;
    }
    if (found) {
        found->busy = true;
        client->idle--;
    }
    return found;
}

static void add_busy(spawn_client *client, spawn_connection *c,
                     const char *release)
{
    c->generation = atomic_load(&generation);
    c->pid = getpid();
    c->busy = true;
    (void)pthread_mutex_lock(&client->lock);
    c->next = client->all;
    client->all = c;
    memcpy(client->release, release, sizeof(client->release));
    (void)pthread_mutex_unlock(&client->lock);
}

int spawn_pool_take(spawn_client *client, int64_t deadline,
                    spawn_connection **ret, bool *ret_fresh, spawn_failure *why)
{
    char release[SPAWN_RELEASE_TEXT];
    spawn_connection *c;
    int rv;

    (void)pthread_mutex_lock(&client->lock);
    c = find_idle(client);
    (void)pthread_mutex_unlock(&client->lock);
    if (!c) {
        rv = spawn_connection_open(&client->endpoint, client->bound, deadline,
                                   &c, release, why);
        if (rv)
            return rv;
        add_busy(client, c, release);
        *ret_fresh = true;
    }
    else {
        *ret_fresh = false;
    }
    *ret = c;
    return 0;
}

spawn_connection *spawn_pool_take_for(spawn_client *client,
                                      const spawn_awaited *a, bool *ret_busy)
{
    spawn_connection *c;

    (void)pthread_mutex_lock(&client->lock);
    c = a->connection;
    *ret_busy = c && c->busy;
    if (*ret_busy)
        c = NULL;
    if (c) {
        c->busy = true;
        client->idle--;
    }
    (void)pthread_mutex_unlock(&client->lock);
    return c;
}

int spawn_pool_watch(spawn_client *client, const spawn_awaited *a)
{
    int fd = -1;

    (void)pthread_mutex_lock(&client->lock);
    if (a->connection)
        fd = spawn_fd_kept(&a->connection->kept);
    if (fd >= 0)
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    (void)pthread_mutex_unlock(&client->lock);
    return fd;
}

void spawn_pool_forget(spawn_client *client, spawn_awaited *a)
{
    bool wait;

    do {
        spawn_connection *c;

        (void)pthread_mutex_lock(&client->lock);
        c = a->connection;
        wait = c && c->busy && !is_parents(c, getpid());
        if (c && !wait)
            spawn_connection_forget(c, a);
        (void)pthread_mutex_unlock(&client->lock);
        if (wait)
            spawn_pause(1, SPAWN_NO_DEADLINE);
    } while (wait);
}

void spawn_pool_give(spawn_client *client, spawn_connection *c)
{
    (void)pthread_mutex_lock(&client->lock);
    if (client->idle < IDLE_MOST || c->awaited_count > 0) {
        c->busy = false;
        client->idle++;
        c = NULL;
    }
    (void)pthread_mutex_unlock(&client->lock);
    if (c)
        spawn_pool_drop(client, c);
}

void spawn_pool_drop(spawn_client *client, spawn_connection *c)
{
    spawn_connection **at;

    (void)pthread_mutex_lock(&client->lock);
    for (at = &client->all; *at && *at != c; at = &(*at)->next)
        ;
    if (*at)
        *at = c->next;
    if (client->bound && c->used)
        client->broke = !is_whole(c);
    spawn_connection_forget_all(c);
    (void)pthread_mutex_unlock(&client->lock);
    spawn_connection_free(c);
}

/* ---- calls in doubt ---- */

void spawn_pool_doubt(const spawn_id *job, const spawn_id *worker)
{
    unsigned at;

    (void)pthread_mutex_lock(&clients_lock);
    at = doubts++ % IN_DOUBT;
    in_doubt[at].job = *job;
    in_doubt[at].worker = *worker;
    (void)pthread_mutex_unlock(&clients_lock);
}

bool spawn_pool_doubts(const spawn_id *job, spawn_id *ret_worker)
{
    unsigned i, count;
    bool found = false;

    (void)pthread_mutex_lock(&clients_lock);
    count = doubts < IN_DOUBT ? doubts : IN_DOUBT;
    for (i = 0; i < count && !found; i++) {
        found = spawn_id_equal(&in_doubt[i].job, job);
        if (found)
            *ret_worker = in_doubt[i].worker;
    }
    (void)pthread_mutex_unlock(&clients_lock);
    return found;
}
