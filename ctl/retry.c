/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawnctl retry: dead jobs are tried again. Runs in spawnctl. Must not try
 * one again that has not failed: the broker says which have.
 */
#include <stdlib.h>
#include <string.h>

#include "common/spawn_name.h"
#include "ctl/ctl.h"

const char ctl_retry_help[] =
    "usage: spawnctl retry [options] id ...\n"
    "       spawnctl retry [options] --all [--queue NAME]\n"
    "Try dead jobs again, each as often as it was submitted for. 'spawnctl ps\n"
    "--state dead' lists them. An id may be cut to 8 or more characters of "
    "its\n"
    "beginning or its end.\n"
    "\n"
    "  -a, --all             all that are dead\n"
    "  -q, --queue NAME      only those of one queue\n"
    "      --timeout TIME    longest time for an answer of the broker\n"
    "  -s, --socket PATH, --json, -h, --help, -V, --version\n"
    "\n"
    "Exit code: 0; 1 no such job, or it is not dead; 125 spawnctl or the\n"
    "broker failed.\n";

static const struct option options[] = {
    {"all", no_argument, NULL, 'a'},
    {"queue", required_argument, NULL, 'q'},
    {"timeout", required_argument, NULL, 'T'},
    CTL_LONG_OPTIONS};

typedef struct {
    bool all;
    const char *queue;
} choice;

static int retry_one(spawn_ctl *ctl, const spawn_id *id)
{
    return ctl_ask_of(ctl, SPAWN_M_REVIVE, id, SPAWN_E_NOT_DEAD);
}

/* ---- all of them ---- */

typedef struct {
    spawn_id *ids;
    size_t used, room;
    bool no_memory;
} list;

static bool add(void *arg, const spawn_message *job)
{
    list *l = arg;

    if (l->used == l->room) {
        size_t room = l->room ? 2 * l->room : 256;
        spawn_id *ids = realloc(l->ids, room * sizeof(*ids));

        l->no_memory = !ids;
        if (!ids)
            return false;
        l->ids = ids;
        l->room = room;
    }
    spawn_attr_id(&job->attr[SPAWN_A_ID], &l->ids[l->used++]);
    return true;
}

static int find_dead(spawn_ctl *ctl, const char *queue, list *ret)
{
    spawn_failure why;
    uint8_t room[256];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_LIST, 0);
    if (queue)
        spawn_put_str(&w, SPAWN_A_QUEUE, queue);
    spawn_put_u64(&w, SPAWN_A_STATES, SPAWN_STATES_DEAD);
    spawn_put_u64(&w, SPAWN_A_ARGV_MOST, 0);
    (void)spawn_writer_finish(&w, 0);
    if (spawn_client_list(ctl->client, &w, add, ret, &why))
        return ctl_fail(&why);
    if (!ret->no_memory)
        return CTL_OK;
    (void)fputs("spawnctl: no memory for so many jobs\n", stderr);
    return CTL_TROUBLE;
}

/* The first that failed comes first. One that is dead no more, since somebody
 * else has tried it again, is no trouble; a queue that is full is. */
static int retry_all(spawn_ctl *ctl, const char *queue)
{
    list l = {NULL, 0, 0, false};
    int code = find_dead(ctl, queue, &l);
    size_t left = l.used;

    while (code == CTL_OK && left > 0) {
        code = retry_one(ctl, &l.ids[--left]);
        if (code == CTL_NO)
            code = CTL_OK;
    }
    if (code != CTL_OK && left + 1 < l.used)
        (void)fprintf(stderr, "  %zu of %zu are tried again\n",
                      l.used - left - 1, l.used);
    free(l.ids);
    return code;
}

/* ---- options ---- */

static int read_option(spawn_ctl *ctl, int option, choice *c)
{
    switch (option) {
    case 'a':
        c->all = true;
        return -1;
    case 'q':
        if (!spawn_queue_name_ok(optarg))
            return ctl_usage(ctl, "--queue: '%s' is not a queue's name",
                             optarg);
        c->queue = optarg;
        return -1;
    case 'T':
        return ctl_option_timeout(ctl, optarg);
    default:
        return ctl_option(ctl, option);
    }
}

static int check(const spawn_ctl *ctl, const choice *c, bool ids)
{
    if (c->all && ids)
        return ctl_usage(ctl, "--all and ids exclude each other");
    if (!c->all && c->queue)
        return ctl_usage(ctl, "--queue belongs to --all");
    if (!c->all && !ids)
        return ctl_usage(ctl, "no id; 'spawnctl ps --state dead' lists them");
    return -1;
}

int ctl_retry(spawn_ctl *ctl, int argc, char **argv)
{
    choice c = {false, NULL};
    int option, code;

    while (
        (option = ctl_getopt(ctl, argc, argv, CTL_SHORT_OPTIONS "aq:", options))
        != -1) {
        code = read_option(ctl, option, &c);
        if (code >= 0)
            return code;
    }
    code = check(ctl, &c, optind < argc);
    if (code >= 0)
        return code;
    code = ctl_connect(ctl);
    if (code)
        return code;
    if (c.all)
        return retry_all(ctl, c.queue);
    return ctl_ask_of_each(ctl, SPAWN_M_REVIVE, argc, argv, SPAWN_E_NOT_DEAD);
}
