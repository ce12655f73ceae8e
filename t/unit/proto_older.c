/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers of an older release are met without an error: what they send is taken,
 * and for each thing that they do not know it is said here how they are kept
 * from it. A process that outlives an upgrade (a child of httpd, a template, a
 * worker) or is older than it (a container's spawnctl) is such a peer.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/spawn_proto.h"
#include "t/unit/proto_before.h"

/* How an older peer is met. */
enum {
    PASSED_OVER, /* it passes over what is new in such a message */
    OWN_RELEASE, /* only sent to a peer of the sender's release */
    ASKED,       /* only sent to a peer that has said that it knows it, or has
                    begun what this belongs to */
    REFUSED,     /* a request: the older one refuses it and names
                    it, and nobody sends it who does not ask for it */
    OWN_PAIR     /* spawner and broker are of one release: the old broker ends
                    before the new spawner is executed, and when that fails the
                    new broker understands the old spawner */
};

#define OF_A_JOB(NAME)                                                         \
    {SPAWN_M_SUBMIT, SPAWN_A_##NAME, REFUSED},                                 \
    {                                                                          \
        SPAWN_M_POST, SPAWN_A_##NAME, REFUSED                                  \
    }

/* New attributes of messages, or (0) new messages. */
static const struct {
    uint16_t type;
    uint8_t attr;
    uint8_t how;
} met[] = {
    {SPAWN_M_PROCESS, SPAWN_A_TEMPLATE_SPARES, PASSED_OVER},
    {SPAWN_M_PROCESS, SPAWN_A_RESIDENT, PASSED_OVER},
    OF_A_JOB(PRIORITY),
    OF_A_JOB(DELAY),
    OF_A_JOB(AT),
    OF_A_JOB(EXPIRES),
    OF_A_JOB(BACKOFF),
    OF_A_JOB(UNIQUE),
    OF_A_JOB(DURABLE),
    OF_A_JOB(RETRY_ON),
    OF_A_JOB(AFTER),
    OF_A_JOB(ON_CONFLICT),
    OF_A_JOB(UNIQUE_FOR),
    OF_A_JOB(AFTER_FAILED),
    {SPAWN_M_HELLO, SPAWN_A_BOUND, REFUSED}, /* by who has `until` only */
    {SPAWN_M_LIST, SPAWN_A_CONTEXT, REFUSED},
    {SPAWN_M_GET, SPAWN_A_OUTPUT_FROM, REFUSED},
    {SPAWN_M_LIST, SPAWN_A_ENDED_AS, REFUSED},
    {SPAWN_M_LIST, SPAWN_A_WHAT, REFUSED},
    {SPAWN_M_LIST, SPAWN_A_LABEL, REFUSED},
    {SPAWN_M_LIST, SPAWN_A_SINCE, REFUSED},
    {SPAWN_M_LIST, SPAWN_A_UNTIL, REFUSED},
    {SPAWN_M_LIST, SPAWN_A_SEARCH, REFUSED},
    {SPAWN_M_LIST, SPAWN_A_OLDEST_FIRST, REFUSED},
    {SPAWN_M_LIST, SPAWN_A_LOOKS, REFUSED},
    {SPAWN_M_LIST, SPAWN_A_ENDED_SINCE, REFUSED},
    {SPAWN_M_LIST, SPAWN_A_ARGV_MOST, REFUSED}, /* client/ does without */
    {SPAWN_M_JOB, SPAWN_A_ARGV_CUT, ASKED},     /* by ARGV_MOST */
    {SPAWN_M_JOB, SPAWN_A_DUE_AT, PASSED_OVER},
    {SPAWN_M_JOB, SPAWN_A_EXPIRES_AT, PASSED_OVER},
    {SPAWN_M_JOB, SPAWN_A_CWD, PASSED_OVER},
    {SPAWN_M_JOB, SPAWN_A_USER, PASSED_OVER},
    {SPAWN_M_JOB, SPAWN_A_GROUP, PASSED_OVER},
    {SPAWN_M_JOB, SPAWN_A_STDOUT, PASSED_OVER},
    {SPAWN_M_JOB, SPAWN_A_STDERR, PASSED_OVER},
    {SPAWN_M_JOB, SPAWN_A_TIMEOUT, PASSED_OVER},
    {SPAWN_M_JOB, SPAWN_A_GRACE, PASSED_OVER},
    {SPAWN_M_JOB, SPAWN_A_NICE, PASSED_OVER},
    {SPAWN_M_JOB, SPAWN_A_IONICE, PASSED_OVER},
    {SPAWN_M_JOB, SPAWN_A_LIMITS, PASSED_OVER},
    {SPAWN_M_JOB, SPAWN_A_LEFTOVERS, PASSED_OVER},
    {SPAWN_M_JOB, SPAWN_A_RETRY, PASSED_OVER},
    {SPAWN_M_JOB, SPAWN_A_PRIORITY, PASSED_OVER},
    {SPAWN_M_JOB, SPAWN_A_ATTEMPT, PASSED_OVER},
    {SPAWN_M_JOB, SPAWN_A_UNIQUE, PASSED_OVER},
    {SPAWN_M_JOB, SPAWN_A_AFTER, PASSED_OVER},
    {SPAWN_M_CONFIGURE, SPAWN_A_CRON_RULES, PASSED_OVER},
    {SPAWN_M_CONFIGURE, SPAWN_A_QUEUE_DEFAULTS, PASSED_OVER},
    {SPAWN_M_CONFIGURE, SPAWN_A_ACCOUNT, PASSED_OVER},
    {SPAWN_M_SIGNAL, SPAWN_A_BOOT_STARTED, OWN_PAIR},
    {SPAWN_M_CONFIGURE, SPAWN_A_QUEUE_ALLOW, PASSED_OVER},
    {SPAWN_M_CONFIGURE, SPAWN_A_CGROUP, PASSED_OVER},
    {SPAWN_M_CONFIGURE, SPAWN_A_ACCESS, PASSED_OVER},
    {SPAWN_M_CONFIGURE, SPAWN_A_CONFIGURED_AT, PASSED_OVER},
    {SPAWN_M_CONFIGURE, SPAWN_A_RELAY_URL, PASSED_OVER},
    {SPAWN_M_CONFIGURE, SPAWN_A_HOST, PASSED_OVER},
    {SPAWN_M_TEMPLATE_SAID, SPAWN_A_MONO_STARTED, OWN_PAIR},
    {SPAWN_M_CRON, 0, REFUSED},
    {SPAWN_M_QUEUES, 0, REFUSED},
    {SPAWN_M_QUEUE_STATE, 0, ASKED},          /* by QUEUES */
    {SPAWN_M_CRON_ENTRY, 0, ASKED},           /* by CRON */
    {SPAWN_M_ACCEPTED, SPAWN_A_OTHER, ASKED}, /* by on_conflict keep */
    {SPAWN_M_ORPHANED, SPAWN_A_STEP, OWN_PAIR},
    {SPAWN_M_ORPHANED, SPAWN_A_ERRNO, OWN_PAIR},
    {SPAWN_M_ORPHANED, SPAWN_A_ATTEMPT, OWN_PAIR},
    {SPAWN_M_RUNNING, SPAWN_A_ATTEMPT, OWN_PAIR},
    {SPAWN_M_STARTED, SPAWN_A_ATTEMPT, OWN_PAIR},
    {SPAWN_M_EXITED, SPAWN_A_ATTEMPT, OWN_PAIR},
    /* an older template ends by it, and its orders go to its follower */
    {SPAWN_M_LAUNCH, SPAWN_A_ATTEMPT, OWN_PAIR},
    {SPAWN_M_JOB, SPAWN_A_ATTEMPTS, PASSED_OVER},
    {SPAWN_M_JOB, SPAWN_A_DEAD, PASSED_OVER},
    {SPAWN_M_END, SPAWN_A_DEAD, PASSED_OVER},
    {SPAWN_M_REVIVE, 0, REFUSED},
    {SPAWN_M_START_NOW, 0, REFUSED},
    {SPAWN_M_LEASE, 0, OWN_RELEASE}, /* as told in HELLO */
    {SPAWN_M_LEND, 0, ASKED},        /* by RETURNED's sequence number */
    {SPAWN_M_TAKE_BACK, 0, ASKED},   /* after LEND */
    {SPAWN_M_GIVEN_BACK, 0, ASKED},  /* after LEND */
    {SPAWN_M_SLATE, 0, ASKED},       /* after LEND */
    {SPAWN_M_NOT_TAKEN, 0, ASKED},   /* after LEASE */
    {SPAWN_M_LEASE_LOST, 0, ASKED},  /* after LEASE */
    {SPAWN_M_ALIVE, 0, OWN_RELEASE},
    {SPAWN_M_METERS, 0, REFUSED},
    {SPAWN_M_WATCH, 0, REFUSED},
    {SPAWN_M_METER, 0, ASKED}, /* by METERS */
    {SPAWN_M_RELAY, 0, OWN_PAIR}, /* and the relay comes and goes with them */
    {SPAWN_M_RELAY_RULES, 0, OWN_PAIR},
    {SPAWN_M_CARRY, 0, OWN_PAIR},
    {SPAWN_M_CARRIED, 0, OWN_PAIR},
    {SPAWN_M_ROOM, 0, OWN_PAIR},
    {SPAWN_M_CAME, 0, OWN_PAIR},
    {SPAWN_M_KEPT, 0, OWN_PAIR},
    {SPAWN_M_RELAY_STATE, 0, OWN_PAIR},
    {SPAWN_M_SHARED_JOB, 0, ASKED}, /* an older host shares no queue */
    {SPAWN_M_SHARED_NEWS, 0, ASKED},
    {SPAWN_M_EMPTY, 0, ASKED}, /* an older httpd asks no external spawner */
};
#define MET (sizeof(met) / sizeof(met[0]))

static spawn_writer w;
static spawn_message m;
static spawn_failure why;

/* ---- a message with each attribute that is wanted ---- */

static void put_empty(uint16_t id)
{
    static const spawn_id some = {{1, 2, 3, 4, 5, 6, 0x70, 8, 0x80}};
    static const spawn_stdio null = {SPAWN_STDIO_NULL, 0, 0, ""};
    static const struct {
        uint8_t id, kind;
    } kinds[] = {
#define X_KIND(n, NAME, KIND, max, name) {n, SPAWN_KIND_##KIND},
        SPAWN_ATTR_LIST(X_KIND)};
    size_t i;

    for (i = 0; kinds[i].id != id; i++)
        assert_true(i + 1 < sizeof(kinds) / sizeof(kinds[0]));
    switch (kinds[i].kind) {
    case SPAWN_KIND_U64:
        spawn_put_u64(&w, id, 0);
        break;
    case SPAWN_KIND_I64:
        spawn_put_i64(&w, id, 0);
        break;
    case SPAWN_KIND_STR:
        spawn_put_str(&w, id, "");
        break;
    case SPAWN_KIND_BYTES:
        spawn_put_bytes(&w, id, "", 0);
        break;
    case SPAWN_KIND_STRV:
        spawn_close(&w, spawn_open_strv(&w, id));
        break;
    case SPAWN_KIND_U64V:
        spawn_put_u64v(&w, id, NULL, 0);
        break;
    case SPAWN_KIND_ID:
        spawn_put_id(&w, id, &some);
        break;
    case SPAWN_KIND_STDIO:
        spawn_put_stdio(&w, id, &null);
        break;
    default:
        spawn_close(&w, spawn_open_nest(&w, id));
    }
}

static int parse(unsigned from)
{
    int rv = spawn_writer_finish(&w, 0);

    assert_int_equal(rv, 0);
    memset(&why, 0, sizeof(why));
    rv = spawn_message_parse(w.data, w.length, from, 0, &m, &why);
    spawn_writer_free(&w);
    return rv;
}

static void begin(uint16_t type, const uint8_t *must)
{
    spawn_writer_init(&w, SPAWN_ANSWER_MAX);
    spawn_writer_begin(&w, type, 1);
    for (; *must; must++)
        put_empty(*must);
}

static bool has(const uint8_t *list, unsigned id)
{
    return *list && strchr((const char *)list, (int)id) != NULL;
}

static const rule_before *old_rule(unsigned type)
{
    size_t i;

    for (i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
        if (before[i].type == type)
            return &before[i];
    }
    return NULL;
}

/* ---- what they send ---- */

/* From each who sent it, with what it had to have and each of what it may. */
static void what_an_older_peer_sends_is_taken(void **state)
{
    const rule_before *r;
    const uint8_t *a;
    unsigned from;

    (void)state;
    for (r = before; r < before + sizeof(before) / sizeof(before[0]); r++) {
        for (from = 1; from <= 0x80; from <<= 1) {
            if (!(r->from & from))
                continue;
            begin(r->type, r->must);
            for (a = r->may; *a; a++) {
                if (!has(r->must, *a))
                    put_empty(*a);
            }
            if (parse(from) != 0)
                fail_msg("%s: %s", spawn_message_name(r->type), why.text);
            for (a = r->may; *a; a++)
                assert_true(spawn_has(&m, *a));
            begin(r->type, r->must);
            if (parse(from) != 0)
                fail_msg("%s: %s", spawn_message_name(r->type), why.text);
        }
        assert_true(spawn_message_max(r->type) >= r->max + SPAWN_WIRE_HEADER);
    }
}

/* ---- what they are sent ---- */

static size_t entry_of(unsigned type, unsigned attr)
{
    size_t i;

    for (i = 0; i < MET; i++) {
        if (met[i].type == type && met[i].attr == attr)
            break;
    }
    return i;
}

/* Is this attribute one of this message now? */
static bool is_taken(const rule_before *r, unsigned attr)
{
    unsigned from = r->from & -r->from;

    begin(r->type, r->must);
    if (!has(r->must, attr))
        put_empty((uint16_t)attr);
    return parse(from) == 0 && spawn_has(&m, attr);
}

static void look_at(const rule_before *r, bool *seen)
{
    static const uint8_t attrs[] = {
#define X_NUMBER(n, NAME, KIND, max, name) n,
        SPAWN_ATTR_LIST(X_NUMBER) 0};
    const uint8_t *a;
    size_t at;

    for (a = attrs; *a; a++) {
        if (has(r->may, *a) || !is_taken(r, *a))
            continue;
        at = entry_of(r->type, *a);
        if (at == MET)
            fail_msg("a peer of an older release refuses '%s' in '%s': say in "
                     "this file how it is met (docs/protocol.md, Peers of "
                     "another release)",
                     spawn_attr_name(*a), spawn_message_name(r->type));
        seen[at] = true;
    }
}

static void of_all_that_is_new_it_is_said_how_they_are_met(void **state)
{
    bool seen[MET + 1] = {false};
    const rule_before *r;
    unsigned type;
    size_t at;

    (void)state;
    for (type = 1; type < SPAWN_M_COUNT; type++) {
        if (!spawn_message_max(type))
            continue;
        r = old_rule(type);
        if (r) {
            look_at(r, seen);
            continue;
        }
        at = entry_of(type, 0);
        if (at == MET)
            fail_msg("a peer of an older release refuses '%s': say in this "
                     "file how it is met",
                     spawn_message_name(type));
        seen[at] = true;
    }
    for (at = 0; at < MET; at++) {
        if (!seen[at])
            fail_msg("'%s' in '%s' is not new", spawn_attr_name(met[at].attr),
                     spawn_message_name(met[at].type));
    }
}

/* From this release on who is told more than it knows passes that over: what is
 * of no message, of none yet, and of others. */
static void more_than_is_known_is_passed_over(void **state)
{
    const rule_before *r;
    unsigned tells =
        SPAWN_FROM_BROKER | SPAWN_FROM_SPAWNER_TO_PARENT | SPAWN_FROM_TEMPLATE;
    unsigned from;
    size_t i;

    (void)state;
    for (r = before; r < before + sizeof(before) / sizeof(before[0]); r++) {
        for (from = 1; from <= 0x80; from <<= 1) {
            if (!(r->from & from))
                continue;
            begin(r->type, r->must);
            spawn_put_u64(&w, SPAWN_A_COUNT + 9, 1);
            spawn_put_u64(&w, 63, 1);
            put_empty(SPAWN_A_UMASK);
            assert_int_equal(parse(from) == 0,
                             (from & tells) || r->type == SPAWN_M_CONFIGURE);
            assert_int_equal(spawn_has(&m, SPAWN_A_UMASK), 0);
        }
    }
    for (i = 0; i < MET; i++) {
        if (met[i].how == PASSED_OVER)
            assert_true((old_rule(met[i].type)->from & tells)
                        || met[i].type == SPAWN_M_CONFIGURE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_older_peer_sends_is_taken),
        cmocka_unit_test(of_all_that_is_new_it_is_said_how_they_are_met),
        cmocka_unit_test(more_than_is_known_is_passed_over)};

    return cmocka_run_group_tests_name("proto_older", tests, NULL, NULL);
}
