/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CONFIGURE: settings, queue rules, descriptors. Runs in the broker. CONFIGURE
 * comes again at each graceful restart and after an adoption. A rule that makes
 * no sense must not stop the others.
 */
#include "broker/configure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/spawn_field.h"
#include "common/spawn_log.h"
#include "common/spawn_name.h"
#include "common/spawn_os.h"
#include "common/spawn_release.h"
#include "broker/base/alloc.h"
#include "broker/base/conf.h"
#include "broker/base/logs.h"
#include "broker/job/account.h"
#include "broker/job/allowed.h"
#include "broker/job/defaults.h"
#include "broker/job/job.h"
#include "broker/job/phase.h"
#include "broker/job/queue.h"
#include "broker/job/template.h"
#include "broker/process/template_process.h"
#include "broker/run/pool.h"
#include "broker/caller/accept.h"
#include "broker/caller/access.h"
#include "broker/caller/cron_entry.h"
#include "broker/caller/inbox.h"
#include "broker/relay/says.h"
#include "broker/places.h"

#define HISTORY_JOBS 10000
#define HISTORY_SIZE (64u << 20)

static void set_text(char **at, const char *text)
{
    free(*at);
    *at = text ? spawn_strdup(text) : NULL;
}

/* The log's descriptor becomes stderr, so that after a rotation we and the C
 * library write to the new log. */
static void take_log(int fd)
{
    if (dup2(fd, STDERR_FILENO) < 0)
        spawn_log(SPAWN_LOG_ERR, MSNO(0505) "the new error log cannot be used");
    (void)close(fd);
}

static void take_kept(int fd)
{
    static int kept = -1;

    if (kept >= 0)
        (void)close(kept);
    kept = fd;
    spawn_log_keep_in(fd);
}

static void take_fds(const spawn_message *m, spawn_packet *p)
{
    const spawn_attr *roles = &m->attr[SPAWN_A_FD_ROLES];
    unsigned i;

    for (i = 0; i < p->fds_count; i++) {
        int fd = p->fds[i];

        switch (spawn_u64v_at(roles, i)) {
        case SPAWN_FD_LISTEN:
            spawn_callers_listen_on(fd);
            break;
        case SPAWN_FD_POST_RX:
            spawn_inbox_receive_on(fd);
            break;
        case SPAWN_FD_INBOX:
            spawn_inbox_keep_in(fd);
            break;
        case SPAWN_FD_LOG:
            take_log(fd);
            break;
        case SPAWN_FD_KEPT:
            take_kept(fd);
            break;
        case SPAWN_FD_VHOST_LOG:
            spawn_logs_fd(fd);
            break;
        default:
            continue; /* closed with the packet */
        }
        p->fds[i] = -1;
    }
}

static void take_workers(spawn_queue *q, const spawn_message *rule)
{
    const spawn_pool_rules rules = {
        .min = (unsigned)spawn_u64_or(rule, SPAWN_A_WORKERS_MIN, 0),
        .max = (unsigned)spawn_u64_or(rule, SPAWN_A_WORKERS_MAX, 0),
        .calls = spawn_u64_or(rule, SPAWN_A_WORKER_JOBS, 0),
        .memory = spawn_u64_or(rule, SPAWN_A_WORKER_MEMORY, 0),
        .idle_ms = (int64_t)spawn_u64_or(rule, SPAWN_A_WORKER_IDLE, 0)};

    spawn_pool_rule(q, &rules);
}

