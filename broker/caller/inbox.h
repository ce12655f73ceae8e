/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file inbox.h
 * @brief The inbox: jobs that were taken and are not in the store yet, because
 * they were posted, or accepted before their commit.
 *
 * A memfd that outlives the broker and the spawner, in slots. A message is
 * received straight into a slot; the slot is full while its first 16 bytes are
 * not all zero, and they are zeroed only when the store has the job, or nobody
 * was promised anything. So a broker can be killed at any point: its successor
 * finds the message here or in the socket.
 *
 * Handles of an accepted job are held by the spawner (process/link.h), and its
 * message in the slot says how many there are. Without them it cannot start.
 *
 * A job may also run before the store has it (job/changes.h). Then its slot
 * says so, before its order is sent: that it is launched, by which spawner, and
 * later its process. So the next broker knows that such a job must not simply
 * be run, and what to look for. A mark in the message's type says launched, and
 * which layout its note has. Of another release's layout only the message is
 * read: that the job was launched, not what became of it. Releases that know no
 * mark drop such a message rather than run it again.
 */
#ifndef SPAWN_BROKER_CALLER_INBOX_H
#define SPAWN_BROKER_CALLER_INBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "common/spawn_packet.h"
#include "broker/job/job.h"

/** The descriptors of CONFIGURE; a second descriptor of a kind is closed: they
 * never change in a broker's life. */
void spawn_inbox_receive_on(int fd);
void spawn_inbox_keep_in(int fd);

/**
 * A message lies in a slot: take it into the batch, or free the slot.
 * @param fds how many descriptors came with it now, which posts never have.
 * @param from NULL: there is no sender, a broker before us accepted it.
 * @param left a broker before us has taken it, as far as others know.
 */
typedef void (*spawn_inbox_take_fn)(spawn_batch *batch, unsigned slot,
                                    const void *data, size_t length,
                                    unsigned fds, const spawn_sender *from,
                                    bool left);

/** The note of a launched job in its slot. When this changes, so does LAYOUT in
 * inbox.c. */
typedef struct {
    spawn_id id;
    spawn_id life; /* of the spawner that was sent its order */
    uint64_t digest;
    int64_t submitted_at;
    int64_t started_at, boot_started;
    uid_t caller_uid;
    pid_t caller_pid;
    pid_t pid;          /* 0: it is not known to run; the worker's, of a call */
    bool of_worker : 1; /* a worker was sent it */
    bool lent : 1;      /* its slot is no promise */
    /* As callers were told, before the store had it. */
    bool over, timed_out;
    uint8_t cancel;
    uint8_t attempt; /* of a call: how many workers were to run it */
    spawn_end end;   /* without text */
} spawn_inbox_note;

/** A slot whose job a broker before us has taken. */
typedef struct {
    unsigned slot;
    const void *data;
    size_t length;
    bool own;      /* that broker put it there */
    bool launched; /* else it waits, and has handles */
    /* NULL: it is not launched, or of a layout that is not this release's. */
    const spawn_inbox_note *note;
} spawn_inbox_found;

/** It was found. 0: it was freed, or a job has it now; -1: the store failed. */
typedef int (*spawn_inbox_found_fn)(spawn_batch *batch,
                                    const spawn_inbox_found *found);

/** Jobs that a killed broker had launched, and jobs with handles, which the
 * spawner tells of now. In the recovery. 0, or what found has returned. */
int spawn_inbox_recover(spawn_inbox_found_fn found, spawn_batch *batch);

/** Read what lies in a slot. own: a broker put it there, so that it may have
 * had descriptors. */
int spawn_inbox_parse(const void *data, size_t length, bool own,
                      spawn_message *ret, spawn_failure *why);

/** Take in what else a killed broker left, then receive. After the recovery. */
void spawn_inbox_open(spawn_inbox_take_fn to, spawn_batch *batch);

/** Receive what there is. Returns how many messages. */
int spawn_inbox_receive(void);

/**
 * Keep a SUBMIT that came whole in one packet. Its descriptors are the
 * spawner's to hold, before this.
 * @return its slot, or 0: there is no room, or no inbox.
 */
unsigned spawn_inbox_put(const void *message, size_t length);

/** The same of a job that nobody was promised yet: the slot is not full before
 * the job is launched. */
unsigned spawn_inbox_lend(const void *message, size_t length);

/** The same of an order that is about to be sent to a worker. */
unsigned spawn_inbox_lend_order(const spawn_body *order);

/** The job's order is about to be sent. */
void spawn_inbox_launched(unsigned slot, const spawn_inbox_note *note);
/** It runs. */
void spawn_inbox_runs(unsigned slot, pid_t pid, int64_t started_at,
                      int64_t boot_started);
/** It has ended, and callers are about to be told so. */
void spawn_inbox_ends(unsigned slot, const spawn_job *job);
/** It waits: nobody has its order, or has it any more. A slot that was lent is
 * free again, and another one is a post's. Does nothing when it was not
 * launched. */
void spawn_inbox_waits_again(spawn_job *job);

/** So many slots are full that their jobs are to be stored now. */
bool spawn_inbox_crowded(void);
/** Also those that could wait. */
bool spawn_inbox_nearly_full(void);

/** The store has what is in it, or nobody needs it. Slots are counted from 1.
 */
void spawn_inbox_free(unsigned slot);
/** The job needs its slot no more, if it has one. */
void spawn_inbox_leave(spawn_job *job);

/** The store did not take it: try again soon. */
void spawn_inbox_retry(unsigned slot);
/** The job in it names one that is not known: true: others that a killed broker
 * has left, or that the store did not take, are taken first, and then it is
 * taken again. */
bool spawn_inbox_goes_behind(unsigned slot);
/** Is there a job that the store did not take yet? It is in no other place. */
bool spawn_inbox_waits(void);

/** Give up the jobs in the inbox and in the post socket, each with a line in
 * the log. Returns how many. */
unsigned spawn_inbox_give_up(void);

/** Room for the numbers of the broker (base/meters.h), in the memory of the
 * inbox, which outlives brokers and spawners; NULL: there is none. */
void *spawn_inbox_numbers(void);
/** The same for calls that are not recorded (store/unrecorded.h). */
void *spawn_inbox_unrecorded(void);

#endif
