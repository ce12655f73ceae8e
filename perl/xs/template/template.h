/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file template.h
 * @brief Between the files of the template runner: a Perl process that is
 * preloaded once, waits for orders in C, and forks itself for each Perl job.
 *
 * Runs in a template and in the jobs that are forked from it, one thread. The
 * template must run no Perl between two orders and allocate nothing for an
 * order, so that it stays as it was when it became ready. Only the forked
 * process goes back to Perl, and it never returns from there: it ends by _exit.
 */
#ifndef SPAWN_TEMPLATE_H
#define SPAWN_TEMPLATE_H

#define PERL_NO_GET_CONTEXT
#include "EXTERN.h"
#include "perl.h"
#include "XSUB.h"

#include <poll.h>
#include <sys/resource.h>

#include "common/spawn_fd.h"
#include "common/spawn_board.h"
#include "common/spawn_packet.h"
#include "common/spawn_proto.h"
#include "perl/xs/template/fork.h"
#include "perl/xs/template/plain.h"

/** The function that does a job, in C: spawn_template_job_inside. */
#define SPAWN_TEMPLATE_JOB "Apache2::Spawn::Template::Run::_job"

/** The one that makes a worker of the job; gets the order as a hash, gives the
 * exit code. */
#define SPAWN_TEMPLATE_WORKER "Apache2::Spawn::Template::Run::_serve_calls"

/** The one that gives a worker its environment back. */
#define SPAWN_TEMPLATE_ENVIRONMENT                                             \
    "Apache2::Spawn::Template::Run::_restore_environment"

/** That which opens those of the standard handles that are not at their numbers
 * again. */
#define SPAWN_TEMPLATE_HANDLES "Apache2::Spawn::Template::Run::open_handles"

/** Most bytes of a text of PRELOADED, without its NUL. */
#define SPAWN_TEMPLATE_TEXT 4000

/* ---- link.c: messages to the spawner ---- */

/** PRELOADED. text: cut, a NUL in it replaced. 0 or a negative errno. */
int spawn_template_tell_preloaded(int link, unsigned code, const char *text,
                                  size_t length);
/** FORKED and SET_UP; with a step: that it failed. pid: of the job, when it was
 * not told before, else 0. 0 or a negative errno. */
int spawn_template_tell_forked(int link, const spawn_id *id);
int spawn_template_tell_set_up(int link, const spawn_id *id, pid_t pid,
                               unsigned step, int error);
/** LAUNCHED, from the template itself. 0 or a negative errno. */
int spawn_template_tell_launched(int link, const spawn_id *id, pid_t pid,
                                 bool spare);

/** CHILD_EXITED. 0 or a negative errno. */
int spawn_template_tell_exited(int link, const spawn_id *id, pid_t pid,
                               int status, const struct rusage *usage);

/* ---- handles.c: the template's descriptors and handles ---- */

/** Note Perl's handles and the open descriptors. After preloading. */
void spawn_template_note_handles(pTHX_ int link);

/** Before a fork: what waits in buffers is not written twice. */
void spawn_template_flush(pTHX);

/** In the job, before its own handles come to their places: close the noted
 * handles, in such a way that Perl knows it. */
void spawn_template_close_handles(pTHX);

/**
 * In the job, when everything that it must not have is closed: occupy the
 * numbers that C libraries of the template still use with a descriptor on which
 * every use fails, so that no new file gets such a number.
 */
void spawn_template_block_numbers(void);

/* ---- children.c: jobs of a template that httpd forked from itself ---- */

/** From now on jobs are our own children, and we are the subreaper of the
 * processes that they leave. @return a descriptor that is readable when one has
 * ended, or a negative errno. */
int spawn_template_parent_begin(void);
/** Make room for one more child, before it is forked. 0 or -ENOMEM. */
int spawn_template_child_room(void);
/** A job was forked, or (stays) a worker. */
void spawn_template_child_add(const spawn_id *id, unsigned attempt, pid_t pid,
                              bool kill_left, bool stays);
/** Are those that are left all workers? */
bool spawn_template_children_stay(void);
/** Reap children that have ended and tell the ends of jobs; returns how many
 * jobs are left. */