static void take_rule(const spawn_attr *nest)
{
    spawn_failure why;
    spawn_message rule;
    const char *name;
    spawn_queue *q;

    if (spawn_body_parse(nest->data, nest->length, SPAWN_BODY_QUEUE_RULES, 0,
                         &rule, &why)) {
        spawn_log(SPAWN_LOG_ERR, MSNO(0506) "a queue's rules are left out: %s",
                  why.text);
        return;
    }
    name = spawn_str_or(&rule, SPAWN_A_QUEUE, "");
    if (!spawn_queue_name_ok(name)) {
        spawn_log(SPAWN_LOG_ERR,
                  MSNO(0507) "a queue's rules are left out: '%.64s' is not a "
                             "name of a queue",
                  name);
        return;
    }
    q = spawn_queue_rule(
        name, spawn_u64_or(&rule, SPAWN_A_MAX_JOBS, 0),
        spawn_u64_or(&rule, SPAWN_A_MAX_QUEUED, 0),
        spawn_u64_or(&rule, SPAWN_A_TIMEOUT, 0),
        spawn_str_or(&rule, SPAWN_A_TEMPLATE, SPAWN_DEFAULT_TEMPLATE));
    q->max_delayed =
        spawn_u64_or(&rule, SPAWN_A_MAX_DELAYED, SPAWN_DEFAULT_MAX_DELAYED);
    q->shared = spawn_u64_or(&rule, SPAWN_A_SHARED, 0) != 0;
    take_workers(q, &rule);
}

static void take_defaults(const spawn_attr *nest)
{
    spawn_failure why;

    if (spawn_defaults_rule(nest, &why))
        spawn_log(SPAWN_LOG_ERR,
                  MSNO(0508) "what a queue gives to its jobs is left out: %s",
                  why.text);
}

static void take_account_of_jobs(const spawn_attr *nest)
{
    spawn_failure why;

    if (spawn_accounts_rule(nest, &why))
        spawn_log(SPAWN_LOG_ERR,
                  MSNO(0528) "an account of jobs is left out: %s", why.text);
}

static void take_allowed(const spawn_attr *nest)
{
    spawn_failure why;

    if (spawn_allowed_rule(nest, &why))
        spawn_log(SPAWN_LOG_ERR,
                  MSNO(0513) "what a queue allows is left out: %s", why.text);
}

static void take_access(const spawn_attr *nest)
{
    spawn_failure why;

    if (spawn_access_rule(nest, &why))
        spawn_log(SPAWN_LOG_ERR, MSNO(0546) "a SpawnAccess is left out: %s",
                  why.text);
}

/* Another release of httpd's module says it: an upgrade of the pair has failed,
 * or is on its way. */
static void tell_unknown(const spawn_attr *nest)
{
    unsigned number = spawn_nest_unknown(nest);
    char about[64];

    if (!number)
        return;
    (void)snprintf(about, sizeof(about), "attribute %u of %s", number,
                   spawn_attr_name(nest->id));
    spawn_log_few(about, 1, SPAWN_LOG_WARN,
                  MSNO(0509) "%s is not known to this release (%s) of the "
                             "broker: what it stands for in httpd.conf does "
                             "not count, all else does",
                  about, SPAWN_RELEASE);
}

/* These may stand many times; a parsed message only has the first. */
static void take_rules(const spawn_packet *p)
{
    spawn_reader r;
    spawn_attr a;

    spawn_accounts_begin();
    spawn_templates_begin();
    spawn_queue_rules_begin();
    spawn_defaults_begin();
    spawn_allowed_begin();
    spawn_access_begin();
    spawn_cron_rules_begin();
    spawn_reader_init(&r, p->data + SPAWN_WIRE_HEADER,
                      p->length - SPAWN_WIRE_HEADER);
    while (spawn_reader_next(&r, &a) == 1) {
        tell_unknown(&a);
        if (a.id == SPAWN_A_QUEUE_RULES)
            take_rule(&a);
        else if (a.id == SPAWN_A_QUEUE_DEFAULTS)
            take_defaults(&a);
        else if (a.id == SPAWN_A_ACCOUNT)
            take_account_of_jobs(&a);
        else if (a.id == SPAWN_A_QUEUE_ALLOW)
            take_allowed(&a);
        else if (a.id == SPAWN_A_ACCESS)
            take_access(&a);
        else if (a.id == SPAWN_A_TEMPLATE_RULES)
            spawn_templates_rule(&a);
        else if (a.id == SPAWN_A_VHOST_LOG)
            spawn_logs_rule(&a);
        else if (a.id == SPAWN_A_CRON_RULES)
            spawn_cron_rule(&a);
    }
    spawn_access_end();
    spawn_callers_ruled();
    spawn_templates_end();
    spawn_queue_rules_end();
    spawn_pools_ruled();
    spawn_cron_rules_end();
}

