/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's link to the broker: calls come in, the news of their end goes out.
 * Runs in a worker only, between two calls and never in one. A broker that
 * comes after a killed one may send a call again that has arrived: the worker
 * must take a call once.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "perl/xs/template/freeze.h"
#include "perl/xs/template/template.h"

static spawn_id taken; /* the last one */
static bool any_taken;
static struct rusage before;
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
    spawn_writer_begin(&w, SPAWN_M_RETURNED, 0);
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
    spawn_id id;

    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    if (any_taken && spawn_id_equal(&id, &taken))
        return false;
    taken = id;
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
    if (rv != 1)
        spawn_packet_close(packet);
    return rv;
}

/* Wait for the next call. false: there is none any more. */
static bool next_call(int link, spawn_packet *packet, spawn_message *ret)
{
    struct pollfd wait_for = {.fd = link, .events = POLLIN};
    int rv;

    while ((rv = receive(link, packet, ret)) == -EAGAIN)
        (void)poll(&wait_for, 1, -1);
    if (rv != 1)
        return false;
    (void)getrusage(RUSAGE_SELF, &before);
    return true;
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

/* RETURNED of the call that was taken last; its result is on the board. last:
 * this worker leaves. 0 or a negative errno. */
static int tell_returned(int link, bool last)
{
    uint8_t buffer[256];
    uint64_t usage[SPAWN_RU_COUNT];
    struct rusage now;
    spawn_writer w;

    (void)alarm(0); /* the call may have set it */
    if (spawn_fd_kept(&own_link) != link)
        return -EBADF;
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

int spawn_template_serve_calls(pTHX_ int link, uint64_t jobs, uint64_t memory)
{
    static spawn_packet packet;
    static spawn_message call;
    const pid_t own = getpid();
    bool last = false;
    int code = 0;

    while (!last && next_call(link, &packet, &call)) {
        code = spawn_template_call(aTHX_ & call, false);
        if (getpid() != own)
            return code;
        spawn_template_order_ends(aTHX);
        spawn_packet_close(&packet);
        if (environment_changed())
            restore_environment(aTHX);
        PERL_ASYNC_CHECK(); /* outside of a call, signals are this worker's */
        last = (jobs && --jobs == 0)
               || (memory && spawn_template_is_bigger(memory));
        if (tell_returned(link, last) < 0)
            return code; /* its end tells of the call then */
    }
    return 0;
}
