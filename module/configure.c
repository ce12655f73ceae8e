/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CONFIGURE and its answers, on the control link. Runs in the httpd parent.
 * Must never block but in spawn_answer_read, with a deadline. Messages of the
 * spawner get the same checks as a stranger's.
 */
#include "module/configure.h"
#include "module/account.h"
#include "module/access.h"
#include "module/allow.h"
#include "module/config.h"
#include "module/confines.h"
#include "module/cron.h"
#include "module/job_rules.h"
#include "module/queue_account.h"
#include "module/relay.h"

#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "module/logs.h"
#include "common/spawn_field.h"
#include "common/spawn_os.h"
#include "common/spawn_packet.h"
#include "common/spawn_process.h"
#include "common/spawn_release.h"

typedef struct {
    int fds[SPAWN_FDS_MAX];
    uint64_t roles[SPAWN_FDS_MAX];
    unsigned count;
} fd_list;

static void add_fd(fd_list *list, spawn_fd_role role, int fd)
{
    list->fds[list->count] = fd;
    list->roles[list->count++] = role;
}

static void put_workers(spawn_writer *w, const spawn_queue_rules *rules)
{
    spawn_put_u64(w, SPAWN_A_WORKERS_MIN, (uint64_t)rules->workers_min);
    spawn_put_u64(w, SPAWN_A_WORKERS_MAX, (uint64_t)rules->workers_max);
    spawn_put_u64(w, SPAWN_A_WORKER_JOBS, (uint64_t)rules->worker_jobs);
    spawn_put_u64(w, SPAWN_A_WORKER_MEMORY, (uint64_t)rules->worker_memory);
    spawn_put_u64(w, SPAWN_A_WORKER_IDLE, (uint64_t)rules->worker_idle_ms);
}

static void put_queues(spawn_writer *w, const spawn_server_config *conf)
{
    int i;

    for (i = 0; i < conf->rules->nelts; i++) {
        const spawn_queue_rules *rules =
            &APR_ARRAY_IDX(conf->rules, i, spawn_queue_rules);
        size_t mark = spawn_open_nest(w, SPAWN_A_QUEUE_RULES);

        spawn_put_str(w, SPAWN_A_QUEUE, rules->name);
        spawn_put_u64(w, SPAWN_A_MAX_JOBS, (uint64_t)rules->max_jobs);
        spawn_put_u64(w, SPAWN_A_MAX_QUEUED, (uint64_t)rules->max_queued);
        if (rules->max_delayed != SPAWN_DEFAULT_MAX_DELAYED)
            spawn_put_u64(w, SPAWN_A_MAX_DELAYED, (uint64_t)rules->max_delayed);
        if (rules->timeout_ms)
            spawn_put_u64(w, SPAWN_A_TIMEOUT, (uint64_t)rules->timeout_ms);
        if (rules->template)
            spawn_put_str(w, SPAWN_A_TEMPLATE, rules->template);
        if (rules->shared == SPAWN_SWITCH_ON)
            spawn_put_u64(w, SPAWN_A_SHARED, 1);
        if (rules->workers_max)
            put_workers(w, rules);
        spawn_close(w, mark);
    }
}

static void put_texts(spawn_writer *w, uint16_t attr,
                      const apr_array_header_t *texts)
{
    size_t mark = spawn_open_strv(w, attr);
    int i;

    for (i = 0; i < texts->nelts; i++) {
        const char *text = APR_ARRAY_IDX(texts, i, const char *);

        spawn_add_text(w, mark, text, strlen(text));
    }
    spawn_close(w, mark);
}

static void put_templates(spawn_writer *w, const spawn_server_config *conf)
{
    int i;

    for (i = 0; i < conf->templates->nelts; i++) {
        const spawn_template_rules *rules =
            APR_ARRAY_IDX(conf->templates, i, spawn_template_rules *);
        size_t mark = spawn_open_nest(w, SPAWN_A_TEMPLATE_RULES);

        spawn_put_str(w, SPAWN_A_TEMPLATE, rules->name);
        spawn_put_u64(w, SPAWN_A_TEMPLATE_KIND,
                      rules->parent ? SPAWN_TEMPLATE_PARENT
                                    : SPAWN_TEMPLATE_EXEC);
        put_texts(w, SPAWN_A_PRELOAD, rules->preload);
        put_texts(w, SPAWN_A_INCLUDE, rules->include);
        if (rules->require)
            spawn_put_str(w, SPAWN_A_REQUIRE, rules->require);
        spawn_put_str(w, SPAWN_A_PERL, rules->perl);
        spawn_put_u64(w, SPAWN_A_TEMPLATE_MEMORY, rules->memory);
        spawn_put_u64(w, SPAWN_A_TEMPLATE_SPARES, rules->spares);
        if (rules->max_jobs)
            spawn_put_u64(w, SPAWN_A_TEMPLATE_JOBS, (uint64_t)rules->max_jobs);
        if (rules->max_age_ms)
            spawn_put_u64(w, SPAWN_A_TEMPLATE_AGE, (uint64_t)rules->max_age_ms);
        spawn_close(w, mark);
    }
}

