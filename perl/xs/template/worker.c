/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's link to the broker: calls come in, the news of their end goes out.
 * Runs in a worker only, between two calls and never in one. A broker that
 * comes after a killed one may send a call again that has arrived: the worker
 * must take a call once.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/spawn_os.h"
#include "common/spawn_slate.h"
#include "common/spawn_spin.h"
#include "perl/xs/template/freeze.h"
#include "perl/xs/template/template.h"

static spawn_id taken; /* the last one */
static bool any_taken;
static uint64_t taken_attempt; /* at it */
static struct rusage before;
static spawn_spin spin; /* for calls of the caller that it is lent to */
static spawn_kept_fd own_link = SPAWN_KEPT_NONE; /* a call may close it */

int spawn_template_tell_ready(int link, unsigned code, const char *text,
                              size_t length)
{
    uint8_t buffer[SPAWN_TEMPLATE_TEXT + 256];
    spawn_writer w;

    spawn_fd_keep(&own_link, link);
    if (length > SPAWN_TEMPLATE_TEXT)
        length = SPAWN_TEMPLATE_TEXT;
    length = strnlen(text, length);
    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, SPAWN_M_RETURNED, SPAWN_SLATE_FORM);
    spawn_put_u64(&w, SPAWN_A_CODE, code);
    if (length)
        spawn_put_strn(&w, SPAWN_A_TEXT, text, length);
    return spawn_template_tell(link, &w);
}

#define VARIABLES_NOTED 256

extern char **environ;

static char *noted[VARIABLES_NOTED];
static size_t noted_count;

void spawn_template_note_environment(void)
{
    for (noted_count = 0;
         noted_count < VARIABLES_NOTED && environ && environ[noted_count];
         noted_count++)
        noted[noted_count] = environ[noted_count];
}

/* Perl makes a new text for each variable that is set. */
static bool environment_changed(void)
{
    size_t i;

    for (i = 0; environ && environ[i]; i++) {
        if (i >= noted_count || environ[i] != noted[i])
            return true;
    }
    return i != noted_count;
}

/* Is it a call that has not been taken yet? */
static bool is_new(const spawn_message *m)
{
    uint64_t attempt = spawn_u64_or(m, SPAWN_A_ATTEMPT, 1);
    spawn_id id;

    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    if (any_taken && spawn_id_equal(&id, &taken) && attempt == taken_attempt)
        return false;
    taken = id;
    taken_attempt = attempt;
    any_taken = true;
    return true;
}

/* 1: a call, with *ret set, which lies in the packet; 0: the link has ended or
 * cannot be used; -EAGAIN. */
static int receive(int link, spawn_packet *packet, spawn_message *ret)
{
    static uint8_t buffer[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];
    int rv;

    if (spawn_fd_kept(&own_link) != link)
        return 0;
    rv = spawn_packet_receive(link, buffer, sizeof(buffer), packet);
    if (rv == -EAGAIN)
        return rv;
    if (rv <= 0)
        return 0;
    rv = -EAGAIN;
    if (spawn_message_parse(packet->data, packet->length,
                            SPAWN_FROM_BROKER_TO_SPAWNER, packet->fds_count,
                            ret, NULL)
        < 0)
        rv = 0;
    else if (ret->header.type == SPAWN_M_CALL && is_new(ret))
        rv = 1;
    else if (ret->header.type == SPAWN_M_LEND && packet->fds_count == 1)
        spawn_direct_begins(packet, ret);
    else if (ret->header.type == SPAWN_M_TAKE_BACK
             && spawn_direct_take_back(link, ret) < 0)
        rv = 0;
    if (rv != 1)
        spawn_packet_close(packet);
    return rv;
}

/* Nobody would miss it: one that waits ends with its parent (the spawner, or
 * the template that is its parent), also when somebody has stopped it. One that
 * is lent may have a call of which only its caller knows. */
static void wait_for_call(struct pollfd *wait_for)
{
    bool lent = spawn_direct_lent();

    if (!lent)
        (void)spawn_os_die_with_parent(SIGKILL);
    (void)poll(wait_for, 2, -1);
    if (!lent)
        (void)spawn_os_die_with_parent(0);
}

enum {
    NO_CALL,   /* there is none any more */
    OF_BROKER, /* it came by the link */
    OF_CALLER, /* it came from its caller directly */
};

