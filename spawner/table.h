/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file table.h
 * @brief The jobs that the spawner is the parent of, and the exits that no
 * broker has committed yet.
 *
 * Runs in the spawner only. Memory is one reserved mapping of which only used
 * pages exist: some 160 bytes a job, never given back, always used again.
 */
#ifndef SPAWNER_TABLE_H
#define SPAWNER_TABLE_H

#include <sys/resource.h>
#include <sys/types.h>

#include "common/spawn_proto.h"

/** Entries: of jobs, and of exits that no broker has committed yet. */
#define TABLE_MAX 131072
/** With so many in use a launch fails, as fork does when there is no process
 * left; the other entries are for telling of that, and for templates. A
 * configuration that allows 100,000 jobs at once does not come here; it may
 * when jobs of an earlier one still run. */
#define TABLE_JOBS 122880

typedef enum {
    JOB_FREE = 0,
    JOB_STARTING, /* forked, not known to have executed yet */
    JOB_RUNNING,
    JOB_ENDED /* reaped, or never forked; waits for FORGET */
} job_state;

#define JOB_KILL_LEFT    0x01 /* kill the rest of the group when it ends */
#define JOB_TELL_STARTED 0x02 /* STARTED has to be sent */
#define JOB_TELL_EXITED  0x04 /* EXITED has to be sent */
#define JOB_IN_FIFO      0x08
#define JOB_IS_TEMPLATE  0x10 /* not a job: what Perl jobs are forked from */
#define JOB_TELL_SAID    0x20 /* TEMPLATE_SAID has to be sent */
#define JOB_FOREIGN      0x40 /* no child of ours: httpd's template, its jobs */
#define JOB_TELL_ORPHAN  0x80 /* ORPHANED has to be sent */
#define JOB_IS_WORKER    0x100  /* not a job: serves calls, one after another */
#define JOB_LEFT_WAIT    0x200  /* SPAWN_LEFT_WAIT */
#define JOB_LEADERLESS   0x400  /* it was reaped, others of its group live */
#define JOB_SHOT         0x800  /* signalled: it may never have executed */
#define JOB_PID_WANTED   0x1000 /* TELL_PID has come */
#define JOB_TELL_PID     0x2000 /* STARTED has to be sent, with its state */
#define JOB_GIVEN_UP     0x4000 /* forgotten by the broker while it hangs */
#define JOB_SPARE        0x8000 /* its process has not told that it has it */

/* A template's report on its preloading. */
#define SAID_NOTHING 0
#define SAID_READY   1
#define SAID_FAILED  2
#define SAID_ABSENT  4 /* httpd has none of this name */
#define SAID_ENDED   5 /* it ended before it was ready */
/* Of a job: it lives on without a parent that could tell of its end. */
#define SAID_ORPHAN 3

typedef struct job {
    spawn_id id;
    pid_t pid; /* 0: never forked, or not known yet */
    uint16_t flags;
    uint8_t state;
    uint8_t step;   /* that failed, or 0 */
    int32_t error;  /* errno of that step */
    int32_t status; /* of wait */
    int32_t start_pipe;
    int32_t link;           /* to a template, -1: none */
    int32_t group;          /* leaderless: pidfd of the leader, -1: none */
    pid_t left;             /* leaderless: a child of ours outside of it; 0 */
    uint32_t template;      /* index of the one that it is forked from, or 0 */
    uint8_t pending_signal; /* came before its process was known */
    uint8_t said;           /* SAID_ */
    uint8_t room;    /* of clone.c, which sees when it executes; 0: others do */
    uint8_t attempt; /* of the job: the last byte of its number; 0: the first */
    int8_t nice;     /* of its session, when that is ours to set; 0 */
    uint8_t cgroup;  /* where it has a directory of its own; 0: nowhere */
    bool in_cgroup;  /* and a process of it was put there */
    bool limited;    /* and has to be, for limits that were asked for */
    bool has_tree;   /* table_tree has what its cgroup has used */
    uid_t uid;       /* its account at its start; 0: not known */
    int32_t keep[SPAWN_KEEP_MAX]; /* by role - 1; -1: none */
    int64_t mono_us;              /* when it was forked */
    int64_t boot_ms;
    int64_t wall_ms;
    int64_t ended_ms; /* wall */
    int64_t elapsed_us;
    uint64_t utime_us;
    uint64_t stime_us;
    uint32_t counts[SPAWN_RU_COUNT - 2]; /* the rest of RUSAGE */
    uint32_t next_id;                    /* chains; 0 ends one */
    uint32_t next_pid;
    uint32_t next_out;
} job;

/** Reserve the table. Once. @return 0 or negative errno. */
int table_init(void);

/** A new entry, state JOB_STARTING, found by id from now on; NULL when full. */
job *table_add(const spawn_id *id);
/** Make it findable by pid. */
void table_set_pid(job *j, pid_t pid);
/** No longer findable by pid: it was reaped. */
void table_drop_pid(job *j);
/** Close the descriptors that are kept for a broker. */
void table_close_kept(job *j);
/** Close its descriptors and free the entry. Of an ended job, whose start pipe
 * is closed. */
void table_remove(job *j);

/** Are TABLE_JOBS in use, and one more? */
bool table_crowded(void);

job *table_by_id(const spawn_id *id);
job *table_by_pid(pid_t pid);

/** Index of an entry and back; for epoll and for walks. Index 0 is unused. */
uint32_t table_index(const job *j);
job *table_at(uint32_t index);
/** One past the highest index ever used. */
uint32_t table_end(void);

/** The usage of all processes of a job, by its cgroup: the numbers of RUSAGE
 * from SPAWN_RU_COUNT on. Memory that exists only where jobs have cgroups. */
uint64_t *table_tree(const job *j);

/** How many jobs are starting or running, without templates, workers and jobs
 * that were given up. Walks the table: not for every turn. */
uint32_t table_jobs(void);

/** Entries that have something to tell the broker, first in, first out. */
void table_tell(job *j, unsigned flag);
job *table_first_to_tell(void);
/** Take the first one out. */
void table_told(void);

/* ---- handles of queued jobs ---- */

typedef struct held {
    struct held *next;
    spawn_id id;
    unsigned boxed; /* how many are in the box that is here (spawn_box.h) */
    unsigned count;
    int fds[];
} held;

/** Keep fds, which are taken over: closed when there is no memory. */
void held_add(const spawn_id *id, unsigned boxed, const int *fds,
              unsigned count);
void held_remove(const spawn_id *id);
/** All of them, in no order. */
held *held_first(void);

#endif
