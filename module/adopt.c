/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adoption: an httpd that starts finds the pair of its predecessor lingering
 * and takes it over, with sockets, secret and running jobs. And an external
 * spawner, which somebody else has started: it has nothing yet when it is
 * adopted, or it is such a pair (docs/systemd.md).
 *
 * Runs in the httpd parent at its first start, and when a spawner has gone.
 * Must believe nothing from the other side before it is parsed, and keep no
 * descriptor that it did not ask for.
 */

#include "module/adopt.h"

#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module/retained.h"
#include "module/spawner_hangs.h"
#include "module/sockets.h"
#include "common/spawn_os.h"
#include "common/spawn_packet.h"
#include "common/spawn_release.h"

#define ASK_MS  1000
#define LOOK_MS 50 /* between two tries: the spawner before was just ending */
#define TELL_MS 60000 /* between two lines about one that cannot be reached */

/* A message that carries nothing, or our own process. */
static int send_plain(int link, unsigned type)
{
    uint8_t room[256];
    spawn_writer w;
    int rv;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, (uint16_t)type, 0);
    if (type == SPAWN_M_ADOPT) {
        spawn_put_u64(&w, SPAWN_A_PARENT_PID, (uint64_t)getpid());
        spawn_put_str(&w, SPAWN_A_RELEASE, SPAWN_RELEASE);
    }
    rv = spawn_writer_finish(&w, 0);
    return rv < 0 ? rv : spawn_packet_send(link, w.data, w.length, NULL, 0);
}

/* Wait for one packet. As spawn_packet_receive; -ETIMEDOUT at the deadline. */
static int receive_by(int link, int64_t deadline_ms, uint8_t *room, size_t size,
                      spawn_packet *ret)
{
    for (;;) {
        int rv = spawn_packet_receive(link, room, size, ret);
        int64_t left = deadline_ms - spawn_mono_ms();
        struct pollfd wait_for = {link, POLLIN, 0};

        if (rv != -EAGAIN)
            return rv;
        if (left <= 0)
            return -ETIMEDOUT;
        (void)poll(&wait_for, 1, (int)left);
    }
}

/* Put each descriptor of ADOPTED to its place in r; the others are closed with
 * the packet. */
static void take_fds(spawn_retained *r, const spawn_message *m,
                     spawn_packet *packet)
{
    const spawn_attr *roles = &m->attr[SPAWN_A_FD_ROLES];
    unsigned i;

    for (i = 0; i < packet->fds_count; i++) {
        int *place = NULL;

        switch (spawn_u64v_at(roles, i)) {
        case SPAWN_FD_LISTEN:
            place = &r->listen_fd;
            break;
        case SPAWN_FD_POST_RX:
            place = &r->post_rx;
            break;
        case SPAWN_FD_POST_TX:
            place = &r->post_tx;
            break;
        case SPAWN_FD_INBOX:
            place = &r->inbox;
            break;
        default:
            break;
        }
        if (place && *place < 0) {
            *place = packet->fds[i];
            packet->fds[i] = -1;
        }
    }
}

static bool is_child(pid_t pid)
{
    siginfo_t info;

    return pid > 0
           && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static apr_status_t take_over(const spawn_setup *setup, int link,
                              const spawn_message *m, spawn_packet *packet)
{
    spawn_retained *r = setup->r;
    const spawn_attr *secret = &m->attr[SPAWN_A_SECRET];
    const char *path = spawn_attr_str(&m->attr[SPAWN_A_SOCKET_PATH]);

    take_fds(r, m, packet);
    if (r->listen_fd < 0 || r->post_rx < 0 || r->post_tx < 0 || r->inbox < 0
        || secret->length != sizeof(r->secret)
        || strlen(path) >= sizeof(r->socket_path)) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, setup->s,
                     MSNO(0160) "the running spawner (pid %lu, release %s) did "
                                "not hand over all that is needed; wait until "
                                "its jobs are done, or end it",
                     (unsigned long)spawn_u64_or(m, SPAWN_A_PID, 0),
                     spawn_str_or(m, SPAWN_A_RELEASE, "unknown"));
        return APR_EGENERAL;
    }
    memcpy(r->secret, secret->data, sizeof(r->secret));
    spawn_attr_id(&m->attr[SPAWN_A_INSTANCE], &r->spawner_life);
    apr_cpystrn(r->socket_path, path, sizeof(r->socket_path));
    r->spawner_pid = (pid_t)spawn_u64_or(m, SPAWN_A_PID, 0);
    spawn_hangs_release(spawn_str_or(m, SPAWN_A_RELEASE, ""));
    r->own =
        is_child(r->spawner_pid); /* our own: the module was away for long */
    r->link = link;
    r->have_sockets = true;
    r->since_ms = spawn_mono_ms();
    return APR_SUCCESS;
}