unsigned spawn_template_children_reap(int link);
/** An order to signal a job. */
void spawn_template_child_signal(int link, const spawn_message *m);
/** The job hangs, and nothing ends it: do not wait for it. */
void spawn_template_child_forget(const spawn_message *m);

/* ---- become.c: from an order to Perl ---- */

/** Become the job of an order, in a process that was forked for it, or in a
 * spare, which has prepared itself (spares.c). The order must stay until the
 * job ends.
 * @param spare its socket, from SPAWN_CHILD_LIFTED on; -1: it is none. */
void spawn_template_become(pTHX_ int link, const spawn_message *order,
                           const int *fds, int spare) __attribute__((noreturn));

/** The handling of signals that a template ignores. */
void spawn_template_not_for_us(void (*to)(int));

/* ---- spares.c: clones that wait for an order ---- */

/** Before the first order. most: that are kept at once; 0: none. own: as for
 * spawn_template_serve. */
void spawn_spares_begin(unsigned most, bool own);
/** The descriptors to poll, into room for SPAWN_SPARES_MAX; returns how many.
 */
unsigned spawn_spares_watch(struct pollfd *into);
/** Look at what poll has found. */
void spawn_spares_look(const struct pollfd *found, unsigned count);
/** How long to wait until spawn_spares_keep is to be called, in ms, -1: for
 * ever. */
int spawn_spares_wait(void);
/** Fork a spare or end some, as it is due; no order waits. 0; -EOWNERDEAD: this
 * process has to end (fork.h). */
int spawn_spares_keep(pTHX);
/** Give an order to a spare. Its pid; 0: there is none that can take it. */
pid_t spawn_spares_give(int link, const spawn_message *order,
                        const spawn_packet *packet);
/** An order was taken, by a spare or not. */
void spawn_spares_called(void);
/** Tell the spawner of those that have their order for some time and are not
 * set up. 0 or a negative errno: the link cannot be used. */
int spawn_spares_settle(int link);
/** End all: there are no orders any more. */
void spawn_spares_end(int link);
/** Be a spare, in a process that was forked for that.
 * @param fd its socket, from SPAWN_CHILD_LIFTED on. */
void spawn_spares_be(pTHX_ int fd) __attribute__((noreturn));
/** In a process that was forked from the template: the spares are none of
 * ours. */
void spawn_spares_leave(void);

/* ---- probe.c: a job of nothing ---- */

/** In a frozen template: have jobs see which pages they touch, and arrange
 * memory accordingly. own: as for spawn_template_serve. */
void spawn_template_probe(bool own);

/* ---- serve.c ---- */

/** After preloading, before PRELOADED is sent: set the signals for the wait,
 * and note what is open. */
void spawn_template_get_ready(pTHX_ int link);

/**
 * After that: arrange the memory (SPAWN_MEMORY_) and tell the spawner that we
 * are ready. Code that runs between this and the first order makes memory that
 * each job's fork has to copy.
 * @param weight what was loaded, for the log. 0 or a negative errno.
 */
int spawn_template_ready(pTHX_ int link, bool own, unsigned how,
                         const char *weight);

/**
 * Wait for orders and fork a job for each. Returns only in the template.
 * @param own jobs are our own children and we tell of their end; else the
 * spawner's.
 * @param spares most spares.
 * @return 0 when it was dismissed or the link ended (and with own: the last job
 * has), or a negative errno: the link cannot be used.
 */
int spawn_template_serve(pTHX_ int link, bool own, unsigned spares);

/* ---- worker.c: the link of a worker to the broker ---- */

/** RETURNED without an id: it is ready, or (code, text) why it cannot be. 0 or
 * a negative errno. */
int spawn_template_tell_ready(int link, unsigned code, const char *text,
                              size_t length);
/**
 * Serve call after call, until the broker has no more for this worker.
 * @param jobs how many at most, 0: any number.
 * @param memory leave when we have more bytes than that, 0: never.
 * @return the exit code.
 */
