/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawner.h
 * @brief The functions that the files of the spawner share, and which file does
 * what.
 *
 * Runs in the spawner only: one thread, one epoll loop. Ground rules: the
 * spawner never reads a byte from a caller, never blocks (so it closes nothing
 * that came from outside: spawn_closer.h), never allocates for queue or
 * history, and never ends with exit code 7 or 15 (httpd would stop itself).
 */
#ifndef SPAWNER_H
#define SPAWNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct rusage;

#include "common/spawn_child.h"
#include "common/spawn_packet.h"
#include "spawner/state.h"
#include "spawner/table.h"

/* The subject of an epoll event; the low 32 bits are a table index. */
#define ON_SIGNAL   (1ull << 32)
#define ON_CONTROL  (2ull << 32)
#define ON_ADOPT    (3ull << 32)
#define ON_LISTEN   (4ull << 32)
#define ON_PARENT   (5ull << 32)
#define ON_LINK     (6ull << 32)
#define ON_START    (7ull << 32)
#define ON_TEMPLATE (8ull << 32)
#define ON_GONE     (9ull << 32)

/* poll.c */
/** Watch, change or stop watching a descriptor. events as for epoll. */
int watch(int fd, uint64_t what, uint32_t events);
void rewatch(int fd, uint64_t what, uint32_t events);
/** Stop watching and close; *fd becomes -1. Closing alone would not end the
 * watch while a forked child still has its copy. Of -1 there is none. */
void unwatch(int *fd);
/** The same for a socket that others can send descriptors to: closing it would
 * close those. */
void unwatch_passed(int *fd);
/** Have the closer close a descriptor that came from outside, or through code
 * of jobs. */
void give_away(int fd);

/** End the spawner. */
void spawner_end(int code, const char *why) __attribute__((noreturn));

/* control.c: messages to httpd's parent */
/** Finish and send to a parent's link or an adopter. A failure is in the
 * log. */
void control_send(int sock, spawn_writer *w, const int *fds, unsigned count);
/** READY or NOT_READY, when it is awaited. */
void control_tell_ready(bool ready, const char *text);
/** The link to the parent ends. */
void control_leave(void);
/** Has the parent gone, also when its end was not seen yet? The kernel is
 * asked. */
bool control_has_gone(void);

/* jobs.c: entries of the table as processes */
/** An entry whose process never came to be. */
void job_failed(job *j, spawn_step step, int error);
/** Something came through a start pipe: executed, or the step that failed. */
void job_progress(job *j);
/** It executes its program. */
void job_executes(job *j);
/** It has ended by this status, now. */
void job_note_end(job *j, int status);
void job_keep_usage(job *j, const struct rusage *u);
/** It is over: tell the broker, or, when the broker has given it up, remove
 * it. */
void job_over(job *j);
/** A job that its template reaped has ended. usage: RUSAGE, or id 0. */
void job_told(job *j, int status, const spawn_attr *usage);
/** Signal the group of a job that has a process and has not ended. 0 or a
 * negative errno; -ESRCH: there is none (any more). */
int job_signal(job *j, int signo);
/** Its leader is reaped, others of its group live and have their grace; their
 * pidfd is j->group. */
void job_leave_to_group(job *j);
/** Some of these may have ended. */
void jobs_look_at_groups(void);
/** This child, which no entry has, is about to be reaped: a job may have waited
 * for it. */
void jobs_lose(pid_t pid);

/* tree.c: what has left a job's group */
/** Signal these processes of a job that has a process, and tell what could not
 * be. */
void tree_signal(const job *j, int signo);
/** The same of a job that is another one's child, in that one's place. leader:
 * a pidfd of the job's process. */
void tree_signal_below(const job *j, pid_t parent, int leader, int signo);
/** One of them that is our child; 0: none is left. */
pid_t tree_left(const job *j);

/* cgroup.c: a directory of cgroup v2 for each job */
/** In this directory, or in our own ("auto"), or nowhere (""). */
void cgroup_configure(const char *where);
/** Make the directory of a job that is to be started, with the limits of its
 * order. *ret: a descriptor of it, -1: it has none. Fails only when limits that
 * were asked for cannot be set. 0 or a negative errno. */