static apr_status_t in_use(server_rec *s, const char *store_path,
                           const char *text)
{
    ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s,
                 MSNO(0162) "another httpd uses the store %s: %s; set another "
                            "DefaultRuntimeDir, or SpawnStore and SpawnSocket",
                 store_path, text);
    return APR_EBUSY;
}

static apr_status_t hear(const spawn_setup *setup, int link,
                         spawn_packet *packet)
{
    spawn_failure why;
    spawn_message m;

    if (spawn_message_parse(packet->data, packet->length,
                            SPAWN_FROM_SPAWNER_TO_PARENT, packet->fds_count, &m,
                            &why)
        < 0) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, setup->s,
                     MSNO(0161) "who has the store %s does not speak our "
                                "protocol: %s",
                     setup->r->store_path, why.text);
        return APR_EGENERAL;
    }
    if (m.header.type == SPAWN_M_ADOPTED)
        return take_over(setup, link, &m, packet);
    return in_use(setup->s, setup->r->store_path,
                  spawn_str_or(&m, SPAWN_A_TEXT, "it gives no reason"));
}

/* ---- the external spawner ---- */

/* Is the lock that comes with ADOPTED the one of our store? Its holder may have
 * another store. */
static bool has_our_store(const spawn_message *m, const spawn_packet *packet,
                          int store_fd)
{
    const spawn_attr *roles = &m->attr[SPAWN_A_FD_ROLES];
    struct stat lock, its;
    unsigned i;

    if (fstatat(store_fd, "lock", &lock, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    for (i = 0; i < packet->fds_count; i++) {
        if (spawn_u64v_at(roles, i) == SPAWN_FD_LOCK
            && fstat(packet->fds[i], &its) == 0 && its.st_dev == lock.st_dev
            && its.st_ino == lock.st_ino)
            return true;
    }
    return false;
}

/* The answer of an external spawner to ADOPT. */
typedef struct {
    int link;
    spawn_packet packet;
    spawn_message m; /* points into room */
    uint8_t room[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];
} answer;

/* The secret was in it: templates and others' daemons are forked from this
 * memory. The link is closed unless somebody has taken it (-1). */
static void drop(answer *a)
{
    spawn_packet_close(&a->packet);
    explicit_bzero(a->room, sizeof(a->room));
    if (a->link >= 0)
        (void)close(a->link);
}

/* httpd tries again and again, so this is said once in a while, with the number
 * of tries since. */
static void tell_unreachable(const spawn_setup *setup, int error)
{
    static int64_t told_at;
    static unsigned untold;
    int64_t now = spawn_mono_ms();
    char more[60] = "";

    if (told_at && now - told_at < TELL_MS) {
        untold++;
        return;
    }
    if (untold)
        apr_snprintf(more, sizeof(more), " (%u more tries before this one)",
                     untold);
    told_at = now;
    untold = 0;
    ap_log_error(APLOG_MARK, APLOG_CRIT, error, setup->s,
                 MSNO(0293) "no external spawner can be reached at %s: %s; "
                            "start its socket (systemctl enable --now "
                            "mod_spawn.socket), or take out 'SpawnSpawner "
                            "external'%s",
                 setup->conf->external,
                 error == ENOENT         ? "there is no socket"
                 : error == ECONNREFUSED ? "nobody listens there"
                                         : "it cannot be connected to",
                 more);
}

/* Connect and say ADOPT. APR_SUCCESS: a has the answer, and is to be dropped.
 * APR_EAGAIN: it is just ending. APR_EHOSTUNREACH: nobody listens. All but
 * APR_EAGAIN is logged. */
static apr_status_t ask_external(const spawn_setup *setup, int64_t deadline_ms,
                                 answer *a)
{
    const char *path = setup->conf->external;
    uid_t uid = (uid_t)-1;
    spawn_failure why;
    int rv;

    memset(&a->packet, 0, sizeof(a->packet));
    a->link = spawn_connect_path(path);
    if (a->link == -EAGAIN)
        return APR_EAGAIN;
    if (a->link < 0) {
        tell_unreachable(setup, -a->link);
        return APR_EHOSTUNREACH;
    }
    if (spawn_os_peer(a->link, NULL, &uid, NULL) < 0 || uid != geteuid()) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, setup->s,
                     MSNO(0294) "%s was made by uid %ld, not by ours; it gets "
                                "nothing from us",
                     path, (long)uid);
        drop(a);
        return APR_EACCES;
    }
    rv = send_plain(a->link, SPAWN_M_ADOPT);
    if (rv == 0)
        rv = receive_by(a->link, deadline_ms, a->room, sizeof(a->room),
                        &a->packet);
    if (rv <= 0) {
        memset(&a->packet, 0, sizeof(a->packet));
        drop(a);
        return APR_EAGAIN;
    }
    if (spawn_message_parse(a->packet.data, a->packet.length,
                            SPAWN_FROM_SPAWNER_TO_PARENT, a->packet.fds_count,
                            &a->m, &why)
        < 0) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, setup->s,
                     MSNO(0295) "who is reached at %s does not speak our "
                                "protocol: %s",
                     path, why.text);
        drop(a);
        return APR_EGENERAL;
    }
    return APR_SUCCESS;
}