static void put_account(spawn_writer *w, const spawn_account *account,
                        const spawn_account *owner)
{
    if (account->switched) {
        spawn_put_u64(w, SPAWN_A_BROKER_UID, owner->uid);
        spawn_put_u64(w, SPAWN_A_BROKER_GID, owner->gid);
        spawn_put_u64v(w, SPAWN_A_BROKER_GROUPS, owner->groups,
                       owner->groups_count);
        spawn_put_u64(w, SPAWN_A_UID, account->uid);
        spawn_put_u64(w, SPAWN_A_GID, account->gid);
        spawn_put_u64v(w, SPAWN_A_GROUPS, account->groups,
                       account->groups_count);
    }
    spawn_put_str(w, SPAWN_A_JOB_HOME, account->home);
    spawn_put_str(w, SPAWN_A_JOB_USER, account->user);
    spawn_put_str(w, SPAWN_A_JOB_GROUP, account->group);
    if (account->switched && spawn_confines_accounts())
        spawn_put_u64(w, SPAWN_A_ANY_ACCOUNT, 1);
}

static uint64_t log_level(server_rec *s)
{
    int level = ap_get_server_module_loglevel(s, APLOG_MODULE_INDEX);

    return (uint64_t)(level > SPAWN_LOG_DEBUG ? SPAWN_LOG_DEBUG
                      : level < 0             ? 0
                                              : level);
}

static void put_rules(spawn_writer *w, const spawn_setup *setup)
{
    const spawn_retained *r = setup->r;
    const spawn_server_config *conf = setup->conf;
    struct rlimit files;

    spawn_put_id(w, SPAWN_A_INSTANCE, &r->spawner_life);
    spawn_put_str(w, SPAWN_A_RELEASE, SPAWN_RELEASE);
    put_queues(w, conf);
    spawn_job_rules_put(setup->p, w, conf);
    spawn_allow_put(w, conf);
    spawn_access_put(w, conf);
    put_templates(w, conf);
    spawn_cron_put(setup->p, w, conf);
    spawn_put_u64(w, SPAWN_A_SUBMIT_TIMEOUT,
                  spawn_config_submit_timeout_ms(setup->s));
    spawn_put_u64(w, SPAWN_A_HISTORY_JOBS, (uint64_t)conf->history_jobs);
    if (conf->history_age_ms)
        spawn_put_u64(w, SPAWN_A_HISTORY_AGE, (uint64_t)conf->history_age_ms);
    spawn_put_u64(w, SPAWN_A_HISTORY_SIZE, (uint64_t)conf->history_size);
    spawn_put_u64(w, SPAWN_A_ON_STOP, (uint64_t)conf->on_stop);
    spawn_put_str(w, SPAWN_A_STORE_PATH, r->store_path);
    spawn_put_str(w, SPAWN_A_SOCKET_PATH, r->socket_path);
    put_account(w, setup->account, setup->owner);
    spawn_queue_accounts_put(w, conf, setup->account);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        const uint64_t limits[2] = {files.rlim_cur, files.rlim_max};

        spawn_put_u64v(w, SPAWN_A_FILE_LIMIT, limits, 2);
    }
    if (conf->bounding_set != SPAWN_CAPABILITIES_ALL)
        spawn_put_u64(w, SPAWN_A_BOUNDING_SET, conf->bounding_set);
    if (conf->cgroup[0])
        spawn_put_str(w, SPAWN_A_CGROUP, conf->cgroup);
    spawn_relay_put(w, conf);
    spawn_put_u64(w, SPAWN_A_CONFIGURED_AT, (uint64_t)spawn_mono_ms());
    spawn_put_u64(w, SPAWN_A_LOG_LEVEL, log_level(setup->s));
    spawn_put_u64(w, SPAWN_A_PARENT_PID, (uint64_t)getpid());
}

static void list_fds(fd_list *list, const spawn_setup *setup,
                     const spawn_configure_with *with, int pidfd, int kept,
                     const spawn_vhost_logs *logs)
{
    const spawn_retained *r = setup->r;
    unsigned i;

    list->count = 0;
    add_fd(list, SPAWN_FD_LOG, spawn_logs_fd_of(setup->s));
    add_fd(list, SPAWN_FD_PARENT, pidfd);
    add_fd(list, SPAWN_FD_BROKER_BIN, with->broker_bin);
    add_fd(list, SPAWN_FD_SPAWNER_BIN, with->spawner_bin);
    if (with->relay_bin >= 0)
        add_fd(list, SPAWN_FD_RELAY_BIN, with->relay_bin);
    if (with->first || with->new_listen)
        add_fd(list, SPAWN_FD_LISTEN, r->listen_fd);
    if (with->first) {
        add_fd(list, SPAWN_FD_POST_RX, r->post_rx);
        add_fd(list, SPAWN_FD_POST_TX, r->post_tx);
        add_fd(list, SPAWN_FD_INBOX, r->inbox);
        add_fd(list, SPAWN_FD_LOCK, with->lock);
        if (with->control >= 0) /* an external spawner has its own */
            add_fd(list, SPAWN_FD_CONTROL, with->control);
    }
    if (kept >= 0)
        add_fd(list, SPAWN_FD_KEPT, kept);
    for (i = 0; i < logs->count; i++)
        add_fd(list, SPAWN_FD_VHOST_LOG, logs->fds[i]);
}