int cgroup_make(job *j, const spawn_message *order, int *ret);
/** Put a process of the job there. A negative errno: it could not be, and the
 * job has limits, without which it may not run. */
int cgroup_enter(job *j, pid_t pid);
/** Does the order limit the memory of the whole job? */
bool cgroup_limits_memory(const spawn_message *order);
/** KILL all that is there. */
void cgroup_kill(const job *j);
/** The job is over: remove the directory, now or when nothing is left there. */
void cgroup_leave(job *j);
/** Note in the table what all of its processes have used, when one of them was
 * put there. Before cgroup_leave. */
void cgroup_usage(job *j);
/** Is it where new jobs have theirs? */
bool cgroup_is_current(const job *j);
/** The directories that jobs may have theirs in, one after another; -1: there
 * are no more. And, after an upgrade, in this order, before cgroup_configure:
 * one of them, whose descriptor is taken over. */
int cgroup_base(unsigned i);
void cgroup_resume_base(int fd);
/** A job of the spawner before an upgrade has it there: a place and one more,
 * or 0, where new jobs have theirs. Was its process put there? */
void cgroup_resume(job *j, unsigned place, bool was_put);
/** Remove what is empty. Ms to the next look, -1: none. */
int cgroup_timers(int64_t now);

/* launch.c */
/** Fork the job of a LAUNCH order, or hand it to its template. The packet's
 * descriptors are taken over. Always leaves an entry in the table, at worst an
 * ended one with the step that failed. */
void launch_job(const spawn_message *order, spawn_packet *packet);
/** An order that is not obeyed: its process never came to be. */
void launch_refused(const spawn_id *id, const spawn_message *order,
                    spawn_step step, int error);
/** An order that came without its descriptors, for want of room for them: its
 * job ends without having started. */
void launch_impossible(const spawn_id *id, int error);
/* accounts.c: the accounts of jobs */
typedef struct accounts accounts;
/** The accounts of a CONFIGURE, heap, with pointers into its body; NULL: it
 * lists none. 0 or a negative errno. */
int accounts_read(const void *body, size_t length, accounts **ret);
/** They hold from now on; those of before are freed. */
void accounts_use(accounts *list);
/** The account of a job or a template, until the next call; NULL: none is
 * listed for it. */
const spawn_identity *accounts_of(const spawn_message *order);
/** Is the order one for an account that is listed? NONE; else the step that it
 * fails in, with an errno; what should not happen is logged. */
spawn_step accounts_refuse(const spawn_id *id, const spawn_message *order,
                           int *ret_error);
/** Is this the account of some job? */
bool accounts_has(uid_t uid);
/* orphan.c */
/** Signal a job that is not in the table, by the process that the order names.
 * 0 or a negative errno; -EPERM: it is no job. */
int orphan_signal(const spawn_message *order, int signo);
/* child.c: a job's process until exec; never returns. It may share the
 * spawner's memory: it writes to its stack only. */
typedef struct {
    const spawn_message *order;
    const int *fds;
    const spawn_identity *as;
    uint64_t file_limit[2];       /* soft, hard; hard 0: leave */
    const uint64_t *bounding_set; /* to be kept of it; NULL: all */
    const spawn_attr *allow;      /* programs that it may execute; NULL: any */
    int report;                   /* start pipe, write end */
    bool common;                  /* it is the one of all of clone.c's jobs */
    int link;     /* of a template, becomes descriptor 3; -1: no template */
    int cgroup;   /* where it begins; -1: where we are */
    bool *joined; /* out: it did. Not for the child */
    int gate[2];  /* a pipe where it waits for an errno, or 0, before it does
                   * anything; -1: it does not wait */
} child_order;
/** Words and variables of a job have to be fewer than this to need no memory of
 * their own. */
#define CHILD_WORDS 128
void child_run(const child_order *order) __attribute__((noreturn));
/* allowed.c: what jobs may execute */
/** A configuration was taken: does any queue have a list? */
void allowed_configured(void);
/** Can the order be one that the lists allow? Else the log says so. */
bool allowed_order(const spawn_id *id, const spawn_message *order);
/** The list that a job's program has to be on, until the next configuration;
 * NULL: there is none. */
