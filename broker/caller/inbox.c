/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Posted jobs. Runs in the broker, on hostile bytes. httpd's children hold the
 * socket's other end; other processes may hold a copy of it (what other modules
 * fork from httpd's parent), and are told apart by their account, which the
 * kernel tells with each packet. The kernel writes it into the slot, in the
 * system call that fills the slot, so that the next broker can check it too. A
 * slot must not be emptied before the store has its job, if that was promised
 * to somebody.
 *
 * The lowest free slot is used first, so that only as much of the inbox is
 * memory as was ever full at once. When all slots are full nothing is received,
 * and the post socket fills: that slows the senders down. Jobs that run
 * unstored must not let it come to that: they are stored before
 * (spawn_inbox_crowded).
 *
 * The layout is that of older releases, with more slots behind theirs, and with
 * the note of a launched job where they have nothing or another note. Behind
 * all slots that there can ever be are the numbers of the broker
 * (base/meters.h), and behind these the calls that are not recorded
 * (store/unrecorded.h).
 */
#include "broker/caller/inbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_packet.h"
#include "broker/base/alloc.h"
#include "broker/base/conf.h"
#include "broker/base/logs.h"
#include "broker/base/loop.h"
#include "broker/base/meters.h"
#include "broker/base/timer.h"
#include "broker/store/unrecorded.h"
#include "broker/caller/courtesy.h"

#define SLOTS     128
#define CROWDED   48
#define FULL      96
#define SLOT_SIZE 69632 /* header, SPAWN_INLINE_MAX and sender, to a page */
#define SLOT_ROOM (SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX)
/* The numbers are behind so many slots, also when there are fewer. */
#define SLOTS_AT_MOST 256
#define NUMBERS_AT    ((size_t)SLOTS_AT_MOST * SLOT_SIZE)
/* Here nothing else ever lies: zeros are no calls. */
#define UNRECORDED_AT (NUMBERS_AT + SPAWN_METERS_ROOM)
#define RETRY         1000 /* ms */
#define TYPE_AT       4    /* in a header; all types are below 256, */
#define MARK_AT       5    /* so this byte of a type is free */

/* The mark of a launched job: the layout of its note. So a note that another
 * release wrote is not taken for ours. 1: without digest and of_worker. 2:
 * without lent. 3: without attempt. 4: without what a cgroup has counted. */
#define LAYOUT 5
_Static_assert(sizeof(void *) != 8 || sizeof(spawn_inbox_note) == 248,
               "another layout of the note has another number");

typedef enum {
    EMPTY,
    TAKEN, /* a job has it */
    AGAIN, /* to be tried again */
    BEHIND /* the same, when others that lie here are taken */
} slot_state;

static spawn_inbox_take_fn take;
static spawn_batch *take_into;
static int rx_fd = -1;
static int inbox_fd = -1;
static spawn_watch rx = {.fd = -1};
static uint8_t *slots;
static bool has_numbers;     /* behind them, */
static bool has_unrecorded;  /* and behind these */
static unsigned slots_count; /* fewer when an older inbox cannot grow */
static uint8_t states[SLOTS + 1];
static unsigned taken;
static bool were_left[SLOTS + 1];                   /* by a broker before us */
static bool others_follow;                          /* of those */
static uint8_t heads[SLOTS + 1][SPAWN_WIRE_HEADER]; /* of those that are lent */
static spawn_timer retry_timer;

static uint8_t *slot_at(unsigned slot)
{
    return slots + (size_t)(slot - 1) * SLOT_SIZE;
}

_Static_assert(SLOT_ROOM + sizeof(spawn_inbox_note)
                       + sizeof(spawn_packet_control)
                   <= SLOT_SIZE,
               "a slot has room for a message, a note and its sender");
_Static_assert(SLOTS <= UINT8_MAX, "a job has a byte for its slot");

static void set_state(unsigned slot, slot_state state)
{
    taken += (state != EMPTY) - (states[slot] != EMPTY);
    states[slot] = (uint8_t)state;
}

/* The sender of the message in the slot; none when a broker put it there
 * itself, having accepted it. */
static spawn_packet_control *sender_of(unsigned slot)
{
    return (spawn_packet_control *)(void *)(slot_at(slot) + SLOT_SIZE
                                            - sizeof(spawn_packet_control));
}

