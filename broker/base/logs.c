/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error logs of virtual hosts. Runs in the broker, which gets them from the
 * spawner with each CONFIGURE. Keeps no log for a job: the name is looked up
 * for each line, since there are few names and a graceful restart may bring
 * others while the job runs.
 */
#include "broker/base/logs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/spawn_log.h"
#include "broker/base/alloc.h"

typedef struct vhost_log vhost_log;
struct vhost_log {
    vhost_log *next;
    char *name;
    spawn_sink sink;
};

static vhost_log *logs;
static int fds[SPAWN_VHOST_LOGS_MAX];
static unsigned fds_count;

void spawn_logs_begin(void)
{
    spawn_log_counts(INT64_MAX); /* lines that wait know their log's number */
    while (logs) {
        vhost_log *log = logs;

        logs = log->next;
        free(log->name);
        free(log);
    }
    while (fds_count > 0)
        (void)close(fds[--fds_count]);
}

void spawn_logs_fd(int fd)
{
    if (fds_count < SPAWN_VHOST_LOGS_MAX)
        fds[fds_count++] = fd;
    else
        (void)close(fd);
}

void spawn_logs_rule(const spawn_attr *nest)
{
    spawn_message m;
    vhost_log *log, **last = &logs;
    uint64_t index;

    if (spawn_body_parse(nest->data, nest->length, SPAWN_BODY_VHOST_LOG, 0, &m,
                         NULL))
        return;
    index = spawn_u64_or(&m, SPAWN_A_SEQ, SPAWN_VHOST_LOGS_MAX);
    if (!spawn_has(&m, SPAWN_A_LOG_FACILITY) && index >= fds_count)
        return;
    log = spawn_alloc(sizeof(*log));
    log->name = spawn_strdup(spawn_attr_str(&m.attr[SPAWN_A_TEXT]));
    spawn_sink_read(&m, index < fds_count ? fds[index] : -1, &log->sink);
    while (*last)
        last = &(*last)->next;
    *last = log;
}

const spawn_sink *spawn_logs_find(const char *vhost)
{
    const vhost_log *log;

    for (log = vhost ? logs : NULL; log; log = log->next) {
        if (strcasecmp(log->name, vhost) == 0)
            return &log->sink;
    }
    return NULL;
}

const char *spawn_logs_context(const spawn_message *order, const char *name)
{
    const spawn_attr *a = &order->attr[SPAWN_A_CONTEXT];
    uint32_t count =
        spawn_has(order, SPAWN_A_CONTEXT) ? spawn_strv_count(a) : 0;
    size_t length = strlen(name);
    const char *text = NULL;

    while (count-- > 0) {
        text = spawn_strv_next(a, text);
        if (strncmp(text, name, length) == 0 && text[length] == '=')
            return text + length + 1;
    }
    return NULL;
}

const char *spawn_logs_what(const spawn_message *order)
{
    const spawn_attr *argv = &order->attr[SPAWN_A_ARGV];

    if (spawn_has(order, SPAWN_A_FUNCTION))
        return spawn_attr_str(&order->attr[SPAWN_A_FUNCTION]);
    return spawn_has(order, SPAWN_A_ARGV) && spawn_strv_count(argv)
               ? spawn_strv_next(argv, NULL)
               : "no program";
}

/* The caller may have chosen the id of its request. */
static void copy_request(const char *id, char *to)
{
    size_t i;

    for (i = 0; id && id[i] && i < SPAWN_LOGS_REQUEST; i++)
        to[i] =
            id[i] > ' ' && id[i] <= '~' && !strchr("()\\", id[i]) ? id[i] : '?';
    to[i] = '\0';
}

void spawn_logs_whose(const spawn_message *order, spawn_whose *ret)
{
    const char *vhost = order ? spawn_logs_vhost(order) : NULL;

    (void)snprintf(ret->vhost, sizeof(ret->vhost), "%s", vhost ? vhost : "");
    copy_request(order ? spawn_logs_context(order, "request_id") : NULL,
                 ret->request);
}

const char *spawn_logs_name(const spawn_id *id, const spawn_message *order,
                            char *name)
{
    char text[SPAWN_ID_TEXT];
    spawn_whose whose;

    spawn_logs_whose(order, &whose);
    (void)snprintf(name, SPAWN_LOGS_NAME, "%s%s%s%s", spawn_id_format(id, text),
                   whose.request[0] ? " (request " : "", whose.request,
                   whose.request[0] ? ")" : "");
    return name;
}