static apr_status_t external_in_use(const spawn_setup *setup,
                                    const spawn_message *m)
{
    ap_log_error(APLOG_MARK, APLOG_CRIT, 0, setup->s,
                 MSNO(0292) "the external spawner at %s is not free: %s; each "
                            "httpd needs one of its own",
                 setup->conf->external,
                 m->header.type == SPAWN_M_ADOPTED
                     ? "it has jobs of another store"
                     : spawn_str_or(m, SPAWN_A_TEXT, "it gives no reason"));
    return APR_EBUSY;
}

apr_status_t spawn_external_begin(const spawn_setup *setup, int64_t deadline_ms)
{
    spawn_retained *r = setup->r;
    apr_status_t rv;
    answer a;

    while ((rv = ask_external(setup, deadline_ms, &a)) == APR_EAGAIN
           && spawn_mono_ms() < deadline_ms)
        (void)poll(NULL, 0, LOOK_MS);
    if (rv == APR_EAGAIN)
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, setup->s,
                     MSNO(0296) "the external spawner at %s does not answer; "
                                "look at 'systemctl status mod_spawn'",
                     setup->conf->external);
    if (rv != APR_SUCCESS)
        return rv == APR_EAGAIN ? APR_TIMEUP : rv;
    if (a.m.header.type == SPAWN_M_EMPTY) {
        r->spawner_pid = (pid_t)spawn_u64_or(&a.m, SPAWN_A_PID, 0);
        spawn_hangs_release(spawn_str_or(&a.m, SPAWN_A_RELEASE, ""));
        r->own = false;
        r->link = a.link;
        a.link = -1;
        r->since_ms = spawn_mono_ms();
    }
    else {
        rv = external_in_use(setup, &a.m);
    }
    drop(&a);
    return rv;
}

/* The lock of our store is held, and not by a pair that listens in the store.
 * As spawn_adopt: a spawner that has the lock and is not reached is ending,
 * mostly. */
