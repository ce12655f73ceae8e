/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file state.h
 * @brief The spawner's state: all that outlives a call, in one struct.
 *
 * Runs in the spawner only: one thread. A file that keeps something has its own
 * part here, named after the file; others ask its functions, but for the
 * configuration, httpd's parent and the broker, which all of them know.
 */
#ifndef SPAWNER_STATE_H
#define SPAWNER_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/spawn_child.h"
#include "common/spawn_packet.h"

/** The link's two ends, and two numbers in the broker's process. */
#define SPAWNER_RESERVE 4
/** Configured one after another, while jobs live in the earlier ones. */
#define CGROUP_BASES 8

typedef struct {
    /* from CONFIGURE */
    uint8_t *config; /* the body, to be forwarded; heap */
    size_t config_length;
    uint8_t secret[SPAWN_SECRET_SIZE];
    spawn_id life; /* of the spawner; `instance` on the wire */
    char socket_path[108];
    spawn_identity job_as;
    spawn_identity broker_as;
    bool programs_are_of_our_release;
    uint64_t file_limit[2]; /* soft, hard; 0: leave */
    uint64_t bounding_set;  /* of jobs, when less_bounding */
    bool less_bounding;
    int fds[SPAWN_FD_ROLES]; /* by role; -1: none */
    int vhost_logs[SPAWN_VHOST_LOGS_MAX];
    unsigned vhost_logs_count;

    /* the httpd parent */
    int control; /* link to it, -1 when it has gone */
    pid_t parent_pid;
    bool wants_ready; /* READY or NOT_READY is awaited */
    bool gone_on;     /* GO was given */
    bool lingering;
    bool ending;        /* its last broker said BYE: nobody can post or adopt */
    int64_t cleared_at; /* mono ms of CLEARED, 0: not cleared */
    int adopter;        /* accepted, has not said ADOPT yet; -1: none */
    int64_t adopter_since;

    /* the broker */
    int link; /* -1: none */
    pid_t broker_pid;
    ino_t broker_file; /* of its program, 0: not known */
    dev_t broker_device;
    bool broker_ready;
    bool broker_refused; /* it said that it cannot get ready, and lives */
    bool broker_said_bye;
    bool upgrading;
    /* The configuration that its program came with was; false when the new
     * release of the spawner could not be executed. */
    bool broker_is_of_our_release;
    int64_t broker_since;    /* mono ms of its start */
    int64_t broker_start_at; /* mono ms of the next start, 0: none planned */
    unsigned broker_deaths;  /* in a row, young */
    int64_t
        broker_looked_at; /* mono ms: last look whether it hangs in its end */
    int64_t broker_ending_at; /* mono ms: it was seen there; 0: no */
    int notify; /* inotify of all brokers (broker/base/notify.h); -1: none */

    int failures[2]; /* where clone.c's jobs tell of theirs: in, out */
    int reserve[SPAWNER_RESERVE]; /* below 1: none */
    int suid_dumpable; /* /proc/sys/fs/suid_dumpable; -1: not to be read */
    int epoll;
    int signals;     /* signalfd */
    bool exits_left; /* children to be reaped in the next turn */

    /* the table of jobs */
    struct {
        struct mapping *map; /* all memory of it */
        struct job *entries; /* in there */
        uint32_t end;        /* one past the highest that was ever used */
        uint32_t free_list;
        uint32_t used;
        uint32_t fifo_head, fifo_tail; /* of those with something to tell */
        struct held *held;
    } table;

    /* the directories that jobs have theirs in, open while we live */
    struct {
        struct {
            int fd;
            dev_t device;
            ino_t inode;
            long at; /* where the last look ended; 0: at its end */
        } bases[CGROUP_BASES];
        unsigned bases_count;
        unsigned base; /* of new jobs: its place and one more; 0: none */
        bool own;      /* the base is the directory that we were started in */
        bool told_unlimited;
        char prefix[24]; /* of the names of ours */
        int64_t look_at; /* mono ms, for what is left; 0: all is removed */
        int64_t look_wait;
        int64_t give_again; /* mono ms: not all controllers could be had */
    } cgroup;

    /* jobs that share our memory until they execute */
    struct {
        struct room *rooms; /* NULL: none was needed yet */
        unsigned unseen;    /* jobs whose room is not 0 */
        unsigned roomless;  /* such ones that have no room */
        int64_t look_at;    /* mono ms: the next look, when there are any */
        int look_wait;
    } clones;

    /* news for the broker */
    struct {
        bool configure;
        bool sync; /* the table, from cursor on, then the held handles */
        bool held; /* held_cursor is where it is */
        bool table_end;
        bool go;
        bool places;
        bool linger;
        bool quit;
        bool alive;
        bool wants_write;
        uint32_t cursor;
        struct held *held_cursor;
    } tell;

    /* does the broker hang? */
    struct {
        bool heard; /* since the last look */
        bool asked;
        bool told_disk;
        unsigned looks, disk_looks;
        int64_t heard_at, looked_at;
        int64_t cpu_ms; /* of it when it was asked; below 0: not shown */
    } watchdog;

    /* a service of systemd */
    struct {
        int64_t since; /* mono ms; 0: httpd has started us */
        bool stopping;
    } external;
    struct {
        int64_t sign_ms; /* between two signs of life; 0: none is wanted */
        int64_t next_at; /* mono ms; 0: the first, at once */
    } systemd;

    /* the relay: relay.c */
    struct {
        pid_t pid;        /* 0: none, or one of before an upgrade */
        int64_t since;    /* mono ms of its start */
        int64_t start_at; /* mono ms of the next start; 0: at once */
        unsigned deaths;  /* in a row, young */
    } relay;

    /* the look at what has left a job's group */
    struct {
        uid_t account; /* of that job; 0: not known */
        bool told;     /* that it cannot be had */
    } tree;

    struct accounts *accounts;   /* NULL: none, all jobs have job_as */
    bool has_allow;              /* httpd has listed what queues allow */
    struct template_note *notes; /* the newest first */
    uint32_t leaderless;         /* the first one; chained by next_pid */
    int64_t muted_until; /* mono ms: the control socket is not looked at */
    int64_t adopter_answered_at; /* mono ms */
} spawner_state;

extern spawner_state spawner;

#endif