static spawn_inbox_note *note_of(unsigned slot)
{
    return (spawn_inbox_note *)(void *)(slot_at(slot) + SLOT_SIZE
                                        - sizeof(spawn_packet_control)
                                        - sizeof(spawn_inbox_note));
}

static bool is_full(unsigned slot)
{
    static const uint8_t zeros[SPAWN_WIRE_HEADER];

    return memcmp(slot_at(slot), zeros, sizeof(zeros)) != 0;
}

void spawn_inbox_free(unsigned slot)
{
    memset(slot_at(slot), 0, SPAWN_WIRE_HEADER);
    set_state(slot, EMPTY);
    spawn_watch_events(&rx, SPAWN_IN);
}

void spawn_inbox_leave(spawn_job *job)
{
    if (job->slot)
        spawn_inbox_free(job->slot);
    job->slot = 0;
    job->lent = false;
}

static void drop_stranger(unsigned slot, const spawn_sender *from)
{
    spawn_inbox_free(slot);
    spawn_log_few(spawn_log_uid((long)from->uid), SPAWN_LOG_FEW, SPAWN_LOG_WARN,
                  MSNO(0620) "a posted message was dropped: it came from "
                             "process %d of uid %d, which is none of httpd's",
                  (int)from->pid, (int)from->uid);
}

/* A message that lies in a slot; its length is what its header says. */
static void submit_slot(unsigned slot, bool left)
{
    spawn_wire_header head;
    spawn_sender from;
    bool told = spawn_packet_sender(sender_of(slot), &from);

    set_state(slot, TAKEN);
    were_left[slot] = left;
    if (told && !spawn_conf_is_httpds(from.uid)) {
        drop_stranger(slot, &from);
        return;
    }
    if (spawn_wire_read_header(slot_at(slot), SLOT_SIZE, &head)
        || head.body > SPAWN_INLINE_MAX)
        head.body = 0; /* refused by the parser */
    take(take_into, slot, slot_at(slot), SPAWN_WIRE_HEADER + (size_t)head.body,
         0, told ? &from : NULL, left);
}

/* How many went behind the others. */
static unsigned submit_behind(void)
{
    unsigned slot, behind = 0;

    for (slot = 1; slot <= slots_count; slot++) {
        if (states[slot] == BEHIND)
            submit_slot(slot, were_left[slot]);
        behind += states[slot] == BEHIND;
    }
    return behind;
}

/* The lowest free slot was used first, so they lie in no order: one may name
 * another one that is found in a later slot. What names none that waits for the
 * store is refused in the last pass. */
static void submit_all_behind(unsigned behind)
{
    unsigned before = slots_count + 1;

    others_follow = true;
    while (behind > 0 && behind < before) {
        before = behind;
        behind = submit_behind();
    }
    others_follow = false;
    if (behind > 0)
        (void)submit_behind();
}

static void retry(spawn_timer *t)
{
    unsigned slot;

    (void)t;
    for (slot = 1; slot <= slots_count; slot++) {
        if (states[slot] == AGAIN)
            submit_slot(slot, were_left[slot]);
    }
    submit_all_behind(slots_count);
}

void spawn_inbox_retry(unsigned slot)
{
    set_state(slot, AGAIN);
    retry_timer.fire = retry;
    if (!retry_timer.place)
        spawn_timer_set(&retry_timer, spawn_mono_ms() + RETRY);
}

bool spawn_inbox_waits(void)
{
    return memchr(states, AGAIN, sizeof(states)) != NULL;
}

bool spawn_inbox_goes_behind(unsigned slot)
{
    bool goes = others_follow || spawn_inbox_waits();

    if (goes)
        set_state(slot, BEHIND);
    return goes;
}

static unsigned free_slot(void)
{
    const uint8_t *at = memchr(states + 1, EMPTY, slots_count);

    return at ? (unsigned)(at - states) : 0;
}

int spawn_inbox_parse(const void *data, size_t length, bool own,
                      spawn_message *ret, spawn_failure *why)
{
    spawn_wire_header head;

    if (own && spawn_wire_read_header(data, length, &head) == 0 && head.fds > 0
        && head.type == SPAWN_M_SUBMIT)
        return spawn_message_parse(data, length, SPAWN_FROM_CALLER, head.fds,
                                   ret, why);
    return spawn_message_parse(data, length, SPAWN_FROM_POST, 0, ret, why);
}

