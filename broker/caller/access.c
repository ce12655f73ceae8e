/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SpawnAccess: what accounts may over the callers' socket. The kernel says
 * which account and groups a caller had when it connected, and httpd's parent,
 * where names become numbers, what these may. Runs in the broker. Must ask no
 * name service.
 *
 * A caller may bring 65,536 groups, and there may be 1,000 rules: so what it
 * may in each place is found once, when it connects, and again when the rules
 * change. Of its groups nothing is kept.
 */
#include "broker/caller/access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_log.h"
#include "common/spawn_name.h"
#include "common/spawn_os.h"
#include "broker/base/alloc.h"
#include "broker/base/array.h"
#include "broker/job/job.h"
#include "broker/job/queue.h"
#include "broker/store/store.h"
#include "broker/store/unrecorded.h"

#define NAME_MAX_TOLD 64

/* Rights of a child of httpd that only the secret lets in. */
#define OF_A_CHILD (SPAWN_MAY_SUBMIT | SPAWN_MAY_SEE | SPAWN_MAY_KILL)

typedef enum {
    OF_NOBODY, /* it only says that something is said */
    OF_UID,
    OF_GID
} whose;

typedef struct {
    char queue[SPAWN_NAME_MAX + 1]; /* "": outside of the queues */
    char name[NAME_MAX_TOLD + 1];   /* as httpd.conf has it */
    whose of;
    uint64_t id;
    uint64_t rights;
} rule;

static rule *rules;
static size_t rules_used, rules_room;

/* Where something is said: names of queues, in order. */
static const char **places;
static size_t places_used;

/* ---- what httpd says ---- */

void spawn_access_begin(void)
{
    rules_used = 0;
    places_used = 0;
}