/* All templates of our own that a broker knows already are older; one that has
 * just begun hears of them later. Those that begin from now on are not, not
 * even where httpd has another clock (a time namespace). */
static void take_moment(const spawn_message *m)
{
    uint64_t at = spawn_u64_or(m, SPAWN_A_CONFIGURED_AT, 0);
    int64_t now = spawn_mono_ms();

    spawn_conf.made_at = at > (uint64_t)now ? now : (int64_t)at;
    spawn_conf.configured_at =
        at && spawn_phase.recovered ? now : spawn_conf.made_at;
}

static void take_account(const spawn_message *m)
{
    const char *user = spawn_str_or(m, SPAWN_A_JOB_USER, "");
    const char *group = spawn_str_or(m, SPAWN_A_JOB_GROUP, "");
    char number[24];

    spawn_conf.job_uid = (uid_t)spawn_u64_or(m, SPAWN_A_UID, getuid());
    spawn_conf.job_gid = (gid_t)spawn_u64_or(m, SPAWN_A_GID, getgid());
    (void)snprintf(number, sizeof(number), "%lu",
                   (unsigned long)spawn_conf.job_uid);
    spawn_conf.any_account = spawn_u64_or(m, SPAWN_A_ANY_ACCOUNT, 0) != 0;
    set_text(&spawn_conf.job_home, spawn_str_or(m, SPAWN_A_JOB_HOME, "/"));
    set_text(&spawn_conf.job_user, *user ? user : number);
    set_text(&spawn_conf.job_group, *group ? group : NULL);
}

void spawn_config_apply(const spawn_message *m, spawn_packet *p)
{
    const spawn_attr *secret = &m->attr[SPAWN_A_SECRET];
    spawn_sink sink;

    spawn_logs_begin();
    take_fds(m, p);
    spawn_sink_read(m, STDERR_FILENO, &sink);
    spawn_log_main(&sink);
    spawn_log_level((int)spawn_u64_or(m, SPAWN_A_LOG_LEVEL, SPAWN_LOG_NOTICE));
    if (spawn_has(m, SPAWN_A_INSTANCE))
        spawn_attr_id(&m->attr[SPAWN_A_INSTANCE], &spawn_conf.spawner_life);
    spawn_conf.has_secret = secret->length == SPAWN_SECRET_SIZE;
    if (spawn_conf.has_secret)
        memcpy(spawn_conf.secret, secret->data, SPAWN_SECRET_SIZE);
    set_text(&spawn_conf.socket_path, spawn_str_or(m, SPAWN_A_SOCKET_PATH, ""));
    if (!spawn_conf.store_path) /* never another one in a broker's life */
        set_text(&spawn_conf.store_path,
                 spawn_str_or(m, SPAWN_A_STORE_PATH, "/"));
    spawn_conf.history_jobs =
        spawn_u64_or(m, SPAWN_A_HISTORY_JOBS, HISTORY_JOBS);
    spawn_conf.history_ms = (int64_t)spawn_u64_or(m, SPAWN_A_HISTORY_AGE, 0);
    spawn_conf.history_size =
        spawn_u64_or(m, SPAWN_A_HISTORY_SIZE, HISTORY_SIZE);
    set_text(&spawn_conf.relay_url, spawn_str_or(m, SPAWN_A_RELAY_URL, NULL));
    set_text(&spawn_conf.host, spawn_str_or(m, SPAWN_A_HOST, NULL));
    spawn_conf.kill_at_stop = spawn_u64_or(m, SPAWN_A_ON_STOP, 0) == 1;
    take_moment(m);
    take_account(m);
    take_rules(p);
    spawn_relay_ruled();
}

void spawn_config_places(const spawn_message *m, spawn_packet *p)
{
    take_fds(m, p);
    spawn_places_renewed();
}
