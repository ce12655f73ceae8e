/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to httpd's parent, and the end of their link. Runs in the spawner
 * only. Must not wait for the parent: a message that cannot be sent is in the
 * log.
 */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "common/spawn_log.h"
#include "common/spawn_release.h"
#include "spawner/spawner.h"

void control_send(int sock, spawn_writer *w, const int *fds, unsigned count)
{
    int rv = spawn_writer_finish(w, count);

    if (rv == 0)
        rv = spawn_packet_send(sock, w->data, w->length, fds, count);
    if (rv < 0)
        spawn_log_few("its links", SPAWN_LOG_FEW, SPAWN_LOG_WARN,
                      MSNO(0309) "httpd could not be answered: %s",
                      strerror(-rv));
}

void control_tell_ready(bool ready, const char *text)
{
    uint8_t buffer[8192]; /* more than the longest text of a broker */
    spawn_writer w;

    if (!spawner.wants_ready || spawner.control < 0)
        return;
    spawner.wants_ready = false;
    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, ready ? SPAWN_M_READY : SPAWN_M_NOT_READY, 0);
    if (ready) {
        spawn_put_str(&w, SPAWN_A_RELEASE, SPAWN_RELEASE);
        spawn_put_id(&w, SPAWN_A_INSTANCE, &spawner.life);
        spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)getpid());
    }
    else {
        spawn_put_str(&w, SPAWN_A_TEXT, text);
    }
    control_send(spawner.control, &w, NULL, 0);
}

/* The links end when the parent has lost its rights, so that a process with a
 * copy of its end has nobody to talk to. */
void control_leave(void)
{
    unwatch_passed(&spawner.control);
    unwatch(&spawner.fds[SPAWN_FD_PARENT]);
}

bool control_has_gone(void)
{
    struct pollfd process = {spawner.fds[SPAWN_FD_PARENT], POLLIN, 0};

    return spawner.lingering || process.fd < 0 || poll(&process, 1, 0) != 0;
}