int spawn_access_rule(const spawn_attr *nest, spawn_failure *why)
{
    const char *queue;
    spawn_message m;
    rule *r;

    if (spawn_body_parse(nest->data, nest->length, SPAWN_BODY_ACCESS, 0, &m,
                         why))
        return -1;
    queue = spawn_str_or(&m, SPAWN_A_QUEUE, "");
    if (*queue && !spawn_queue_name_ok(queue)) {
        spawn_failure_set(why, SPAWN_E_INVALID, SPAWN_STEP_CHECK, 0,
                          "'%.64s' is not a name of a queue", queue);
        return -1;
    }
    rules = spawn_array_grow(rules, rules_used, &rules_room, sizeof(*rules));
    r = &rules[rules_used++];
    (void)snprintf(r->queue, sizeof(r->queue), "%s", queue);
    (void)snprintf(r->name, sizeof(r->name), "%s",
                   spawn_str_or(&m, SPAWN_A_TEXT, ""));
    r->of = spawn_has(&m, SPAWN_A_UID)   ? OF_UID
            : spawn_has(&m, SPAWN_A_GID) ? OF_GID
                                         : OF_NOBODY;
    r->id = spawn_u64_or(&m, SPAWN_A_UID, spawn_u64_or(&m, SPAWN_A_GID, 0));
    r->rights = spawn_u64_or(&m, SPAWN_A_RIGHTS, 0);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_gid(const void *a, const void *b)
{
    gid_t x = *(const gid_t *)a, y = *(const gid_t *)b;

    return (x > y) - (x < y);
}

static const char **place_of(const char *queue)
{
    return places_used
               ? bsearch(&queue, places, places_used, sizeof(*places), by_name)
               : NULL;
}

static void find_places(void)
{
    size_t i, n = 0;

    free(places);
    places = spawn_alloc((rules_used + 1) * sizeof(*places));
    for (i = 0; i < rules_used; i++)
        places[i] = rules[i].queue;
    qsort(places, rules_used, sizeof(*places), by_name);
    for (i = 0; i < rules_used; i++) {
        if (n == 0 || strcmp(places[n - 1], places[i]) != 0)
            places[n++] = places[i];
    }
    places_used = n;
}

void spawn_access_end(void)
{
    spawn_peer *peer;

    find_places();
    for (peer = spawn_peer_next(NULL); peer; peer = spawn_peer_next(peer))
        spawn_access_look(peer, peer->watch.fd);
}

/* ---- what a caller may ---- */

typedef struct {
    gid_t *list; /* in order; of the last caller that was looked at */
    unsigned count;
} groups;

static gid_t *list_room;
static unsigned list_count;

static bool names_groups(void)
{
    size_t i;

    for (i = 0; i < rules_used; i++) {
        if (rules[i].of == OF_GID)
            return true;
    }
    return false;
}

/* Its own and others, when it connected; none when the kernel does not say
 * them. */
static groups groups_of(int fd)
{
    unsigned more = 0, i;
    groups g = {NULL, 0};
    gid_t gid;

    if (!names_groups())
        return g;
    (void)spawn_os_peer_groups(fd, NULL, 0, &more);
    if (more >= list_count) {
        list_count = more + 1;
        free(list_room);
        list_room = spawn_alloc(list_count * sizeof(gid_t));
    }
    g.list = list_room;
    if (spawn_os_peer(fd, NULL, NULL, &gid) == 0)
        g.list[g.count++] = gid;
    if (more && spawn_os_peer_groups(fd, g.list + g.count, more, &more) == 0)
        g.count += more;
    for (i = 1; i < g.count; i++) {
        if (g.list[i - 1] > g.list[i]) {
            qsort(g.list, g.count, sizeof(gid_t), by_gid);
            break;
        }
    }
    return g;
}

static bool has_group(const groups *g, uint64_t number)
{
    gid_t gid = (gid_t)number;

    return g->count
           && bsearch(&gid, g->list, g->count, sizeof(gid_t), by_gid) != NULL;
}

static bool is_of(const rule *r, const spawn_peer *peer, const groups *g)
{
    return r->of == OF_UID   ? r->id == peer->uid
           : r->of == OF_GID ? has_group(g, r->id)
                             : false;
}

void spawn_access_look(spawn_peer *peer, int fd)
{
    groups g;
    size_t i;

    free(peer->rights);
    peer->rights = NULL;
    peer->may = 0;
    if (peer->trusted || !places_used)
        return;
    g = groups_of(fd);
    peer->rights = spawn_alloc(places_used);
    for (i = 0; i < rules_used; i++) {
        uint8_t rights = (uint8_t)(rules[i].rights & SPAWN_MAY_ALL);

        if (!rights || !is_of(&rules[i], peer, &g))
            continue;
        peer->may |= rights;
        peer->rights[place_of(rules[i].queue) - places] |= rights;
    }
    if (!peer->may) {
        free(peer->rights);
        peer->rights = NULL;
    }
}

/* queue NULL: in any place. */
static uint64_t rights_of(const spawn_peer *peer, const char *queue)
{
    uint64_t rights = peer->proven ? OF_A_CHILD : 0;
    const char **place;

    if (peer->trusted)
        return SPAWN_MAY_ALL;
    if (!queue)
        return rights | peer->may;
    place = peer->rights ? place_of(queue) : NULL;
    if (!place && peer->rights)
        place = place_of("");
    return place ? rights | peer->rights[place - places] : rights;
}

bool spawn_access_knows(const spawn_peer *peer)
{
    return peer->may != 0;
}

bool spawn_access_limits(const spawn_peer *peer)
{
    return !peer->trusted;
}

bool spawn_access_has(const spawn_peer *peer, const char *queue, unsigned right)
{
    return (rights_of(peer, queue) & right) != 0;
}

bool spawn_access_sees(const void *peer, const char *queue)
{
    return spawn_access_has(peer, queue, SPAWN_MAY_SEE);
}

/* ---- a refused account is told ---- */

/* Of one that only a group lets in, no name is known. */
static const char *name_of(const spawn_peer *peer)
{
    size_t i;

    for (i = 0; i < rules_used; i++) {
        if (rules[i].of == OF_UID && rules[i].id == peer->uid)
            return rules[i].name;
    }
    return "";
}

static const char *words_of(uint64_t rights, char *text, size_t room)
{
    static const struct {
        uint64_t right;
        const char *word;
    } words[] = {{SPAWN_MAY_SUBMIT, "submit"},
                 {SPAWN_MAY_SEE, "see"},
                 {SPAWN_MAY_KILL, "kill"},
                 {SPAWN_MAY_CONTROL, "control"}};
    size_t i, used = 0;

    (void)snprintf(text, room, "nothing");
    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (rights & words[i].right)
            used += (size_t)snprintf(text + used, room - used, "%s%s",
                                     used ? "," : "", words[i].word);
    }
    return text;
}

static void say_why(const spawn_peer *peer, const char *place, unsigned right,
                    uint64_t rights, spawn_failure *why)
{
    const char *name = name_of(peer);
    char wanted[40], has[40];

    spawn_failure_set(
        why, SPAWN_E_NOT_PERMITTED, SPAWN_STEP_CHECK, 0,
        "uid %lu%s%s%s has not the right '%s' in %s: SpawnAccess of httpd.conf "
        "gives it %s there",
        (unsigned long)peer->uid, *name ? " (" : "", name, *name ? ")" : "",
        words_of(right, wanted, sizeof(wanted)), place,
        words_of(rights, has, sizeof(has)));
}

int spawn_access_check_of(const spawn_peer *peer, const char *queue,
                          unsigned right, const char *words, spawn_failure *why)
{
    uint64_t rights = rights_of(peer, queue);
    char place[SPAWN_NAME_MAX + 16] = "any queue";

    if (rights & right)
        return 0;
    if (queue)
        (void)snprintf(place, sizeof(place), "queue '%s'", queue);
    say_why(peer, place, right, rights, why);
    spawn_log_few(spawn_log_uid((long)peer->uid), SPAWN_LOG_FEW, SPAWN_LOG_WARN,
                  MSNO(0547) "a request (pid %d) is refused: %s",
                  (int)peer->pid, why->text);
    if (queue && words && !(rights & SPAWN_MAY_SEE))
        say_why(peer, words, right, rights, why);
    return -1;
}