int spawn_template_serve_calls(pTHX_ int link, uint64_t jobs, uint64_t memory);

/** Note the C environment as it is now: what a call changes is undone. */
void spawn_template_note_environment(void);

/* ---- fresh.c ---- */

/** In the template, when all is loaded: from now on what is allocated lies side
 * by side.
 * @param alone its memory is its own, and not httpd's too: the free pieces in
 * it may be used up. */
void spawn_template_fresh_memory(pTHX_ bool alone);

/* ---- surroundings.c ---- */

/** In the template, when %ENV is as jobs shall find it: note what they need,
 * and make what they all have, so that they copy fewer pages for it. */
void spawn_template_prepare_surroundings(pTHX);

/** The environment of a job, into its order. */
void spawn_template_put_environment(spawn_writer *w);

/** In the job: %ENV as the order has it, $0, $^T, the standard handles. */
void spawn_template_surroundings(pTHX_ const spawn_message *order);

/* ---- board.c ---- */

/** The job that we are now has this board, and this bell, or -1. */
void spawn_template_board_is(spawn_board *its_board, int its_bell);

/** Put a document on the board, and ring. false: there is no board, or no room
 * on it. */
bool spawn_template_put_result(pTHX_ unsigned kind, SV *document);
/** The same of bytes; a signal's handler may call it. */
bool spawn_template_put_bytes(unsigned kind, const char *data, size_t length);

/* ---- order.c: what the call knows of itself ---- */

/** The order that this process was forked for; it stays. */
void spawn_template_order_of_process(const spawn_message *order);

/** A call of this order begins in this process; it ended. The order must stay
 * in between. */
void spawn_template_order_begins(const spawn_message *order);
void spawn_template_order_ends(pTHX);

/** A new reference to a hash with what Perl may know of the call that runs, by
 * the names of attributes, and pid, or a new undef: none does. */
SV *spawn_template_own_order(pTHX);

/** An order as such a hash. */
HV *spawn_template_hash(pTHX_ const spawn_message *order);

/* ---- call.c ---- */

/** In the template: note what all calls need. */
void spawn_template_prepare_calls(pTHX);

/**
 * Call the function of an order, which must stay as long as the call and what
 * it made.
 * @param first of this process: the hooks of after_fork run before.
 * @return the exit code of a process that ends now.
 */
int spawn_template_call(pTHX_ const spawn_message *order, bool first);

/** The part of it from which exceptions may come. */
void spawn_template_call_inside(pTHX);

/** One call of nothing, without a result. args: a document; objects: 1 when
 * they may travel. */
void spawn_template_rehearse(pTHX_ SV *args, int objects);

/** Such a call, into an order. */
void spawn_template_put_nothing(pTHX_ spawn_writer *w);

/** Call even less, so that the pages which each call touches are touched. In a
 * template that has just been frozen, and in a spare that has no order yet. */
void spawn_template_warm_up(pTHX);

/* ---- hook_time.c ---- */

/** A hook begins, which may take so long. Else the process ends, and its caller
 * (of a worker: the broker, over the link) is told this text, or this document
 * of it. Both must stay. */
void spawn_template_hook_begins(pTHX_ double seconds, SV *document, SV *text,
                                int link);

/** It has returned, or died. */
void spawn_template_hook_ended(void);

/* ---- job.c ---- */

/** In the template: note what all jobs need. */
void spawn_template_prepare_job(pTHX);

/** The job's Perl part, to its end. The order must stay until it ends. */
void spawn_template_job(pTHX_ const spawn_message *order)
    __attribute__((noreturn));

/** In a job of nothing: what it calls as its last, in the place of END
 * blocks. */
void spawn_template_job_tells(void (*function)(void));

/** The part of it that an exception may end; returns the exit code. */
int spawn_template_job_inside(pTHX);

/** Which END blocks run when the job ends. */
typedef enum {
    SPAWN_END_NONE = 0,
    SPAWN_END_JOB = 1, /* that were compiled in the job */
    SPAWN_END_ALL = 2  /* and those of the template */
} spawn_template_end;

void spawn_template_end_blocks(spawn_template_end which);

#endif