/* Put it there as a post, whose sender waits for no answer. No post has
 * handles: one with them stays what it is. */
unsigned spawn_inbox_lend(const void *message, size_t length)
{
    spawn_wire_header head;
    unsigned slot = rx.fd >= 0 && length <= SLOT_ROOM ? free_slot() : 0;

    if (slot == 0)
        return 0;
    memcpy(heads[slot], message, SPAWN_WIRE_HEADER);
    if (spawn_wire_read_header(message, length, &head) == 0 && head.fds == 0)
        heads[slot][TYPE_AT] = SPAWN_M_POST;
    sender_of(slot)->align.cmsg_len = 0;
    memcpy(slot_at(slot) + SPAWN_WIRE_HEADER,
           (const uint8_t *)message + SPAWN_WIRE_HEADER,
           length - SPAWN_WIRE_HEADER);
    set_state(slot, TAKEN);
    were_left[slot] = false;
    return slot;
}

/* Its attributes may come in another order than they were submitted in. */
unsigned spawn_inbox_lend_order(const spawn_body *order)
{
    static uint8_t room[SLOT_ROOM];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_POST, 0);
    spawn_put_raw(&w, order->data, order->length);
    if (order->args)
        spawn_put_bytes(&w, SPAWN_A_ARGS, order->args, order->args_length);
    if (spawn_writer_finish(&w, 0) < 0)
        return 0;
    return spawn_inbox_lend(w.data, w.length);
}

/* The bytes that make the slot count as full are written last. */
static void fill(unsigned slot)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    memcpy(slot_at(slot), heads[slot], SPAWN_WIRE_HEADER);
}

unsigned spawn_inbox_put(const void *message, size_t length)
{
    unsigned slot = spawn_inbox_lend(message, length);

    if (slot)
        fill(slot);
    return slot;
}

bool spawn_inbox_crowded(void)
{
    return taken >= CROWDED;
}

bool spawn_inbox_nearly_full(void)
{
    return taken >= FULL;
}

/* ---- launched ---- */

void spawn_inbox_launched(unsigned slot, const spawn_inbox_note *note)
{
    *note_of(slot) = *note;
    if (is_full(slot)) {
        __atomic_store_n(slot_at(slot) + MARK_AT, LAYOUT, __ATOMIC_SEQ_CST);
        return;
    }
    heads[slot][MARK_AT] = LAYOUT;
    fill(slot);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* the order comes after it */
}

void spawn_inbox_runs(unsigned slot, pid_t pid, int64_t started_at,
                      int64_t boot_started)
{
    spawn_inbox_note *note = note_of(slot);

    note->started_at = started_at;
    note->boot_started = boot_started;
    __atomic_store_n(&note->pid, pid, __ATOMIC_SEQ_CST);
}

void spawn_inbox_ends(unsigned slot, const spawn_job *job)
{
    spawn_inbox_note *note = note_of(slot);
    spawn_end end = *job->end;

    end.text = NULL; /* the next broker must never find a pointer there */
    note->pid = job->pid;
    note->started_at = job->started_at;
    note->timed_out = job->timed_out;
    note->cancel = job->cancel;
    note->end = end;
    __atomic_store_n(&note->over, true, __ATOMIC_SEQ_CST);
}

void spawn_inbox_waits_again(spawn_job *job)
{
    if (!job->launched)
        return;
    job->launched = false;
    if (job->lent)
        spawn_inbox_leave(job);
    else if (job->slot)
        __atomic_store_n(slot_at(job->slot) + MARK_AT, 0, __ATOMIC_SEQ_CST);
}

/* 1: one was received; 0: there is none; -1: the socket's other end is gone. */
static int receive_one(unsigned slot)
{
    spawn_packet p;
    int rv = spawn_packet_receive_with(rx.fd, slot_at(slot), SLOT_ROOM,
                                       sender_of(slot), &p);

    if ((rv == 1 || rv == -EBADMSG || rv == -EMSGSIZE || rv == -EMFILE)
        && p.has_sender && !spawn_conf_is_httpds(p.sender.uid)) {
        drop_stranger(slot, &p.sender);
        if (rv == 1)
            spawn_packet_close(&p);
        return 1;
    }
    if (rv == 1) {
        set_state(slot, TAKEN);
        were_left[slot] = false;
        if (p.map)
            p.length = 0; /* its body is not in the slot: refused */
        take(take_into, slot, slot_at(slot), p.length, p.fds_count,
             p.has_sender ? &p.sender : NULL, false);
        spawn_packet_close(&p);
        return 1;
    }
    memset(slot_at(slot), 0, SPAWN_WIRE_HEADER);
    if (rv == -EAGAIN)
        return 0;
    if (rv == 0)
        return -1;
    spawn_log_few("httpd's children", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
                  MSNO(0570) "a posted message is dropped: %s", strerror(-rv));
    return 1;
}