int spawn_access_check(const spawn_peer *peer, const char *queue,
                       unsigned right, spawn_failure *why)
{
    return spawn_access_check_of(peer, queue, right, NULL, why);
}

/* ---- for people ---- */

static size_t say_rule(const rule *r, char *text, size_t room)
{
    char has[40];

    if (r->of == OF_NOBODY)
        return (size_t)snprintf(text, room, "none");
    return (size_t)snprintf(text, room, "%s=%s:%s",
                            r->of == OF_UID ? "user" : "group", r->name,
                            words_of(r->rights, has, sizeof(has)));
}

void spawn_access_put_row(const spawn_queue *q, spawn_writer *w)
{
    const char *place = place_of(q->name) ? q->name : "";
    char text[SPAWN_ACCESS_TEXT_MAX - 8], its[NAME_MAX_TOLD + 60];
    size_t i, used = 0;

    for (i = 0; i < rules_used; i++) {
        if (strcmp(rules[i].queue, place) != 0)
            continue;
        if (used + say_rule(&rules[i], its, sizeof(its)) + sizeof(";...")
            >= sizeof(text)) {
            (void)snprintf(text + used, sizeof(text) - used, ";...");
            break;
        }
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
                                 used ? ";" : "", its);
    }
    if (used)
        spawn_put_str(w, SPAWN_A_ACCESS_TEXT, text);
}

static bool is_shown(const void *peer, const char *queue)
{
    return spawn_access_has(peer, queue, SPAWN_MAY_ALL);
}

const spawn_queue *spawn_access_queue(const spawn_peer *peer, const char *name,
                                      spawn_failure *why)
{
    return spawn_queue_known(name, peer ? is_shown : NULL, peer, why);
}

/* ---- of a job ---- */

#define OF_THIS_JOB "the queue of this job"

typedef struct {
    char queue[SPAWN_NAME_MAX + 1];
    uid_t caller_uid;
} of_job;

static void set_job(of_job *ret, const char *queue, uid_t caller_uid)
{
    (void)snprintf(ret->queue, sizeof(ret->queue), "%s", queue);
    ret->caller_uid = caller_uid;
}

/* 1; 0: it is not known; -1: the store could not be read. */
static int find(const spawn_peer *peer, const spawn_id *id, of_job *ret)
{
    const spawn_job *job = spawn_job_find(id);
    const spawn_unrecorded *ended = spawn_unrecorded_find(id);
    spawn_dead_row row;
    int rv = 1;

    if (job) {
        set_job(ret, job->queue->name, job->caller_uid);
    }
    else if (ended) {
        set_job(ret, ended->queue, ended->caller_uid);
    }
    else {
        rv = spawn_store_dead(peer->batch->store, id, &row);
        if (rv == 1)
            set_job(ret, row.queue, row.caller_uid);
    }
    return rv;
}

static int unreadable(spawn_failure *why)
{
    spawn_failure_set(why, SPAWN_E_STORE, SPAWN_STEP_STORE, 0,
                      "the store could not be read");
    return -1;
}

int spawn_access_check_job(const spawn_peer *peer, const spawn_id *id,
                           unsigned right, spawn_failure *why)
{
    of_job job = {.caller_uid = 0};
    int rv;

    if (!spawn_access_limits(peer))
        return 0;
    rv = find(peer, id, &job);
    return rv < 0 ? unreadable(why)
                  : spawn_access_check_of(peer, rv ? job.queue : NULL, right,
                                          OF_THIS_JOB, why);
}

int spawn_access_check_known(const spawn_peer *peer, const spawn_id *id,
                             spawn_failure *why)
{
    of_job job = {.caller_uid = 0};
    int rv;

    if (!spawn_access_limits(peer))
        return 0;
    rv = find(peer, id, &job);
    if (rv < 0)
        return unreadable(why);
    return rv == 1 && job.caller_uid == peer->uid
                   && spawn_access_has(peer, job.queue, SPAWN_MAY_SUBMIT)
               ? 0
               : spawn_access_check_of(peer, rv == 1 ? job.queue : NULL,
                                       SPAWN_MAY_SEE, OF_THIS_JOB, why);
}

bool spawn_access_may_know(const spawn_peer *peer, const char *queue,
                           const spawn_id *id)
{
    of_job job = {.caller_uid = 0};

    return spawn_access_has(peer, queue, SPAWN_MAY_SEE)
           || (find(peer, id, &job) == 1 && job.caller_uid == peer->uid
               && spawn_access_has(peer, queue, SPAWN_MAY_SUBMIT));
}
