/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of a template and its jobs to the spawner. Runs in both; a job
 * shares the template's end of the link until it is set up. Waits while the
 * link is full, but must never wait for an answer.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "perl/xs/template/template.h"

int spawn_template_tell(int link, spawn_writer *w)
{
    struct pollfd room = {.fd = link, .events = POLLOUT};
    int rv = spawn_writer_finish(w, 0);

    if (rv < 0)
        return rv;
    for (;;) {
        rv = spawn_packet_send(link, w->data, w->length, NULL, 0);
        if (rv != -EAGAIN)
            return rv;
        (void)poll(&room, 1, -1);
    }
}

int spawn_template_tell_preloaded(int link, unsigned code, const char *text,
                                  size_t length)
{
    uint8_t buffer[SPAWN_TEMPLATE_TEXT + 256];
    char copy[SPAWN_TEMPLATE_TEXT];
    spawn_writer w;
    size_t i;

    if (length > sizeof(copy))
        length = sizeof(copy);
    for (i = 0; i < length; i++)
        copy[i] = text[i] ? text[i] : ' ';
    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, SPAWN_M_PRELOADED, 0);
    spawn_put_u64(&w, SPAWN_A_CODE, code);
    spawn_put_strn(&w, SPAWN_A_TEXT, copy, length);
    return spawn_template_tell(link, &w);
}

static int tell_process(int link, uint16_t type, const spawn_id *id, pid_t pid,
                        bool spare)
{
    uint8_t buffer[128];
    spawn_writer w;

    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, type, 0);
    spawn_put_id(&w, SPAWN_A_ID, id);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    if (spare)
        spawn_put_u64(&w, SPAWN_A_SPARE, 1);
    return spawn_template_tell(link, &w);
}

int spawn_template_tell_forked(int link, const spawn_id *id)
{
    return tell_process(link, SPAWN_M_FORKED, id, getpid(), false);
}

int spawn_template_tell_launched(int link, const spawn_id *id, pid_t pid,
                                 bool spare)
{
    return tell_process(link, SPAWN_M_LAUNCHED, id, pid, spare);
}

int spawn_template_tell_set_up(int link, const spawn_id *id, pid_t pid,
                               unsigned step, int error)
{
    uint8_t buffer[128];
    spawn_writer w;

    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, SPAWN_M_SET_UP, 0);
    spawn_put_id(&w, SPAWN_A_ID, id);
    if (pid)
        spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    if (step) {
        spawn_put_u64(&w, SPAWN_A_STEP, step);
        spawn_put_u64(&w, SPAWN_A_ERRNO, (uint64_t)error);
    }
    return spawn_template_tell(link, &w);
}

int spawn_template_tell_exited(int link, const spawn_id *id, pid_t pid,
                               int status, const struct rusage *u)
{
    const uint64_t usage[SPAWN_RU_COUNT] = {
        [SPAWN_RU_UTIME_US] = (uint64_t)u->ru_utime.tv_sec * 1000000
                              + (uint64_t)u->ru_utime.tv_usec,
        [SPAWN_RU_STIME_US] = (uint64_t)u->ru_stime.tv_sec * 1000000
                              + (uint64_t)u->ru_stime.tv_usec,
        [SPAWN_RU_MAXRSS_KB] = (uint64_t)u->ru_maxrss,
        [SPAWN_RU_MINFLT] = (uint64_t)u->ru_minflt,
        [SPAWN_RU_MAJFLT] = (uint64_t)u->ru_majflt,
        [SPAWN_RU_INBLOCK] = (uint64_t)u->ru_inblock,
        [SPAWN_RU_OUBLOCK] = (uint64_t)u->ru_oublock,
        [SPAWN_RU_NVCSW] = (uint64_t)u->ru_nvcsw,
        [SPAWN_RU_NIVCSW] = (uint64_t)u->ru_nivcsw};
    uint8_t buffer[256];
    spawn_writer w;

    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, SPAWN_M_CHILD_EXITED, 0);
    spawn_put_id(&w, SPAWN_A_ID, id);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, (uint64_t)(uint32_t)status);
    spawn_put_u64v(&w, SPAWN_A_RUSAGE, usage, SPAWN_RU_COUNT);
    return spawn_template_tell(link, &w);
}