static apr_status_t adopt_external(const spawn_setup *setup, int store_fd,
                                   int64_t deadline_ms)
{
    answer a;
    apr_status_t rv = ask_external(setup, deadline_ms, &a);

    if (rv == APR_EHOSTUNREACH)
        return APR_EAGAIN;
    if (rv != APR_SUCCESS)
        return rv;
    if (a.m.header.type == SPAWN_M_EMPTY) {
        rv = APR_EAGAIN;
    }
    else if (a.m.header.type == SPAWN_M_REFUSED
             || !has_our_store(&a.m, &a.packet, store_fd)) {
        rv = external_in_use(setup, &a.m);
    }
    else {
        rv = take_over(setup, a.link, &a.m, &a.packet);
        if (rv == APR_SUCCESS)
            a.link = -1;
    }
    drop(&a);
    return rv;
}

/* ---- the pair that has the store ---- */

apr_status_t spawn_adopt(const spawn_setup *setup, int store_fd,
                         int64_t deadline_ms, bool *ret_external)
{
    uint8_t room[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];
    spawn_packet packet;
    uid_t uid = (uid_t)-1;
    apr_status_t status;
    int link, rv;

    /* a pair that httpd has started listens in the store, an external spawner
     * does not: whatever the configuration says now */
    link = spawn_connect_control(store_fd);
    *ret_external =
        setup->conf->external && (link == -ECONNREFUSED || link == -ENOENT);
    if (*ret_external)
        return adopt_external(setup, store_fd, deadline_ms);
    if (link == -ECONNREFUSED || link == -ENOENT || link == -EAGAIN)
        return APR_EAGAIN;
    if (link < 0) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, -link, setup->s,
                     MSNO(0163) "cannot connect to %s/control",
                     setup->r->store_path);
        return -link;
    }
    if (spawn_os_peer(link, NULL, &uid, NULL) < 0 || uid != geteuid()) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, setup->s,
                     MSNO(0164) "%s/control was made by uid %ld, not by ours; "
                                "nothing is taken from there",
                     setup->r->store_path, (long)uid);
        (void)close(link);
        return APR_EACCES;
    }
    rv = send_plain(link, SPAWN_M_ADOPT);
    if (rv == 0)
        rv = receive_by(link, deadline_ms, room, sizeof(room), &packet);
    if (rv <= 0) {
        /* it ended meanwhile: the lock will be free in a moment */
        (void)close(link);
        return APR_EAGAIN;
    }
    status = hear(setup, link, &packet);
    spawn_packet_close(&packet);
    /* the secret was in it: templates and others' daemons are forked from this
     * memory */
    explicit_bzero(room, sizeof(room));
    if (status != APR_SUCCESS)
        (void)close(link);
    return status;
}

/* The process of the httpd that the pair belongs to; 0: none, or not known (the
 * pair does not answer, is not ours, or is of a release without the
 * question). */
static pid_t whose(int link)
{
    uint8_t room[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];
    spawn_packet packet;
    spawn_message m;
    uid_t uid = (uid_t)-1;
    pid_t pid = 0;

    if (spawn_os_peer(link, NULL, &uid, NULL) < 0 || uid != geteuid()
        || send_plain(link, SPAWN_M_ASK) < 0
        || receive_by(link, spawn_mono_ms() + ASK_MS, room, sizeof(room),
                      &packet)
               <= 0)
        return 0;
    if (spawn_message_parse(packet.data, packet.length,
                            SPAWN_FROM_SPAWNER_TO_PARENT, packet.fds_count, &m,
                            NULL)
            == 0
        && m.header.type == SPAWN_M_ASK)
        pid = (pid_t)spawn_u64_or(&m, SPAWN_A_HTTPD, 0);
    spawn_packet_close(&packet);
    return pid;
}

apr_status_t spawn_adopt_look(apr_pool_t *p, server_rec *s,
                              const char *store_path, int store_fd)
{
    int link = spawn_connect_control(store_fd);
    pid_t pid;

    if (link < 0)
        return APR_SUCCESS;
    pid = whose(link);
    (void)close(link);
    return pid > 0 ? in_use(s, store_path,
                            apr_psprintf(p,
                                         "it belongs to the httpd with process "
                                         "id %d",
                                         (int)pid))
                   : APR_SUCCESS;
}