const spawn_attr *allowed_list(const spawn_message *order);
/** Execute argv when the list has it; runs as child_run does. Returns only on
 * failure: the step, and its errno. */
spawn_step allowed_exec(const spawn_attr *list, char **argv, char **envp,
                        int *ret_error);
/* clone.c: the quick way to a job's process */
/** At start. */
void clone_open(void);
/**
 * @param watched it has a start pipe of its own; else clone_look sees when it
 * executes.
 * @return its pid; 0: it has to be forked, with a start pipe.
 */
pid_t clone_job(job *j, const child_order *order, const spawn_packet *packet,
                bool watched);
/** A process of its own: fork, where the order says. 0 in the child; -1 with
 * errno. */
pid_t clone_fork(const child_order *order);
/** Which jobs have executed by now? */
void clone_look(void);
/** The process of a job has ended, and is not reaped yet. */
void clone_ended(job *j);
/** Ms until the next look, -1: none. */
int clone_timers(int64_t now);
/** A job of the spawner before an upgrade, which may not have executed. */
void clone_resume(job *j);
/* reap.c */
/** Some of the children that have ended; exits_left tells when there may be
 * more, for which no signal comes. */
void reap_some(void);
/* template_send.c: what templates are sent */
/** Hand an order to its template; 0 or a negative errno. */
int template_order(job *j, const spawn_id *template_id,
                   const spawn_packet *packet);
/** Let a template go: it ends, its jobs do not. */
void template_dismiss(job *template);
/** The broker has given up a job that is the child of its template. */
void template_give_up(const job *j);
/** Signal a job that is the child of its template. 0: told to the template, now
 * or when its link has room; or a negative errno. */
int template_signal(job *j, int signo);
/** Signal a template that is no child of ours. 0 or a negative errno. */
int template_kill(const job *template, int signo);
/** Tell the template only what is to become of the job's group when it ends. */
void template_tell_left(const job *j);
/** After an upgrade: go on with messages that had no room in their links. */
void templates_resume(void);
/* template.c: what they tell, and their end */
void template_input(job *template);
/** Its process, which is no child of ours, has ended: processes that it forked
 * may still have its end of the link. */
void template_gone(job *template);
/** An event of its pidfd came, in a turn in which its place in the table may
 * have become another's. */
void template_may_be_gone(job *template);
/** Read what our templates have told until now: an unknown process may be a job
 * of theirs. */
void templates_drain(void);
/** A process with this account has ended that no entry has: the job that its
 * template told it to be, which has that process from now on; NULL: none. */
job *template_claimed(pid_t pid, uid_t uid);
/** A template has been reaped: orders that it had not forked yet never will
 * be. */
void template_ended(job *template);
/** Watch its link, and its pidfd when it is no child of ours. */
void template_watch(const job *template);
/** The broker knows that it has ended: forget its note. */
void template_forget(const job *template);
/** A template that the httpd parent has forked from itself, with the link to it
 * and its pidfd, which are taken over; without them there is no such process,
 * and TEXT says why. */
void template_foreign(const spawn_message *m, spawn_packet *p);
/* foreign.c: templates of httpd's that do not do their work */
/** Has somebody stopped the template that this job is a child of? */
bool foreign_is_stopped(const job *j);
/** Signal the job's group; whole: also what has left it. 0 or a negative errno;
 * -ESRCH: it is no child of its template (any more). */
int foreign_signal(job *j, int signo, bool whole);
/* preload.c: templates that do not get ready */
/** End them. Ms to the next look, -1: none. */
int preload_timers(int64_t now);
/** Put what the broker is told of a template: its name, and the text that it
 * said of its preloading. */
void template_put_name(spawn_writer *w, const job *template);
void template_put_text(spawn_writer *w, const job *template);