apr_status_t spawn_configure_send(const spawn_setup *setup,
                                  const spawn_configure_with *with)
{
    spawn_retained *r = setup->r;
    spawn_writer w;
    fd_list list;
    spawn_vhost_logs logs;
    int pidfd = spawn_os_pidfd(getpid());
    int kept, rv;

    if (pidfd < 0) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, -pidfd, setup->s,
                     MSNO(0150) "cannot open a pidfd of httpd itself; the "
                                "kernel must be Linux 5.3 or later, and "
                                "descriptors must be left");
        return -pidfd;
    }
    spawn_logs_collect(setup->s, &logs);
    kept = spawn_logs_open_kept(setup);
    list_fds(&list, setup, with, pidfd, kept, &logs);
    spawn_writer_init(&w, spawn_message_max(SPAWN_M_CONFIGURE));
    spawn_writer_begin(&w, SPAWN_M_CONFIGURE, ++r->seq);
    spawn_put_u64v(&w, SPAWN_A_FD_ROLES, list.roles, list.count);
    put_rules(&w, setup);
    spawn_logs_put(&w, setup->s, &logs);
    /* the last: memory that became too small for the message must not have it
     */
    spawn_put_bytes(&w, SPAWN_A_SECRET, r->secret, sizeof(r->secret));
    rv = spawn_writer_finish(&w, list.count);
    if (rv == 0)
        rv = spawn_packet_send(r->link, w.data, w.length, list.fds, list.count);
    /* wipe the secret: templates are forked from this memory */
    if (w.data)
        explicit_bzero(w.data, w.length);
    spawn_writer_free(&w);
    (void)close(pidfd);
    if (kept >= 0)
        (void)close(kept);
    r->ready = false;
    if (rv < 0) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, -rv, setup->s,
                     MSNO(0151) "cannot send the configuration to the spawner "
                                "(pid %d)",
                     (int)r->spawner_pid);
        return -rv;
    }
    return APR_SUCCESS;
}

void spawn_tell(const spawn_retained *r, unsigned type)
{
    uint8_t room[SPAWN_WIRE_HEADER];
    spawn_writer w;

    if (r->link < 0)
        return;
    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, (uint16_t)type, 0);
    if (spawn_writer_finish(&w, 0) == 0)
        (void)spawn_packet_send(r->link, w.data, w.length, NULL, 0);
}

void spawn_link_close(spawn_retained *r)
{
    if (r->link >= 0)
        (void)close(r->link);
    r->link = -1;
    r->ready = false;
}

static bool heard; /* from the spawner, since that was asked last */

bool spawn_answer_heard(void)
{
    bool it_was = heard;

    heard = false;
    return it_was;
}

/* One packet, if there is one. */
static spawn_answer_kind read_one(const spawn_setup *setup, uint32_t seq,
                                  const char **ret_text)
{
    uint8_t room[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];
    spawn_answer_kind kind = SPAWN_ANSWER_NONE;
    spawn_failure why;
    spawn_message m;
    spawn_packet packet;
    int rv;

    rv = spawn_packet_receive(setup->r->link, room, sizeof(room), &packet);
    if (rv == -EAGAIN)
        return SPAWN_ANSWER_NONE;
    if (rv <= 0) {
        *ret_text = "it closed the connection";
        return SPAWN_ANSWER_GONE;
    }
    heard = true;
    rv = spawn_message_parse(packet.data, packet.length,
                             SPAWN_FROM_SPAWNER_TO_PARENT, packet.fds_count, &m,
                             &why);
    if (rv < 0) {
        *ret_text = apr_pstrdup(setup->p, why.text);
        kind = SPAWN_ANSWER_GONE;
    }
    else if (seq == 0 || m.header.seq == 0 || m.header.seq == seq) {
        if (m.header.type == SPAWN_M_READY) {
            setup->r->ready = true;
            kind = SPAWN_ANSWER_READY;
        }
        else if (m.header.type == SPAWN_M_NOT_READY) {
            *ret_text =
                apr_pstrdup(setup->p, spawn_str_or(&m, SPAWN_A_TEXT, "?"));
            kind = SPAWN_ANSWER_NOT_READY;
        }
    }
    spawn_packet_close(&packet);
    return kind;
}

spawn_answer_kind spawn_answer_read(const spawn_setup *setup, uint32_t seq,
                                    int64_t deadline_ms, const char **ret_text)
{
    *ret_text = "";
    for (;;) {
        spawn_answer_kind kind = read_one(setup, seq, ret_text);
        struct pollfd link = {setup->r->link, POLLIN, 0};
        int64_t left = deadline_ms - spawn_mono_ms();

        if (kind != SPAWN_ANSWER_NONE)
            return kind;
        if (left <= 0) {
            /* behind a message of no interest there may be another one */
            if (poll(&link, 1, 0) != 1)
                return SPAWN_ANSWER_NONE;
            continue;
        }
        (void)poll(&link, 1, (int)left);
    }
}
