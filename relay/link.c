/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The link to the broker. Runs in the relay. The broker never waits for the
 * relay, so the relay may wait for the broker.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_log.h"
#include "common/spawn_packet.h"
#include "relay/relay.h"

#define WAIT_MS 5000

bool link_send(spawn_writer *w)
{
    struct pollfd p = {RELAY_LINK_FD, POLLOUT, 0};
    int rv = spawn_writer_finish(w, 0);

    while (rv == 0) {
        rv = spawn_packet_send(RELAY_LINK_FD, w->data, w->length, NULL, 0);
        if (rv != -EAGAIN && rv != -ENOBUFS && rv != -ENOMEM
            && rv != -ETOOMANYREFS)
            break;
        rv = poll(&p, 1, rv == -EAGAIN ? WAIT_MS : 20) < 0 ? -errno : 0;
        if (rv == -EINTR)
            rv = 0;
    }
    return rv == 0;
}

bool link_read(void (*message)(const spawn_message *m))
{
    static uint8_t buffer[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];
    spawn_message m;
    spawn_failure why;
    spawn_packet p;
    int rv;

    while (
        (rv = spawn_packet_receive(RELAY_LINK_FD, buffer, sizeof(buffer), &p))
        == 1) {
        if (spawn_message_parse(p.data, p.length, SPAWN_FROM_BROKER_TO_RELAY,
                                p.fds_count, &m, &why)
            == 0)
            message(&m);
        else
            spawn_log(SPAWN_LOG_ERR,
                      MSNO(0710) "the broker sent what the relay does not "
                                 "understand: %s",
                      why.text);
        spawn_packet_close(&p);
    }
    return rv == -EAGAIN || rv == -EINTR;
}
