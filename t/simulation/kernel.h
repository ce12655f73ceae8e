/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel for sockets, memfds and pipes, in the simulation's own process. Some
 * thousand system calls a run would cost more than all else that the broker
 * does. A descriptor of it has a number that no real one has; what is called
 * with another one goes to the real kernel. In all that can be seen it is as
 * Linux (net/unix/af_unix.c): the order of errors, what is reset, when there is
 * no room.
 */
#ifndef SIMULATION_KERNEL_H
#define SIMULATION_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

typedef struct thing thing;

/* The kind of thing behind a descriptor. NULL: that cannot be done with such a
 * one. */
typedef struct {
    mode_t mode;
    short (*ready)(thing *t); /* as of poll(2) */
    ssize_t (*read)(thing *t, void *data, size_t room);
    ssize_t (*write)(thing *t, const void *data, size_t length);
    ssize_t (*read_at)(thing *t, void *data, size_t room, size_t at);
    ssize_t (*write_at)(thing *t, const void *data, size_t length, size_t at);
    int (*resize)(thing *t, size_t size);
    size_t *(*place)(thing *t); /* where it is read and written next */
    void (*stat)(thing *t, struct stat *ret);
    void (*last_close)(thing *t);
} thing_kind;

struct thing {
    const thing_kind *kind;
    unsigned uses; /* descriptors, messages on their way, mappings */
};

/* ---- descriptors (descriptors.c) ---- */

/* NULL: it is a real one, or none. */
thing *thing_of(int fd);
/* The same, if it is of this kind. */
thing *thing_like(int fd, const thing_kind *kind);
/* A number for whoever is at work, broker or world; it has this use. */
int thing_number(thing *t);
void thing_use(thing *t);
void thing_leave(thing *t);
/* As a system call returns it. */
int thing_error(int error);
/* A call that would wait, or is not known here. */
void thing_cannot(const char *what) __attribute__((noreturn));
/* A process has ended: all that the broker has of these are closed. */
void things_close(void);

/* ---- memfds (memfds.c) ---- */

/* Before all else. */
void memfds_open(void);
/* NULL: it is no memfd. */
void *memfd_map(thing *t, size_t length);
/* Is it one of its mappings? It is undone. */
bool memfd_unmap(void *at);
/* Its contents come to where a mapping is. */
void memfd_copy(thing *t, void *to, size_t length);
/* Memory that is mapped, and belongs to no memfd. NULL: that is too much. */
void *memfd_nameless(size_t length);
int memfd_control(thing *t, int what, int with);

/* ---- pipes (pipes.c) ---- */

/* FIONREAD. */
int pipe_holds(thing *t);

#endif
