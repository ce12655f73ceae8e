/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol tables and the one check that all messages pass. Runs in every
 * process, on hostile bytes. Must allocate nothing.
 */
#include <errno.h>
#include <string.h>

#include "common/spawn_proto.h"
#include "common/spawn_release.h"

typedef struct {
    uint8_t kind;
    uint32_t max;
    const char *name;
} attr_rule;

typedef struct {
    const char *name;
    uint32_t max;
    uint16_t from;
    uint8_t fds;
    const uint8_t *allowed;  /* ended by 0 */
    const uint8_t *required; /* ended by 0; a subset of allowed */
} message_rule;

#define X_ATTR_RULE(n, NAME, KIND, max, name)                                  \
    [n] = {SPAWN_KIND_##KIND, max, name},
static const attr_rule attr_rules[SPAWN_A_COUNT] = {
    SPAWN_ATTR_LIST(X_ATTR_RULE)};

#define A(NAME) SPAWN_A_##NAME

/* The attributes that each message may carry (FIELDS) and must carry (NEEDS).
 */
#define JOB_FIELDS                                                             \
    A(QUEUE), A(CWD), A(ENV), A(UMASK), A(USER), A(GROUP), A(STDIN),           \
        A(STDOUT), A(STDERR), A(STDIN_DATA), A(FDS), A(TIMEOUT), A(GRACE),     \
        A(NICE), A(IONICE), A(LIMITS), A(NO_NEW_PRIVS), A(LEFTOVERS),          \
        A(REPLY), A(LABEL), A(CONTEXT), A(CAPTURE_LIMIT), A(FUNCTION),         \
        A(ARGS), A(LOAD), A(TEMPLATE), A(WANT), A(RETRY), A(PRIORITY),         \
        A(DELAY), A(AT), A(EXPIRES), A(BACKOFF), A(UNIQUE), A(DURABLE),        \
        A(RETRY_ON), A(AFTER), A(ON_CONFLICT), A(UNIQUE_FOR), A(AFTER_FAILED)

#define FIELDS(NAME, ...) static const uint8_t fields_##NAME[] = {__VA_ARGS__};
#define NEEDS(NAME, ...)  static const uint8_t needs_##NAME[] = {__VA_ARGS__};

FIELDS(HELLO, A(SECRET), A(CLIENT), A(RELEASE), A(BOUND), 0)
NEEDS(HELLO, A(CLIENT), 0)
FIELDS(SUBMIT, A(ID), A(ARGV), JOB_FIELDS, 0)
NEEDS(SUBMIT, A(ID), 0)
#define fields_POST fields_SUBMIT
#define needs_POST  needs_SUBMIT
FIELDS(WAIT, A(ID), A(WAIT_FOR), A(WAIT_MS), A(WITH_OUTPUT), 0)
NEEDS(WAIT, A(ID), A(WAIT_FOR), 0)
FIELDS(WATCH, A(ID), A(SEEN), A(WAIT_MS), A(WATCHERS), 0)
NEEDS(WATCH, A(ID), A(SEEN), A(WAIT_MS), 0)
FIELDS(GET, A(ID), A(WITH_OUTPUT), A(OUTPUT_FROM), 0)
NEEDS(GET, A(ID), 0)
FIELDS(LIST, A(QUEUE), A(STATES), A(ROWS), A(BEFORE), A(CONTEXT), A(ENDED_AS),
       A(WHAT), A(LABEL), A(SINCE), A(UNTIL), A(SEARCH), A(OLDEST_FIRST),
       A(LOOKS), A(ARGV_MOST), A(ENDED_SINCE), 0)
NEEDS(LIST, 0)
FIELDS(KILL, A(ID), A(SIGNO), 0)
NEEDS(KILL, A(ID), 0)
#define fields_TEMPLATES fields_BYE
#define needs_TEMPLATES  fields_BYE
FIELDS(CRON, A(CRON), A(CRON_DO), A(ID), 0)
NEEDS(CRON, A(CRON_DO), 0)
FIELDS(QUEUES, A(QUEUE), A(QUEUE_DO), A(MAX_JOBS), 0)
NEEDS(QUEUES, A(QUEUE_DO), 0)
FIELDS(METERS, A(QUEUE), 0)
NEEDS(METERS, 0)
#define fields_REVIVE    fields_DISMISS
#define needs_REVIVE     needs_DISMISS
#define fields_START_NOW fields_DISMISS
#define needs_START_NOW  needs_DISMISS
FIELDS(WELCOME, A(RELEASE), A(INSTANCE), A(PID), 0)
NEEDS(WELCOME, A(RELEASE), 0)
FIELDS(ACCEPTED, A(ID), A(STATE), A(OTHER), 0)
NEEDS(ACCEPTED, A(ID), A(STATE), 0)
FIELDS(JOB, A(ID), A(SEQ), A(STATE), A(QUEUE), A(ARGV), A(LABEL), A(CONTEXT),
       A(PID), A(OUTCOME), A(EXIT_CODE), A(SIGNAL), A(CORE), A(STEP), A(ERRNO),
       A(SUBMITTED_AT), A(STARTED_AT), A(ENDED_AT), A(RUSAGE), A(ELAPSED),
       A(OUT), A(ERR), A(OUT_LOST), A(ERR_LOST), A(TEXT), A(FUNCTION),
       A(RESULT), A(RESULT_KIND), A(PROGRESS), A(HANDLES), A(CUT), A(DUE_AT),
       A(EXPIRES_AT), A(PRIORITY), A(ATTEMPT), A(ATTEMPTS), A(DEAD), A(UNIQUE),
       A(AFTER), A(ARGV_CUT), A(CWD), A(USER), A(GROUP), A(STDOUT), A(STDERR),
       A(TIMEOUT), A(GRACE), A(NICE), A(IONICE), A(LIMITS), A(LEFTOVERS),
       A(RETRY), 0)
NEEDS(JOB, A(ID), A(STATE), A(QUEUE), 0)
FIELDS(REFUSED, A(CODE), A(STEP), A(ERRNO), A(TEXT), A(ID), 0)
NEEDS(REFUSED, A(CODE), A(TEXT), 0)
FIELDS(END, A(ROWS), A(BEFORE), A(DEAD), 0)
NEEDS(END, A(ROWS), 0)
FIELDS(DONE, A(ID), 0)
NEEDS(DONE, A(ID), 0)
FIELDS(PROCESS, A(TEMPLATE), A(TEMPLATE_KIND), A(QUEUE), A(PROCESS_STATE),
       A(PID), A(STARTED_AT), A(SERVED), A(RUNNING), A(PIDS), A(FAULTS),
       A(TEMPLATE_SPARES), A(TEXT), A(RESIDENT), 0)
NEEDS(PROCESS, A(TEMPLATE), A(PROCESS_STATE), 0)
FIELDS(CRON_ENTRY, A(CRON), A(CRON_SCHEDULE), A(CRON_ZONE), A(CRON_CATCH_UP),
       A(CRON_OVERLAP), A(CRON_NEXT), A(CRON_PLANNED), A(CRON_PAUSED), A(ID),
       A(STATE), A(OUTCOME), A(EXIT_CODE), A(SIGNAL), A(STARTED_AT),
       A(ENDED_AT), A(QUEUE), 0)
NEEDS(CRON_ENTRY, A(CRON), A(CRON_SCHEDULE), 0)
FIELDS(QUEUE_STATE, A(QUEUE), A(MAX_JOBS), A(MAX_QUEUED), A(MAX_DELAYED),
       A(TIMEOUT), A(TEMPLATE), A(WORKERS_MIN), A(WORKERS_MAX), A(WORKER_JOBS),
       A(WORKER_MEMORY), A(WORKER_IDLE), A(CWD), A(ENV), A(STDOUT), A(GRACE),
       A(NICE), A(IONICE), A(LIMITS), A(LEFTOVERS), A(RUNNING), A(WAITING),
       A(DELAYED), A(OLDEST_AT), A(QUEUE_MODE), A(CHANGED_AT), A(CHANGED_BY),
       A(SCALED_TO), A(REMOVED), A(HISTORY_JOBS), A(HISTORY_AGE), A(ALLOW),
       A(JOB_USER), A(JOB_GROUP), A(ACCESS_TEXT), 0)
NEEDS(QUEUE_STATE, A(QUEUE), A(MAX_JOBS), A(RUNNING), A(WAITING), 0)
/* Without a queue: of all together; with an empty one: of those that are not
 * there. */
FIELDS(METER, A(QUEUE), A(RUNNING), A(WAITING), A(DELAYED), A(MAX_JOBS),
       A(OLDEST_AT), A(QUEUE_MODE), A(REMOVED), A(COUNTS), A(OUTCOMES),
       A(REFUSALS), A(WAITED), A(RAN), A(MINUTES), A(COMMITS), A(PAIR), 0)
NEEDS(METER, 0)
FIELDS(BROKER_READY, A(CODE), A(TEXT), 0)
NEEDS(BROKER_READY, A(CODE), 0)
FIELDS(LAUNCH, A(ID), A(ARGV), A(CWD), A(ENV), A(UMASK), A(UID), A(GID),
       A(GROUPS), A(STDIN), A(STDOUT), A(STDERR), A(FDS), A(NICE), A(IONICE),
       A(LIMITS), A(NO_NEW_PRIVS), A(LEFTOVERS), A(KEEP), A(BOXED), A(FUNCTION),
       A(ARGS), A(LOAD), A(WANT), A(TEMPLATE_ID), A(IS_TEMPLATE), A(TEMPLATE),
       A(QUEUE), A(LABEL), A(CONTEXT), A(IS_WORKER), A(WORKER_JOBS),
       A(WORKER_MEMORY), A(ATTEMPT), 0)
NEEDS(LAUNCH, A(ID), A(ENV), 0)
FIELDS(SIGNAL, A(ID), A(SIGNO), A(KILL_LEFT), A(PID), A(BOOT_STARTED), 0)
NEEDS(SIGNAL, A(ID), A(SIGNO), 0)
FIELDS(FORGET, A(ID), A(IDS), 0)
NEEDS(FORGET, 0)
FIELDS(DISMISS, A(ID), 0)
NEEDS(DISMISS, A(ID), 0)
FIELDS(HOLD, A(ID), A(BOXED), 0)
#define needs_HOLD      needs_DISMISS
#define fields_HELD     fields_HOLD
#define needs_HELD      needs_DISMISS
#define fields_RELEASE  fields_DISMISS
#define needs_RELEASE   needs_DISMISS
#define fields_TELL_PID fields_DISMISS
#define needs_TELL_PID  needs_DISMISS
FIELDS(CALL, A(ID), A(FUNCTION), A(ARGS), A(LOAD), A(WANT), A(QUEUE), A(LABEL),
       A(CONTEXT), A(ATTEMPT), 0)
NEEDS(CALL, A(ID), A(FUNCTION), 0)
FIELDS(LEASE, A(ID), A(QUEUE), 0)
NEEDS(LEASE, A(ID), A(QUEUE), 0)
FIELDS(LEND, A(SEQ), 0)
#define needs_LEND       fields_LEND
#define fields_TAKE_BACK fields_LEND
#define needs_TAKE_BACK  fields_LEND
FIELDS(GIVEN_BACK, A(SEQ), A(ID), A(LAST), A(RUSAGE), 0)
#define needs_GIVEN_BACK  fields_LEND
#define fields_SLATE      fields_BYE
#define needs_SLATE       fields_BYE
#define fields_NOT_TAKEN  fields_BYE
#define needs_NOT_TAKEN   fields_BYE
#define fields_LEASE_LOST fields_DISMISS
#define needs_LEASE_LOST  needs_DISMISS
FIELDS(RELAY, 0)
#define needs_RELAY fields_RELAY
FIELDS(RELAY_RULES, A(RELAY_URL), A(HOST), A(QUEUE_NAMES), 0)
NEEDS(RELAY_RULES, A(RELAY_URL), A(HOST), 0)
/* STATE: what it tells of the job: queued, its order; else what it has become.
 */
FIELDS(CARRY, A(TO), A(ID), A(STATE), A(LOAD_BYTES), 0)
NEEDS(CARRY, A(TO), A(ID), A(STATE), A(LOAD_BYTES), 0)
FIELDS(CARRIED, A(ID), A(STATE), 0)
NEEDS(CARRIED, A(ID), A(STATE), 0)
FIELDS(ROOM, A(QUEUE), A(MAX_JOBS), 0)
NEEDS(ROOM, A(QUEUE), A(MAX_JOBS), 0)
/* QUEUE: an order of this queue; without it, news. */
FIELDS(CAME, A(SEQ), A(QUEUE), A(LOAD_BYTES), 0)
NEEDS(CAME, A(SEQ), A(LOAD_BYTES), 0)
/* CODE: it could not be taken now. */
FIELDS(KEPT, A(SEQ), A(CODE), 0)
NEEDS(KEPT, A(SEQ), 0)
FIELDS(RELAY_STATE, A(RUNNING), A(TEXT), 0)
NEEDS(RELAY_STATE, A(RUNNING), 0)
FIELDS(SHARED_JOB, A(ID), A(ARGV), JOB_FIELDS, A(HOST), A(ATTEMPT), 0)
NEEDS(SHARED_JOB, A(ID), A(QUEUE), A(HOST), A(ATTEMPT), 0)
/* LOAD_BYTES: a JOB message. */
FIELDS(SHARED_NEWS, A(ID), A(HOST), A(ATTEMPT), A(LOAD_BYTES), 0)
NEEDS(SHARED_NEWS, A(ID), A(HOST), A(ATTEMPT), A(LOAD_BYTES), 0)
FIELDS(BYE, 0)
#define needs_BYE        fields_BYE
#define fields_TABLE_END fields_BYE
#define needs_TABLE_END  fields_BYE
#define fields_GO        fields_BYE
#define needs_GO         fields_BYE
#define fields_LINGER    fields_BYE
#define needs_LINGER     fields_BYE
#define fields_QUIT      fields_BYE
#define needs_QUIT       fields_BYE
#define fields_CLEARED   fields_BYE
#define needs_CLEARED    fields_BYE
#define fields_LOADED    fields_BYE
#define needs_LOADED     fields_BYE
#define fields_ALIVE     fields_BYE
#define needs_ALIVE      fields_BYE
FIELDS(CONFIGURE, A(INSTANCE), A(RELEASE), A(SECRET), A(FD_ROLES),
       A(QUEUE_RULES), A(SUBMIT_TIMEOUT), A(HISTORY_JOBS), A(HISTORY_AGE),
       A(HISTORY_SIZE), A(ON_STOP), A(STORE_PATH), A(SOCKET_PATH),
       A(BROKER_UID), A(BROKER_GID), A(BROKER_GROUPS), A(UID), A(GID),
       A(GROUPS), A(FILE_LIMIT), A(LOG_LEVEL), A(PARENT_PID), A(JOB_HOME),
       A(JOB_USER), A(TEMPLATE_RULES), A(JOB_GROUP), A(BOUNDING_SET),
       A(ANY_ACCOUNT), A(LOG_FACILITY), A(LOG_TAG), A(VHOST_LOG), A(CRON_RULES),
       A(QUEUE_DEFAULTS), A(ACCOUNT), A(QUEUE_ALLOW), A(CGROUP), A(ACCESS),
       A(CONFIGURED_AT), A(RELAY_URL), A(HOST), 0)
NEEDS(CONFIGURE, A(RELEASE), A(SECRET), A(FD_ROLES), A(QUEUE_RULES),
      A(STORE_PATH), A(SOCKET_PATH), 0)
FIELDS(RUNNING, A(ID), A(STATE), A(PID), A(MONO_STARTED), A(BOOT_STARTED),
       A(KEEP), A(IS_TEMPLATE), A(TEMPLATE_ID), A(TEMPLATE), A(IS_WORKER),
       A(TEMPLATE_KIND), A(ATTEMPT), 0)
NEEDS(RUNNING, A(ID), A(STATE), 0)
FIELDS(STARTED, A(ID), A(PID), A(MONO_STARTED), A(BOOT_STARTED), A(STARTED_AT),
       A(STATE), A(ATTEMPT), 0)
NEEDS(STARTED, A(ID), A(PID), 0)
FIELDS(EXITED, A(ID), A(PID), A(WAIT_STATUS), A(STEP), A(ERRNO), A(RUSAGE),
       A(STARTED_AT), A(ENDED_AT), A(ELAPSED), A(MONO_STARTED), A(BOOT_STARTED),
       A(ATTEMPT), 0)
NEEDS(EXITED, A(ID), 0)
FIELDS(ADOPT, A(PARENT_PID), A(RELEASE), 0)
NEEDS(ADOPT, 0)
FIELDS(ASK, A(HTTPD), 0)
#define needs_ASK fields_BYE
FIELDS(READY, A(RELEASE), A(INSTANCE), A(PID), 0)
NEEDS(READY, A(RELEASE), 0)
FIELDS(NOT_READY, A(CODE), A(TEXT), A(ERRNO), A(STEP), 0)
NEEDS(NOT_READY, A(TEXT), 0)
FIELDS(PLACES, A(FD_ROLES), 0)
NEEDS(PLACES, A(FD_ROLES), 0)
FIELDS(ADOPTED, A(INSTANCE), A(SECRET), A(FD_ROLES), A(PID), A(SOCKET_PATH),
       A(RELEASE), 0)
FIELDS(EMPTY, A(PID), A(RELEASE), 0)
NEEDS(EMPTY, A(PID), A(RELEASE), 0)
NEEDS(ADOPTED, A(INSTANCE), A(SECRET), A(FD_ROLES), A(SOCKET_PATH), 0)
FIELDS(CHILD_EXITED, A(ID), A(PID), A(WAIT_STATUS), A(RUSAGE), 0)
NEEDS(CHILD_EXITED, A(ID), A(WAIT_STATUS), 0)
FIELDS(ORPHANED, A(ID), A(PID), A(BOOT_STARTED), A(STEP), A(ERRNO), A(ATTEMPT),
       0)
NEEDS(ORPHANED, A(ID), A(PID), 0)
FIELDS(TEMPLATE, A(ID), A(TEMPLATE), A(PID), A(TEXT), 0)
NEEDS(TEMPLATE, A(ID), A(TEMPLATE), 0)
FIELDS(TEMPLATE_SAID, A(ID), A(CODE), A(TEXT), A(TEMPLATE), A(PID),
       A(MONO_STARTED), 0)
NEEDS(TEMPLATE_SAID, A(ID), A(CODE), 0)
FIELDS(PRELOADED, A(CODE), A(TEXT), 0)
NEEDS(PRELOADED, A(CODE), 0)
FIELDS(FORKED, A(ID), A(PID), 0)
NEEDS(FORKED, A(ID), A(PID), 0)
FIELDS(LAUNCHED, A(ID), A(PID), A(SPARE), 0)
#define needs_LAUNCHED needs_FORKED
FIELDS(SET_UP, A(ID), A(PID), A(STEP), A(ERRNO), 0)
NEEDS(SET_UP, A(ID), 0)
FIELDS(RETURNED, A(ID), A(CODE), A(TEXT), A(LAST), A(RUSAGE), 0)
NEEDS(RETURNED, 0)
/* The bodies of nests are checked like messages. */
FIELDS(QUEUE_RULES, A(QUEUE), A(MAX_JOBS), A(MAX_QUEUED), A(MAX_DELAYED),
       A(TIMEOUT), A(TEMPLATE), A(WORKERS_MIN), A(WORKERS_MAX), A(WORKER_JOBS),
       A(WORKER_MEMORY), A(WORKER_IDLE), A(SHARED), 0)
NEEDS(QUEUE_RULES, A(QUEUE), A(MAX_JOBS), A(MAX_QUEUED), 0)

/* Without a queue: what templates have. */
FIELDS(QUEUE_DEFAULTS, A(QUEUE), A(CWD), A(ENV), A(STDOUT), A(STDERR), A(GRACE),
       A(NICE), A(IONICE), A(LIMITS), A(LEFTOVERS), A(HISTORY_JOBS),
       A(HISTORY_AGE), 0)
NEEDS(QUEUE_DEFAULTS, 0)

/* Without a list: all may run. */
FIELDS(QUEUE_ALLOW, A(QUEUE), A(ALLOW), 0)
NEEDS(QUEUE_ALLOW, A(QUEUE), 0)

/* Without a queue: of those that say nothing; without uid and gid: of nobody.
 */
FIELDS(ACCESS, A(QUEUE), A(UID), A(GID), A(RIGHTS), A(TEXT), 0)
NEEDS(ACCESS, A(RIGHTS), 0)

FIELDS(TEMPLATE_RULES, A(TEMPLATE), A(TEMPLATE_KIND), A(PRELOAD), A(REQUIRE),
       A(INCLUDE), A(PERL), A(TEMPLATE_JOBS), A(TEMPLATE_AGE),
       A(TEMPLATE_MEMORY), A(TEMPLATE_SPARES), 0)
NEEDS(TEMPLATE_RULES, A(TEMPLATE), A(TEMPLATE_KIND), 0)

FIELDS(CRON_RULES, A(CRON), A(CRON_SCHEDULE), A(CRON_ZONE), A(CRON_CATCH_UP),
       A(CRON_OVERLAP), A(ARGV), A(FUNCTION), A(ARGS), A(QUEUE), A(TIMEOUT),
       A(USER), A(RETRY), A(RETRY_ON), A(BACKOFF), A(EXPIRES), A(PRIORITY),
       A(DURABLE), 0)
NEEDS(CRON_RULES, A(CRON), A(CRON_SCHEDULE), 0)

FIELDS(ACCOUNT, A(UID), A(GID), A(GROUPS), A(JOB_HOME), A(JOB_USER),
       A(JOB_GROUP), A(QUEUE_NAMES), A(TEMPLATE_NAMES), 0)
NEEDS(ACCOUNT, A(UID), A(GID), 0)

FIELDS(ATTEMPT, A(ATTEMPT), A(PID), A(STARTED_AT), A(ENDED_AT), A(ELAPSED),
       A(OUTCOME), A(EXIT_CODE), A(SIGNAL), A(CORE), A(STEP), A(ERRNO), A(TEXT),
       A(RESULT_KIND), A(RESULT), A(OUT), A(ERR), A(OUT_LOST), A(ERR_LOST),
       A(CUT), 0)
NEEDS(ATTEMPT, A(ATTEMPT), 0)

FIELDS(VHOST_LOG, A(TEXT), A(SEQ), A(LOG_FACILITY), A(LOG_TAG), 0)
NEEDS(VHOST_LOG, A(TEXT), 0)

#define X_MESSAGE_RULE(n, NAME, from, max, fds, name)                          \
    [n] = {name, max, from, fds, fields_##NAME, needs_##NAME},
static const message_rule message_rules[SPAWN_M_COUNT] = {
    SPAWN_MESSAGE_LIST(X_MESSAGE_RULE)};

static const message_rule queue_rules = {
    "queue_rules", 4096, 0, 0, fields_QUEUE_RULES, needs_QUEUE_RULES};
static const message_rule template_rules = {
    "template_rules", 16384, 0, 0, fields_TEMPLATE_RULES, needs_TEMPLATE_RULES};
static const message_rule queue_defaults = {
    "queue_defaults",      SPAWN_DEFAULTS_MAX,  0, 0,
    fields_QUEUE_DEFAULTS, needs_QUEUE_DEFAULTS};
static const message_rule queue_allow = {
    "queue_allow", 20480, 0, 0, fields_QUEUE_ALLOW, needs_QUEUE_ALLOW};
static const message_rule access_rule = {"access", 1024,          0,
                                         0,        fields_ACCESS, needs_ACCESS};
static const message_rule attempt = {"attempts",     SPAWN_REQUEST_MAX, 0, 0,
                                     fields_ATTEMPT, needs_ATTEMPT};
static const message_rule vhost_log = {"vhost_log",      1024,           0, 0,
                                       fields_VHOST_LOG, needs_VHOST_LOG};

static const message_rule account = {"account",      SPAWN_REQUEST_MAX, 0, 0,
                                     fields_ACCOUNT, needs_ACCOUNT};

static const message_rule cron_rules = {
    "cron_rules", SPAWN_CRON_MAX, 0, 0, fields_CRON_RULES, needs_CRON_RULES};

const char *spawn_attr_name(unsigned id)
{
    return id < SPAWN_A_COUNT && attr_rules[id].name ? attr_rules[id].name
                                                     : "unknown";
}

static const message_rule *rule_of(unsigned type)
{
    return type < SPAWN_M_COUNT && message_rules[type].name
               ? &message_rules[type]
               : NULL;
}

const char *spawn_message_name(unsigned type)
{
    const message_rule *rule = rule_of(type);

    return rule ? rule->name : "unknown";
}

size_t spawn_message_max(unsigned type)
{
    const message_rule *rule = rule_of(type);

    return rule ? rule->max + SPAWN_WIRE_HEADER : 0;
}

uint64_t spawn_u64_or(const spawn_message *m, unsigned id, uint64_t other)
{
    return spawn_has(m, id) ? spawn_attr_u64(&m->attr[id]) : other;
}

const char *spawn_str_or(const spawn_message *m, unsigned id, const char *other)
{
    return spawn_has(m, id) ? spawn_attr_str(&m->attr[id]) : other;
}

static bool listed(const uint8_t *list, unsigned id)
{
    for (; *list; list++) {
        if (*list == id)
            return true;
    }
    return false;
}

#define REFUSE(rv, code, ...)                                                  \
    do {                                                                       \
        spawn_failure_set(why, code, SPAWN_STEP_CHECK, 0, __VA_ARGS__);        \
        return rv;                                                             \
    } while (0)

static int check_attr(const message_rule *rule, const spawn_attr *a,
                      spawn_message *m, spawn_failure *why)
{
    if (a->id >= SPAWN_A_COUNT || !attr_rules[a->id].name)
        REFUSE(-EBADMSG, SPAWN_E_PROTOCOL,
               "attribute %u of a %s message is not known", a->id, rule->name);
    if (!listed(rule->allowed, a->id))
        REFUSE(-EBADMSG, SPAWN_E_PROTOCOL,
               "attribute '%s' does not belong in a %s message",
               attr_rules[a->id].name, rule->name);
    if (a->kind != attr_rules[a->id].kind)
        REFUSE(-EBADMSG, SPAWN_E_PROTOCOL,
               "attribute '%s' of a %s message is of kind %u, not %u",
               attr_rules[a->id].name, rule->name, a->kind,
               attr_rules[a->id].kind);
    if (a->length > attr_rules[a->id].max) {
        unsigned long end =
            a->kind == SPAWN_KIND_STR; /* its NUL does not count */

        REFUSE(-EMSGSIZE, SPAWN_E_TOO_BIG,
               "'%s' has %lu bytes, %lu are allowed", attr_rules[a->id].name,
               (unsigned long)a->length - end,
               (unsigned long)attr_rules[a->id].max - end);
    }
    if (spawn_has(m, a->id)) {
        if (a->id == SPAWN_A_QUEUE_RULES || a->id == SPAWN_A_TEMPLATE_RULES
            || a->id == SPAWN_A_VHOST_LOG || a->id == SPAWN_A_CRON_RULES
            || a->id == SPAWN_A_QUEUE_DEFAULTS || a->id == SPAWN_A_ACCOUNT
            || a->id == SPAWN_A_QUEUE_ALLOW || a->id == SPAWN_A_ACCESS)
            return 0;
        REFUSE(-EBADMSG, SPAWN_E_PROTOCOL,
               "attribute '%s' stands twice in a %s message",
               attr_rules[a->id].name, rule->name);
    }
    m->attr[a->id] = *a;
    return 0;
}

/* Does the index name a descriptor that came? Callers' handles are in the box
 * of a LAUNCH. */
static bool is_there(const spawn_message *m, unsigned id, uint64_t index,
                     unsigned fds)
{
    uint64_t boxed = spawn_u64_or(m, SPAWN_A_BOXED, 0);

    if (index < fds)
        return true;
    return id != SPAWN_A_KEEP && fds > 0 && boxed <= SPAWN_JOB_FDS_MAX
           && index >= SPAWN_FDS_BOXED && index < SPAWN_FDS_BOXED + boxed;
}

/* Indices into the descriptors must name one that came. */
static int check_fd_indices(const spawn_message *m, unsigned fds,
                            spawn_failure *why)
{
    static const uint8_t streams[] = {A(STDIN), A(STDOUT), A(STDERR)};
    static const uint8_t vectors[] = {A(FDS), A(KEEP)};
    unsigned i;
    uint32_t k;

    for (i = 0; i < sizeof(streams); i++) {
        spawn_stdio s;

        if (!spawn_has(m, streams[i]))
            continue;
        spawn_attr_stdio(&m->attr[streams[i]], &s);
        if (s.how == SPAWN_STDIO_FD && !is_there(m, streams[i], s.fd, fds))
            REFUSE(-EBADMSG, SPAWN_E_PROTOCOL,
                   "'%s' names descriptor %u of %u that came",
                   attr_rules[streams[i]].name, s.fd, fds);
    }
    for (i = 0; i < sizeof(vectors); i++) {
        const spawn_attr *a = &m->attr[vectors[i]]; /* empty: not there */

        if (spawn_u64v_count(a) % 2 != 0)
            REFUSE(-EBADMSG, SPAWN_E_PROTOCOL, "'%s' is not made of pairs",
                   attr_rules[vectors[i]].name);
        for (k = 0; k < spawn_u64v_count(a); k += 2) {
            if (!is_there(m, vectors[i], spawn_u64v_at(a, k), fds))
                REFUSE(-EBADMSG, SPAWN_E_PROTOCOL,
                       "'%s' names a descriptor that did not come",
                       attr_rules[vectors[i]].name);
        }
    }
    if (spawn_has(m, SPAWN_A_FD_ROLES)
        && spawn_u64v_count(&m->attr[SPAWN_A_FD_ROLES]) != fds)
        REFUSE(-EBADMSG, SPAWN_E_PROTOCOL,
               "'fd_roles' and the descriptors differ in number");
    return 0;
}

/* A newer httpd talks to an older spawner: the spawner has to understand the
 * release and the programs, to execute its successor, which understands
 * everything. */
static bool is_of_another_release(const message_rule *rule, unsigned type,
                                  const spawn_attr *a, const void *body,
                                  size_t length)
{
    spawn_reader reader;
    spawn_attr other;

    if (type != SPAWN_M_CONFIGURE || listed(rule->allowed, a->id))
        return false;
    spawn_reader_init(&reader, body, length);
    while (spawn_reader_next(&reader, &other) == 1) {
        if (other.id == SPAWN_A_RELEASE && other.kind == SPAWN_KIND_STR)
            return strcmp(spawn_attr_str(&other), SPAWN_RELEASE) != 0;
    }
    return false;
}

/* Stands where the sender's bit stands: a nest of CONFIGURE, which may come
 * from an httpd of any release. */
#define FROM_ANY_CONFIGURE (1u << 31)

/* Senders that may be of a newer release and say more than we understand: those
 * that answer, or tell of themselves. A request or an order with more is
 * refused: a caller has to be told that not all it asks for is understood, and
 * an order is obeyed as a whole or not at all. */
#define MAY_SAY_MORE                                                           \
    (SPAWN_FROM_BROKER | SPAWN_FROM_SPAWNER_TO_PARENT | SPAWN_FROM_TEMPLATE    \
     | FROM_ANY_CONFIGURE)

static bool is_passed_over(const message_rule *rule, unsigned from,
                           const spawn_attr *a)
{
    return (from & MAY_SAY_MORE) && !listed(rule->allowed, a->id);
}

static int parse_body(const message_rule *rule, unsigned from, const void *body,
                      size_t length, unsigned fds, spawn_message *ret,
                      spawn_failure *why)
{
    spawn_reader reader;
    spawn_attr a;
    const uint8_t *need;
    int rv;

    memset(ret->attr, 0, sizeof(ret->attr));
    spawn_reader_init(&reader, body, length);
    while ((rv = spawn_reader_next(&reader, &a)) == 1) {
        if (is_passed_over(rule, from, &a)
            || is_of_another_release(rule, ret->header.type, &a, body, length))
            continue;
        rv = check_attr(rule, &a, ret, why);
        if (rv)
            return rv;
    }
    if (rv < 0)
        REFUSE(-EBADMSG, SPAWN_E_PROTOCOL, "a %s message is malformed",
               rule->name);
    for (need = rule->required; *need; need++) {
        if (!spawn_has(ret, *need))
            REFUSE(-EBADMSG, SPAWN_E_PROTOCOL, "a %s message has no '%s'",
                   rule->name, attr_rules[*need].name);
    }
    /* an answer about a job tells of descriptors that came with its order */
    return ret->header.type == SPAWN_M_JOB ? 0
                                           : check_fd_indices(ret, fds, why);
}

/* Of the bodies that are no messages; NULL: there is none. */
static const message_rule *rule_of_body(unsigned type)
{
    return type == SPAWN_BODY_QUEUE_RULES      ? &queue_rules
           : type == SPAWN_BODY_TEMPLATE_RULES ? &template_rules
           : type == SPAWN_BODY_VHOST_LOG      ? &vhost_log
           : type == SPAWN_BODY_CRON_RULES     ? &cron_rules
           : type == SPAWN_BODY_QUEUE_DEFAULTS ? &queue_defaults
           : type == SPAWN_BODY_QUEUE_ALLOW    ? &queue_allow
           : type == SPAWN_BODY_ACCOUNT        ? &account
           : type == SPAWN_BODY_ACCESS         ? &access_rule
           : type == SPAWN_BODY_ATTEMPT        ? &attempt
                                               : NULL;
}

int spawn_body_parse(const void *body, size_t length, unsigned type,
                     unsigned fds, spawn_message *ret, spawn_failure *why)
{
    const message_rule *rule = rule_of_body(type);
    unsigned from = rule && type != SPAWN_BODY_ATTEMPT ? FROM_ANY_CONFIGURE : 0;

    if (!rule)
        rule = rule_of(type);
    memset(&ret->header, 0, sizeof(ret->header));
    if (!rule)
        REFUSE(-EBADMSG, SPAWN_E_PROTOCOL, "message type %u is not known",
               type);
    ret->header.type = (uint16_t)type;
    return parse_body(rule, from, body, length, fds, ret, why);
}

unsigned spawn_nest_unknown(const spawn_attr *nest)
{
    const message_rule *rule = rule_of_body(
        nest->id == SPAWN_A_QUEUE_RULES      ? SPAWN_BODY_QUEUE_RULES
        : nest->id == SPAWN_A_QUEUE_DEFAULTS ? SPAWN_BODY_QUEUE_DEFAULTS
        : nest->id == SPAWN_A_QUEUE_ALLOW    ? SPAWN_BODY_QUEUE_ALLOW
        : nest->id == SPAWN_A_TEMPLATE_RULES ? SPAWN_BODY_TEMPLATE_RULES
        : nest->id == SPAWN_A_VHOST_LOG      ? SPAWN_BODY_VHOST_LOG
        : nest->id == SPAWN_A_CRON_RULES     ? SPAWN_BODY_CRON_RULES
        : nest->id == SPAWN_A_ACCOUNT        ? SPAWN_BODY_ACCOUNT
        : nest->id == SPAWN_A_ACCESS         ? SPAWN_BODY_ACCESS
                                             : 0);
    spawn_reader reader;
    spawn_attr a;

    if (!rule)
        return 0;
    spawn_reader_init(&reader, nest->data, nest->length);
    while (spawn_reader_next(&reader, &a) == 1) {
        if (!listed(rule->allowed, a.id))
            return a.id;
    }
    return 0;
}

int spawn_message_parse(const void *data, size_t length, unsigned from,
                        unsigned fds, spawn_message *ret, spawn_failure *why)
{
    const message_rule *rule;
    int rv;

    memset(&ret->header, 0, sizeof(ret->header));
    rv = spawn_wire_read_header(data, length, &ret->header);
    if (rv == -EPROTONOSUPPORT)
        REFUSE(rv, SPAWN_E_VERSION, "wire version %u is not spoken here, %u is",
               ret->header.version, SPAWN_WIRE_VERSION);
    if (rv)
        REFUSE(rv, SPAWN_E_PROTOCOL, "not a message of this protocol");
    rule = rule_of(ret->header.type);
    if (!rule || !(rule->from & from))
        REFUSE(-EBADMSG, SPAWN_E_PROTOCOL,
               "a message of type %u (%s) is not taken here", ret->header.type,
               rule ? rule->name : "unknown");
    if (ret->header.body != length - SPAWN_WIRE_HEADER)
        REFUSE(-EBADMSG, SPAWN_E_PROTOCOL,
               "a %s message says %lu bytes and has %lu", rule->name,
               (unsigned long)ret->header.body,
               (unsigned long)(length - SPAWN_WIRE_HEADER));
    if (ret->header.body > rule->max)
        REFUSE(-EMSGSIZE, SPAWN_E_TOO_BIG,
               "a %s message has %lu bytes, %lu are allowed", rule->name,
               (unsigned long)ret->header.body, (unsigned long)rule->max);
    if (ret->header.fds != fds || fds > rule->fds)
        REFUSE(-EBADMSG, SPAWN_E_PROTOCOL,
               "a %s message came with %u descriptors", rule->name, fds);
    return parse_body(rule, from, (const uint8_t *)data + SPAWN_WIRE_HEADER,
                      ret->header.body, fds, ret, why);
}
