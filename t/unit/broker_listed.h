/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Callers that SpawnAccess lets in: what is said of accounts in CONFIGURE, and
 * connections of these accounts, which only root can make. For unit tests.
 */
#ifndef BROKER_LISTED_H
#define BROKER_LISTED_H

#include "t/unit/broker_jobs.h"

#include <grp.h>

#include "common/spawn_log.h"

#define BACKUP 61001 /* accounts and groups that nobody has */
#define OTHER  61002
#define OPS    61003
#define STAFF  61004

#define NEEDS_ROOT                                                             \
    (void)state;                                                               \
    LEAVE_OUT_IF(geteuid() != 0, "only root can become another account")

typedef struct {
    const char *queue; /* NULL: outside */
    unsigned uid, gid; /* 0: none; both: nobody */
    unsigned rights;
} access_rule;

static access_rule said[8];
static unsigned said_count;

static inline void put_said(spawn_writer *w)
{
    unsigned i;

    for (i = 0; i < said_count; i++) {
        size_t mark = spawn_open_nest(w, SPAWN_A_ACCESS);

        if (said[i].queue)
            spawn_put_str(w, SPAWN_A_QUEUE, said[i].queue);
        if (said[i].uid)
            spawn_put_u64(w, SPAWN_A_UID, said[i].uid);
        if (said[i].gid)
            spawn_put_u64(w, SPAWN_A_GID, said[i].gid);
        spawn_put_u64(w, SPAWN_A_RIGHTS, said[i].rights);
        if (said[i].uid)
            spawn_put_str(w, SPAWN_A_TEXT, "backup");
        spawn_close(w, mark);
    }
    /* one that the queue other has */
    {
        size_t nest = spawn_open_nest(w, SPAWN_A_CRON_RULES), list;

        spawn_put_str(w, SPAWN_A_CRON, "yearly");
        spawn_put_str(w, SPAWN_A_CRON_SCHEDULE, "0 0 1 1 *");
        spawn_put_str(w, SPAWN_A_CRON_ZONE, "UTC");
        spawn_put_str(w, SPAWN_A_QUEUE, "other");
        list = spawn_open_strv(w, SPAWN_A_ARGV);
        spawn_add_text(w, list, "/bin/true", 9);
        spawn_close(w, list);
        spawn_close(w, nest);
    }
}

static inline void say_of(const char *queue, unsigned uid, unsigned gid,
                          unsigned rights)
{
    said[said_count++] = (access_rule){queue, uid, gid, rights};
}

static inline int set_up_each(void **state)
{
    static const char *const queues[] = {"other", NULL};
    int rv = set_up(state);

    said_count = 0;
    more_rules = put_said;
    more_queues = queues;
    log_is_kept = true;
    return rv;
}

static inline void configure_again(void)
{
    say_configure();
    expect(SPAWN_M_BROKER_READY);
}

/* ---- callers ---- */

static inline void connect_in(unsigned uid, unsigned gid, const gid_t *groups,
                              size_t groups_count)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    gid_t own[64];
    int count = getgroups(64, own);

    assert_true(count >= 0);
    assert_int_equal(chmod(dir, 0755), 0);
    assert_int_equal(chmod(listen_path, 0666), 0);
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%.107s", listen_path);
    (void)close(caller);
    caller = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(setgroups(groups_count, groups), 0);
    assert_int_equal(setegid(gid), 0);
    assert_int_equal(seteuid(uid), 0);
    assert_int_equal(connect(caller, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(setegid(0), 0);
    assert_int_equal(setgroups((size_t)count, own), 0);
}

/* With its own group and one more; 0: none. */
static inline void connect_with(unsigned uid, unsigned gid, unsigned group)
{
    const gid_t groups[] = {group};

    connect_in(uid, gid, groups, group != 0);
}

static inline void say_hello(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_HELLO, NULL);
    spawn_put_str(&w, SPAWN_A_CLIENT, "test");
    ask(&w);
}

static inline void backup_comes(void)
{
    connect_with(BACKUP, BACKUP, 0);
    say_hello();
    expect_answer(SPAWN_M_WELCOME);
}

#endif
