/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an order to Perl: the steps of a forked process until it is the job.
 * Runs in the job's process only, and must run no Perl before the last step.
 *
 * A job that was forked for its order tells its process id before anything
 * else: from then on the spawner knows whose exit it reaps. A spare tells so
 * when it is set up, and before only when the set-up can hang (spares.c). Then
 * come the steps that a program takes, too (common/spawn_child.c); a step that
 * fails is told by its number.
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>
#include <sys/socket.h>

#include "common/spawn_child.h"
#include "common/spawn_field.h"
#include "perl/xs/template/template.h"

#define CGROUP_WAIT_S 10

/* Where a failed step is reported. */
typedef struct {
    int link;
    spawn_id id;
    bool spare;
    int template; /* a spare's socket; -1: it knows that we have told, or need
                     not know */
} reporter;

/* The template need not tell of us. */
static void leave_template(reporter *r)
{
    if (r->template <0)
        return;
    (void)!send(r->template, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)close(r->template);
    r->template = -1;
}

static int tell_set_up(const reporter *r, spawn_step step, int error)
{
    return spawn_template_tell_set_up(r->link, &r->id, r->spare ? getpid() : 0,
                                      step, error);
}

static void failed(void *arg, spawn_step step, int error)
{
    (void)tell_set_up(arg, step, error);
    leave_template(arg);
    _exit(127);
}

/* The spawner moves us to our cgroup when it has heard of us, and then sends
 * SIGCONT. A process that a function forks before that would be outside of its
 * limits. A spawner of an older release sends nothing, and moves us all the
 * same. */
static int tell_and_wait_for_cgroup(const reporter *r)
{
    const struct timespec most = {.tv_sec = CGROUP_WAIT_S};
    sigset_t cont, before;
    int rv;

    (void)sigemptyset(&cont);
    (void)sigaddset(&cont, SIGCONT);
    (void)sigprocmask(SIG_BLOCK, &cont, &before);
    rv = tell_set_up(r, SPAWN_STEP_NONE, 0);
    if (rv >= 0)
        (void)sigtimedwait(&cont, NULL, &most);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return rv;
}

/* Signals that are not meant for a template. */
void spawn_template_not_for_us(void (*to)(int))
{
    static const int not_for_us[] = {SIGHUP, SIGINT, SIGPIPE};
    size_t i;

    for (i = 0; i < sizeof(not_for_us) / sizeof(*not_for_us); i++)
        (void)signal(not_for_us[i], to);
}

/* Index of the order's descriptor that has this role, or -1. */
static int kept(const spawn_message *order, spawn_keep_role role)
{
    const spawn_attr *keep = &order->attr[SPAWN_A_KEEP];
    uint32_t i;

    for (i = 0; spawn_has(order, SPAWN_A_KEEP) && i < spawn_u64v_count(keep);
         i += 2) {
        if (spawn_u64v_at(keep, i + 1) == role)
            return (int)spawn_u64v_at(keep, i);
    }
    return -1;
}

static spawn_board *map_board(const spawn_child *c)
{
    int index = kept(c->order, SPAWN_KEEP_BOARD);

    errno = EINVAL;
    return index < 0 ? NULL : spawn_board_map(c->fds[index]);
}

/* Does its set-up open files of the job's? */
static bool may_hang(const spawn_message *order)
{
    spawn_stdio s;
    unsigned a;

    for (a = SPAWN_A_STDIN; a <= SPAWN_A_STDERR; a++) {
        if (!spawn_has(order, a))
            continue;
        spawn_attr_stdio(&order->attr[a], &s);
        if (s.how == SPAWN_STDIO_PATH)
            return true;
    }
    return spawn_has(order, SPAWN_A_CWD);
}

void spawn_template_become(pTHX_ int link, const spawn_message *order,
                           const int *fds, int spare)
{
    static const spawn_identity as_we_are = {.groups_count = -1};
    reporter r = {.link = link, .spare = spare >= 0, .template = spare};
    spawn_child c = {.order = order,
                     .fds = fds,
                     .as = &as_we_are,
                     .leads = r.spare,
                     .keep = {link, spare},
                     .keep_count = r.spare ? 2 : 1,
                     .failed = failed,
                     .arg = &r};
    int lifted[SPAWN_CHILD_FDS];
    int stay[3] = {link, spare, -1};
    int index = kept(order, SPAWN_KEEP_BELL);
    spawn_board *board;
    int rv;

    spawn_attr_id(&order->attr[SPAWN_A_ID], &r.id);
    if ((!r.spare || may_hang(order))
        && spawn_template_tell_forked(link, &r.id) < 0)
        _exit(127); /* the spawner would not know of this job */
    spawn_template_not_for_us(SIG_DFL); /* all others stay as they were set */
    board = map_board(&c);
    if (!board)
        failed(&r, SPAWN_STEP_FDS, errno);
    if (!spawn_has(order, SPAWN_A_FUNCTION)
        && !spawn_has(order, SPAWN_A_IS_WORKER))
        failed(&r, SPAWN_STEP_TEMPLATE, EINVAL);
    if (!r.spare)
        spawn_template_close_handles(aTHX);
    spawn_child_set_up(&c, lifted);
    if (index >= 0)
        stay[2] = lifted[index];
    spawn_child_close_others(&c, stay, 3);
    rv = spawn_limits_of_tree(order) ? tell_and_wait_for_cgroup(&r)
                                     : tell_set_up(&r, SPAWN_STEP_NONE, 0);
    if (rv < 0)
        _exit(127);
    (void)close(link);
    leave_template(&r);
    spawn_template_board_is(board, stay[2]);
    spawn_template_block_numbers();
    spawn_template_job(aTHX_ order);
}
