/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tickets of workers. Runs in the broker, which may be killed between any two
 * instructions: a ticket must not be changed while `used` is set, so `used` is
 * cleared first and set when the ticket is whole.
 */
#include "broker/process/ticket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/spawn_os.h"
#include "broker/base/alloc.h"
#include "broker/job/body.h"

typedef struct {
    spawn_ticket_owner owner;
    uint32_t used; /* there is a call */
    uint32_t rules;
    spawn_ticket_call call;
    uint32_t length; /* of the order's attributes; 0: in the store */
    uint32_t args_length;
    uint8_t order[SPAWN_TICKET_ORDER_MAX];
} paper;

struct spawn_ticket {
    int fd;
    paper *paper;
};

static spawn_ticket *map_ticket(int fd)
{
    void *map =
        mmap(NULL, sizeof(paper), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    spawn_ticket *ticket;

    if (map == MAP_FAILED) {
        (void)close(fd);
        return NULL;
    }
    ticket = spawn_alloc(sizeof(*ticket));
    ticket->fd = fd;
    ticket->paper = map;
    return ticket;
}

spawn_ticket *spawn_ticket_make(const spawn_ticket_owner *owner, uint32_t rules,
                                int *ret_fd)
{
    int fd = spawn_os_memfd("spawn-ticket");
    spawn_ticket *ticket;

    if (fd < 0) {
        errno = -fd;
        return NULL;
    }
    if (ftruncate(fd, (off_t)sizeof(paper)) < 0
        || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
               < 0) {
        (void)close(fd);
        return NULL;
    }
    ticket = map_ticket(fd);
    if (!ticket)
        return NULL;
    ticket->paper->owner = *owner;
    ticket->paper->rules = rules;
    *ret_fd = fd;
    return ticket;
}

spawn_ticket *spawn_ticket_adopt(int fd, spawn_ticket_owner *ret)
{
    int seals = fcntl(fd, F_GET_SEALS);
    spawn_ticket *ticket;
    struct stat st;

    if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) < 0
        || st.st_size != (off_t)sizeof(paper)) {
        (void)close(fd);
        return NULL;
    }
    ticket = map_ticket(fd);
    if (ticket) {
        *ret = ticket->paper->owner;
        ret->queue[SPAWN_NAME_MAX] = '\0';
    }
    return ticket;
}

void spawn_ticket_close(spawn_ticket *ticket)
{
    if (!ticket)
        return;
    (void)munmap(ticket->paper, sizeof(paper));
    (void)close(ticket->fd);
    free(ticket);
}

uint32_t spawn_ticket_rules(const spawn_ticket *ticket)
{
    return ticket->paper->rules;
}

void spawn_ticket_ready(spawn_ticket *ticket, bool lendable)
{
    ticket->paper->owner.ready =
        lendable ? SPAWN_TICKET_LENDABLE : SPAWN_TICKET_READY;
}

bool spawn_ticket_fits(const spawn_body *body)
{
    return body->length + body->args_length <= SPAWN_TICKET_ORDER_MAX;
}

void spawn_ticket_clear(spawn_ticket *ticket)
{
    __atomic_store_n(&ticket->paper->used, 0, __ATOMIC_SEQ_CST);
}

void spawn_ticket_put(spawn_ticket *ticket, const spawn_ticket_call *call,
                      const spawn_body *body)
{
    paper *p = ticket->paper;

    p->call = *call;
    p->length = p->args_length = 0;
    if (body && spawn_ticket_fits(body)) {
        p->length = (uint32_t)body->length;
        p->args_length = (uint32_t)body->args_length;
        memcpy(p->order, body->data, body->length);
        if (body->args)
            memcpy(p->order + body->length, body->args, body->args_length);
    }
    __atomic_store_n(&p->used, 1, __ATOMIC_SEQ_CST);
}

bool spawn_ticket_get(const spawn_ticket *ticket, spawn_ticket_call *ret,
                      spawn_body **ret_body)
{
    const paper *p = ticket->paper;
    uint32_t length, args_length;

    if (ret_body)
        *ret_body = NULL;
    if (!__atomic_load_n(&p->used, __ATOMIC_SEQ_CST))
        return false;
    *ret = p->call;
    if (!ret_body)
        return true;
    length = p->length;
    args_length = p->args_length;
    if (length == 0 || length > sizeof(p->order)
        || args_length > sizeof(p->order) - length)
        return true;
    *ret_body = spawn_body_room(length, 0, args_length);
    if (*ret_body) {
        memcpy((*ret_body)->data, p->order, length);
        if (args_length)
            memcpy((*ret_body)->args, p->order + length, args_length);
    }
    return true;
}