/* tell.c: messages to the broker */
/** A broker comes anew: tell it everything that holds. */
void tell_begin(void);
void tell_configure(void);
void tell_go(void);
/** Places were made anew. */
void tell_places(void);
void tell_linger(void);
void tell_quit(void);
/** Ask the broker for a sign of life. */
void tell_alive(void);
/** Send what has to be told, as far as the link takes it. False when the kernel
 * is short of something, so that no event will tell when to go on. */
bool tell_flush(void);
/** The handles of this job are about to go: they must not be told next. */
void tell_step_over(const spawn_id *id);

/* broker.c: the broker's life */
void broker_start(void);
void broker_died(int status);
/** The spawner was told to end: the broker stores what it has before. Ends the
 * spawner when there is nothing to store. */
void broker_stop(void);
/** Does the broker hang in its end? Ms to the next look, -1: none. */
int broker_timers(int64_t now);
/** There is a new configuration: for the broker that there is, or a new one. */
void broker_configure(void);

/* relay.c: the relay's life */
/** A CONFIGURE says whether there is one. */
void relay_configure(const spawn_message *m);
/** It was reaped. */
void relay_died(int status);
/** Start it when it is time. Ms to the next look, -1: none. */
int64_t relay_timers(int64_t now);

/* programs.c: which files run, and which are installed */
/** A broker is about to be started. */
void programs_note_broker(void);
/** Is one of our two programs another file than what CONFIGURE brought? */
bool programs_replaced(void);

/* reserve.c: descriptors for a broker's start */
/** As far as there are some. */
void reserve_fill(void);
/** They are free now. */
void reserve_use(void);

/* watchdog.c: does the broker hang? */
/** One was started now. */
void watchdog_begin(int64_t now);
/** It has sent something. */
void watchdog_heard(void);
/** Ask, look, kill it. Ms to the next look, -1: none. */
int watchdog_timers(int64_t now);

/* orders.c: orders of the broker */
void orders_input(void);
/** One order. 1: taken; 0: none now, or never again; negative: end of file. */
int orders_take_one(void);

/* parent.c: httpd parents */
void parent_input(void);
void parent_gone(const char *how);
void parent_accept(void);
void adopter_input(void);
/** Deadlines of this file: act on those that passed, return ms to the next
 * (-1: none). */
int parent_timers(int64_t now);

/* external.c: a spawner that httpd has not started */
/** Has systemd started it, for its control socket? */
bool external(void);
/** Begin with that socket. 0 or a negative errno. */
int external_begin(void);
/** After an upgrade of one that had begun so. */
void external_resume(void);
/** No httpd has given it anything yet. */
bool external_is_empty(void);
/** Tell that to one that adopts it. */
void external_send_empty(int sock);
/** Tell people which httpd it serves. */
void external_tell(void);
/** It was told to end: jobs run on. Of one that httpd has started nobody can
 * ask that. True: its broker has to be told now (broker_stop). */
bool external_stop(void);
/** Was it told to end? It does when its broker has ended. */
bool external_stops(void);
/** Ms to the time when it ends since nobody came, -1: none. */
int external_timers(int64_t now);

/* notify.c: what systemd is told */
void notify_begin(void);
/** A line for people; first: other words before it, each with its end of
 * line. */
void notify_status(const char *first, const char *text);
/** A sign of life, when it is time. Ms to the next one, -1: none is wanted. */
int notify_timers(int64_t now);

/* config.c */
/** Take over a CONFIGURE message and its descriptors. 0 or negative errno. */
int config_take(const spawn_message *m, const void *body, size_t length,
                int *fds, unsigned count);
/** The descriptors of a message with FD_ROLES alone. */
void config_take_fds(const spawn_message *m, int *fds, unsigned count);
/** CONFIGURE for the broker: the kept body with the broker's descriptors.
 * fds[SPAWN_FDS_MAX] is filled. 0 or negative errno. */
int config_for_broker(spawn_writer *w, int *fds, unsigned *ret_count);

/* upgrade.c */
/** Exec the installed spawner in place; returns only on failure. */
int upgrade_exec(void);

/* resume.c */
/** At start: take over from the memfd that the old self left. 0 or a negative
 * errno. */
int resume(int fd);

#endif