static int receive_all(bool *ret_end)
{
    int count = 0;

    while (rx.fd >= 0 && count < SLOTS) {
        unsigned slot = free_slot();
        int rv;

        if (slot == 0) {
            spawn_watch_events(&rx, 0);
            break;
        }
        rv = receive_one(slot);
        *ret_end = rv < 0;
        if (rv <= 0)
            break;
        count++;
    }
    return count;
}

int spawn_inbox_receive(void)
{
    bool end = false;

    return receive_all(&end);
}

static void rx_ready(spawn_watch *w, int events)
{
    bool end = false;

    (void)events;
    spawn_courtesy_to_sender(w->fd);
    (void)receive_all(&end);
    if (end)
        spawn_watch_close(w);
}

void spawn_inbox_receive_on(int fd)
{
    if (rx_fd >= 0 || rx.fd >= 0) {
        (void)close(fd);
        return;
    }
    (void)spawn_os_pass_descriptors(fd, false); /* posts have none */
    rx_fd = fd;
}

void spawn_inbox_keep_in(int fd)
{
    if (inbox_fd >= 0)
        (void)close(fd);
    else
        inbox_fd = fd;
}

/* It may be that of an older release. */
static bool has_size(off_t is, off_t wanted)
{
    return is >= wanted || ftruncate(inbox_fd, wanted) == 0;
}

static int map_inbox(void)
{
    const off_t with_numbers = (off_t)(NUMBERS_AT + spawn_meters_size());
    const off_t with_all = (off_t)(UNRECORDED_AT + spawn_unrecorded_size());
    off_t size = (off_t)SLOTS * SLOT_SIZE;
    struct stat st;
    void *map;

    if (slots)
        return 0;
    if (fstat(inbox_fd, &st) < 0)
        return -errno;
    if (has_size(st.st_size, with_all)) {
        has_numbers = has_unrecorded = true;
        size = with_all;
    }
    else if (has_size(st.st_size, with_numbers)) {
        has_numbers = true;
        size = with_numbers;
    }
    else if (!has_size(st.st_size, size)) {
        if (st.st_size < SLOT_SIZE)
            return -errno;
        size = st.st_size;
    }
    map = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, inbox_fd,
               0);
    if (map == MAP_FAILED)
        return -errno;
    slots = map;
    slots_count = (unsigned)(size / SLOT_SIZE);
    if (slots_count > SLOTS)
        slots_count = SLOTS;
    return 0;
}

void *spawn_inbox_numbers(void)
{
    return inbox_fd >= 0 && map_inbox() == 0 && has_numbers ? slots + NUMBERS_AT
                                                            : NULL;
}

void *spawn_inbox_unrecorded(void)
{
    return inbox_fd >= 0 && map_inbox() == 0 && has_unrecorded
               ? slots + UNRECORDED_AT
               : NULL;
}

/* Is it one that was taken? The mark is ours, and so is what nobody has sent,
 * unless the broker was killed before it looked at what it received: then it
 * may be of somebody who is none of httpd's. */
static bool was_taken(unsigned slot, bool own, const spawn_sender *from)
{
    spawn_wire_header head;

    if (slot_at(slot)[MARK_AT])
        return own || spawn_conf_is_httpds(from->uid);
    return own && spawn_wire_read_header(slot_at(slot), SLOT_SIZE, &head) == 0
           && head.fds > 0;
}

/* The message as it was before the mark. */
static int found_slot(spawn_inbox_found_fn found, spawn_batch *batch,
                      unsigned slot, bool own)
{
    const spawn_inbox_note note = *note_of(slot);
    uint8_t mark = slot_at(slot)[MARK_AT];
    uint8_t *message = spawn_alloc(SLOT_ROOM);
    spawn_inbox_found it = {.slot = slot,
                            .data = message,
                            .own = own,
                            .launched = mark != 0,
                            .note = mark == LAYOUT ? &note : NULL};
    spawn_wire_header head;
    int rv;

    memcpy(message, slot_at(slot), SLOT_ROOM);
    message[MARK_AT] = 0;
    if (spawn_wire_read_header(message, SLOT_ROOM, &head) == 0
        && head.body <= SPAWN_INLINE_MAX)
        it.length = SPAWN_WIRE_HEADER + (size_t)head.body;
    set_state(slot, TAKEN);
    rv = found(batch, &it);
    free(message);
    return rv;
}