/* Wait for the next call, which lies in the packet. */
static int next_call(int link, spawn_packet *packet, spawn_message *ret)
{
    struct pollfd wait_for[] = {{.fd = link, .events = POLLIN},
                                {.fd = -1, .events = POLLIN}};
    short link_says = POLLIN;
    bool is_there;
    int rv;

    for (;;) {
        rv = link_says ? receive(link, packet, ret) : -EAGAIN;
        if (rv != -EAGAIN)
            break;
        if (spawn_direct_lent() && !spawn_direct_is_over()
            && spawn_direct_receive(packet, ret) == 1) {
            (void)is_new(ret);
            (void)getrusage(RUSAGE_SELF, &before);
            return OF_CALLER;
        }
        if (spawn_direct_is_over() && spawn_direct_give_back(link, false) < 0)
            return NO_CALL;
        wait_for[1].fd = spawn_direct_fd();
        is_there =
            spawn_direct_lent() && spawn_spin_look(&spin, wait_for[1].fd);
        if (is_there)
            (void)poll(wait_for, 2, 0);
        else
            wait_for_call(wait_for);
        link_says = wait_for[0].revents;
    }
    if (rv != 1)
        return NO_CALL;
    (void)getrusage(RUSAGE_SELF, &before);
    return OF_BROKER;
}

static uint64_t microseconds(const struct timeval *from,
                             const struct timeval *to)
{
    return (uint64_t)(to->tv_sec - from->tv_sec) * 1000000
           + (uint64_t)to->tv_usec - (uint64_t)from->tv_usec;
}

static uint64_t more(long from, long to)
{
    return to > from ? (uint64_t)(to - from) : 0;
}

/* Since the call began. */
static void measure(uint64_t *usage)
{
    struct rusage now;

    (void)getrusage(RUSAGE_SELF, &now);
    usage[SPAWN_RU_UTIME_US] = microseconds(&before.ru_utime, &now.ru_utime);
    usage[SPAWN_RU_STIME_US] = microseconds(&before.ru_stime, &now.ru_stime);
    usage[SPAWN_RU_MAXRSS_KB] = (uint64_t)now.ru_maxrss; /* of all its calls */
    usage[SPAWN_RU_MINFLT] = more(before.ru_minflt, now.ru_minflt);
    usage[SPAWN_RU_MAJFLT] = more(before.ru_majflt, now.ru_majflt);
    usage[SPAWN_RU_INBLOCK] = more(before.ru_inblock, now.ru_inblock);
    usage[SPAWN_RU_OUBLOCK] = more(before.ru_oublock, now.ru_oublock);
    usage[SPAWN_RU_NVCSW] = more(before.ru_nvcsw, now.ru_nvcsw);
    usage[SPAWN_RU_NIVCSW] = more(before.ru_nivcsw, now.ru_nivcsw);
}

/* RETURNED of the call that was taken last; its result is on the board. last:
 * this worker leaves. 0 or a negative errno. */
static int tell_returned(int link, const uint64_t *usage, bool last)
{
    uint8_t buffer[256];
    spawn_writer w;

    if (spawn_fd_kept(&own_link) != link)
        return -EBADF;
    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, SPAWN_M_RETURNED, 0);
    spawn_put_id(&w, SPAWN_A_ID, &taken);
    spawn_put_u64v(&w, SPAWN_A_RUSAGE, usage, SPAWN_RU_COUNT);
    if (last)
        spawn_put_u64(&w, SPAWN_A_LAST, 1);
    return spawn_template_tell(link, &w);
}

/* ---- call after call ---- */

static void restore_environment(pTHX)
{
    dSP;

    PUSHMARK(SP);
    (void)call_pv(SPAWN_TEMPLATE_ENVIRONMENT, G_VOID | G_DISCARD);
}

/* It has ended: tell the process that it came from. 0 or a negative errno: the
 * link cannot be used. */
static int ended(int link, int from, const spawn_message *call, bool last)
{
    uint64_t usage[SPAWN_RU_COUNT];

    (void)alarm(0); /* the call may have set it */
    measure(usage);
    if (from == OF_BROKER)
        return tell_returned(link, usage, last);
    spawn_direct_ended(link, call, usage, last);
    if (spawn_fd_kept(&own_link) != link)
        return -EBADF;
    return spawn_direct_is_over() ? spawn_direct_give_back(link, last) : 0;
}

int spawn_template_serve_calls(pTHX_ int link, uint64_t jobs, uint64_t memory)
{
    static spawn_packet packet;
    static spawn_message call;
    const pid_t own = getpid();
    bool last = false;
    int code = 0, from;

    while (!last && (from = next_call(link, &packet, &call)) != NO_CALL) {
        code = spawn_template_call(aTHX_ & call, false);
        if (getpid() != own)
            return code;
        (void)PerlIO_flush(PerlIO_stdout()); /* SpawnOutput: a file, or a log */
        spawn_template_order_ends(aTHX);
        if (environment_changed())
            restore_environment(aTHX);
        PERL_ASYNC_CHECK(); /* outside of a call, signals are this worker's */
        last = (jobs && --jobs == 0)
               || (memory && spawn_template_is_bigger(memory));
        if (ended(link, from, &call, last) < 0)
            return code; /* its end tells of the call then */
        spawn_packet_close(&packet);
    }
    spawn_direct_leave();
    return 0;
}
