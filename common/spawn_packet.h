/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_packet.h
 * @brief One message as one packet of a SEQPACKET socket, with its descriptors;
 * a body that is too big for a packet travels in a sealed memfd.
 *
 * Runs in every process. Never blocks by itself (a caller that wants to wait
 * polls). Every descriptor that arrives is owned by the caller of receive from
 * the moment it arrives, close-on-exec, and closed by spawn_packet_close: where
 * closing must not block, by the function that spawn_packets_close_by has set.
 * No other call is made on it, but for one that asks whether it is a sealed
 * memfd.
 */
#ifndef SPAWN_PACKET_H
#define SPAWN_PACKET_H

#include <sys/socket.h>

#include "common/spawn_proto.h"

/**
 * Send a finished message.
 *
 * @param message header and body, as spawn_writer_finish left it.
 * @param fds descriptors that go with it; stay the caller's.
 * @return 0; -EAGAIN the socket is full; -EPIPE/-ECONNRESET the other side has
 * gone; another negative errno. A message goes whole or not at all.
 */
int spawn_packet_send(int sock, const void *message, size_t length,
                      const int *fds, unsigned fds_count);

/** It goes in a memfd. length: as for spawn_packet_send. */
static inline bool spawn_packet_is_big(size_t length)
{
    return length > SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX;
}

/** The sender of a packet, as the kernel tells it: the process that called
 * sendmsg (whichever process made the socket), and its real user. */
typedef struct {
    pid_t pid; /* 0: not told, or of another pid namespace */
    uid_t uid;
} spawn_sender;

/** Most descriptors that the kernel lets through at once (SCM_MAX_FD). The
 * kernel closes those that find no room at once, in the receiver's time. */
#define SPAWN_FDS_AT_ONCE 253

/** The kernel's additions to a packet's bytes: descriptors and sender. */
typedef union {
    struct cmsghdr align;
    char room[CMSG_SPACE(sizeof(struct ucred))
              + CMSG_SPACE(sizeof(int) * SPAWN_FDS_AT_ONCE)];
} spawn_packet_control;

/** A received message. */
typedef struct {
    uint8_t *data; /* header and body in one piece */
    size_t length;
    int fds[SPAWN_FDS_MAX + 1]; /* one more: a body's memfd on its way */
    unsigned fds_count;
    void *map; /* data is in this mapping of a memfd, else NULL */
    size_t map_length;
    bool has_sender; /* on sockets with spawn_os_pass_credentials */
    spawn_sender sender;
    bool unread; /* the other end has gone, and had not read all from here */
} spawn_packet;

/**
 * Receive one message into buffer (at least SPAWN_WIRE_HEADER +
 * SPAWN_INLINE_MAX bytes). Big bodies are mapped, read-only.
 *
 * @return 1 a message (free it with spawn_packet_close); 0 end of file; -EAGAIN
 * nothing there; -EBADMSG, -EMSGSIZE a packet that breaks the rules (too long,
 * too many descriptors, a body's memfd unsealed or of wrong size): the peer
 * should be closed; -EMFILE this process had no room for its descriptors (for
 * its bytes it had: they are in buffer); another negative errno. On all but 1
 * nothing needs to be freed. ret has the sender also of a packet that breaks
 * the rules; an empty packet breaks them where senders are told. ret->unread is
 * there for 1 and 0; the kernel tells it once.
 */
int spawn_packet_receive(int sock, void *buffer, size_t room,
                         spawn_packet *ret);

/** The same, but waits for as long as the socket itself does (SO_RCVTIMEO), or
 * until a signal comes; then -EAGAIN. */
int spawn_packet_wait(int sock, void *buffer, size_t room, spawn_packet *ret);

/** As spawn_packet_receive; what the kernel tells beside the bytes is written
 * to control in the same system call. */
int spawn_packet_receive_with(int sock, void *buffer, size_t room,
                              spawn_packet_control *control, spawn_packet *ret);

/** The sender of the packet that control came with. False: not told. */
bool spawn_packet_sender(const spawn_packet_control *control,
                         spawn_sender *ret);

/** Close the descriptors that are not -1 and unmap. NULL is allowed. */
void spawn_packet_close(spawn_packet *p);

/** Close fds[0..count-1] that are not -1, and set them to -1. For our own
 * descriptors: the others may block. */
void spawn_close_fds(int *fds, unsigned count);

/** How this process closes descriptors that came from outside. Default:
 * close(2). */
void spawn_packets_close_by(void (*give)(int fd));

/** As spawn_close_fds, for descriptors that came from outside. */
void spawn_close_passed(int *fds, unsigned count);

/** The same, but those whose close does not wait for anybody (pipes, memfds)
 * are closed at once. */
void spawn_close_quick(int *fds, unsigned count);

/** A sealed memfd with these bytes, or a negative errno. */
int spawn_bytes_memfd(const char *name, const void *data, size_t length);

#endif