int spawn_inbox_recover(spawn_inbox_found_fn found, spawn_batch *batch)
{
    unsigned slot;
    int rv = 0;

    if (rx_fd < 0 || inbox_fd < 0 || map_inbox() < 0)
        return 0; /* it is told when it is opened */
    for (slot = 1; slot <= slots_count && rv == 0; slot++) {
        spawn_sender from;
        bool own = !spawn_packet_sender(sender_of(slot), &from);

        if (is_full(slot) && was_taken(slot, own, &from))
            rv = found_slot(found, batch, slot, own);
    }
    return rv;
}

static void submit_all_left(void)
{
    unsigned slot, behind = 0;

    others_follow = true;
    for (slot = 1; slot <= slots_count; slot++) {
        if (is_full(slot) && states[slot] == EMPTY)
            submit_slot(slot, true);
        behind += states[slot] == BEHIND;
    }
    submit_all_behind(behind);
}

void spawn_inbox_open(spawn_inbox_take_fn to, spawn_batch *batch)
{
    int rv;

    take = to;
    take_into = batch;
    if (rx_fd < 0 || inbox_fd < 0)
        return;
    rv = map_inbox();
    if (rv < 0) {
        spawn_log(SPAWN_LOG_ERR,
                  MSNO(0571) "the inbox cannot be used, posted jobs are not "
                             "taken: %s",
                  strerror(-rv));
        return;
    }
    submit_all_left();
    rv = spawn_watch_open(&rx, rx_fd, SPAWN_IN, rx_ready);
    rx_fd = -1;
    if (rv < 0)
        spawn_log(SPAWN_LOG_ERR,
                  MSNO(0572) "the post socket cannot be watched");
}

/* ---- the end ---- */

#define LOST_LINES 100

static void lost(unsigned slot, unsigned number)
{
    spawn_wire_header head;
    char text[SPAWN_LOGS_NAME] = "unknown";
    spawn_message m;
    spawn_sender from;
    spawn_id id;

    slot_at(slot)[MARK_AT] = 0;
    if (spawn_wire_read_header(slot_at(slot), SLOT_SIZE, &head) == 0
        && head.body <= SPAWN_INLINE_MAX
        && spawn_inbox_parse(
               slot_at(slot), SPAWN_WIRE_HEADER + (size_t)head.body,
               !spawn_packet_sender(sender_of(slot), &from), &m, NULL)
               == 0) {
        spawn_attr_id(&m.attr[SPAWN_A_ID], &id);
        (void)spawn_logs_name(&id, &m, text);
    }
    memset(slot_at(slot), 0, SPAWN_WIRE_HEADER);
    if (number <= LOST_LINES)
        spawn_log(SPAWN_LOG_ERR,
                  MSNO(0667) "job %s is lost: it was posted or accepted, and "
                             "the store did not take it",
                  text);
}

/* Its job is there, and was told of. */
static bool is_told(unsigned slot)
{
    return states[slot] != EMPTY && slot_at(slot)[MARK_AT];
}

unsigned spawn_inbox_give_up(void)
{
    int fd = rx.fd >= 0 ? rx.fd : rx_fd;
    unsigned slot, count = 0;
    spawn_packet p;

    if (inbox_fd < 0 || map_inbox() < 0)
        return 0;
    for (slot = 1; slot <= slots_count; slot++) {
        if (is_full(slot) && !is_told(slot))
            lost(slot, ++count);
    }
    while (fd >= 0) {
        int rv = spawn_packet_receive_with(fd, slot_at(1), SLOT_ROOM,
                                           sender_of(1), &p);

        if (rv == -EBADMSG || rv == -EMSGSIZE || rv == -EMFILE)
            continue; /* it was no job */
        if (rv != 1)
            break;
        if (!p.has_sender || spawn_conf_is_httpds(p.sender.uid))
            lost(1, ++count);
        spawn_packet_close(&p);
    }
    return count;
}
