/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_proto.h
 * @brief The protocol as tables: every attribute, every message, its sender,
 * its size, its attributes and descriptors.
 *
 * Runs in every process. docs/protocol.md is checked against these tables
 * (t/doc/protocol.t). Numbers are for ever: a retired one stays reserved.
 */
#ifndef SPAWN_PROTO_H
#define SPAWN_PROTO_H

#include "common/spawn_error.h"
#include "common/spawn_wire.h"

/* Hard maxima. A bigger message than SPAWN_INLINE_MAX travels in a sealed
 * memfd; the default send buffer of a Unix socket takes some 200 kB. */
#define SPAWN_INLINE_MAX  65536
#define SPAWN_REQUEST_MAX (4u << 20)
#define SPAWN_SUBMIT_MAX  (20u << 20) /* stdin data included */
#define SPAWN_ANSWER_MAX  (40u << 20)
#define SPAWN_CAPTURE_MAX (16u << 20) /* per stream */
#define SPAWN_SO_FAR_MAX                                                       \
    (1u << 20) /* the same, of one that runs (OUTPUT_FROM) */
#define SPAWN_STDIN_MAX   (16u << 20)
#define SPAWN_ARGS_MAX    (4u << 20) /* of a Perl call, encoded */
#define SPAWN_RESULT_MAX  (4u << 20)
#define SPAWN_ENV_MAX     16384 /* variables of one job */
#define SPAWN_FDS_MAX     32    /* descriptors of one message */
#define SPAWN_JOB_FDS_MAX 19    /* of one job: three streams and 16 more */
/* From this on an index of a LAUNCH names what is in its box. */
#define SPAWN_FDS_BOXED   SPAWN_FDS_MAX
#define SPAWN_NAME_MAX    64 /* of a queue */
#define SPAWN_LABEL_MAX   200
#define SPAWN_SECRET_SIZE 32
#define SPAWN_LIST_MAX    500   /* rows of one answer to LIST */
#define SPAWN_LIST_BODY   4096  /* bytes of a LIST */
#define SPAWN_SEARCH_MAX  256   /* bytes of a text that jobs are chosen by */
#define SPAWN_PIDS_MAX    100   /* jobs named in one PROCESS */
#define SPAWN_CRON_MAX    65536 /* of one recurring job, in CONFIGURE */
/* The values that a queue gives to its jobs, in CONFIGURE. */
#define SPAWN_DEFAULTS_MAX    65536
#define SPAWN_ACCESS_TEXT_MAX 2048 /* of a queue's SpawnAccess, for people */
/* What travels between hosts: an answer about a job, and who sends it. */
#define SPAWN_NEWS_MAX         (SPAWN_ANSWER_MAX + 4096)
#define SPAWN_LOAD_MAX         (SPAWN_NEWS_MAX + SPAWN_WIRE_HEADER)
#define SPAWN_RELAY_URL_MAX    1023
#define SPAWN_HOST_MAX         200
#define SPAWN_ENGINE_QUEUE_MAX 254
#define SPAWN_QUEUE_STATE_MAX                                                  \
    60000 /* in one packet: names of variables only                            \
           */

/* Attributes. X(number, NAME, KIND, most bytes of the payload, "name") 1-39 are
 * fields of a job; spawn_field.h has their names for users, limits and
 * defaults. 160-162 are
 * fields, too. */
#define SPAWN_ATTR_LIST(X)                                                     \
    X(1, ID, ID, 16, "id")                                                     \
    X(2, ARGV, STRV, SPAWN_REQUEST_MAX, "argv")                                \
    X(3, QUEUE, STR, SPAWN_NAME_MAX + 1, "queue")                              \
    X(4, CWD, STR, 4096, "cwd")                                                \
    X(5, ENV, STRV, SPAWN_REQUEST_MAX, "env")                                  \
    X(6, UMASK, U64, 8, "umask")                                               \
    X(7, USER, STR, 256, "user")                                               \
    X(8, GROUP, STR, 256, "group")                                             \
    X(9, STDIN, STDIO, 4104, "stdin")                                          \
    X(10, STDOUT, STDIO, 4104, "stdout")                                       \
    X(11, STDERR, STDIO, 4104, "stderr")                                       \
    X(12, STDIN_DATA, BYTES, SPAWN_STDIN_MAX, "stdin_data")                    \
    X(13, FDS, U64V, 256, "fds")                                               \
    X(14, TIMEOUT, U64, 8, "timeout")                                          \
    X(15, GRACE, U64, 8, "grace")                                              \
    X(16, NICE, I64, 8, "nice")                                                \
    X(17, IONICE, U64, 8, "ionice")                                            \
    X(18, LIMITS, U64V, 256, "limits")                                         \
    X(19, NO_NEW_PRIVS, U64, 8, "no_new_privs")                                \
    X(20, LEFTOVERS, U64, 8, "leftovers")                                      \
    X(21, REPLY, U64, 8, "reply")                                              \
    X(22, LABEL, STR, SPAWN_LABEL_MAX + 1, "label")                            \
    X(23, CONTEXT, STRV, 16384, "context")                                     \
    X(24, CAPTURE_LIMIT, U64, 8, "capture_limit")                              \
    X(25, FUNCTION, STR, 513, "function")                                      \
    X(26, ARGS, BYTES, SPAWN_ARGS_MAX, "args")                                 \
    X(27, LOAD, STR, 513, "load")                                              \
    X(28, TEMPLATE, STR, SPAWN_NAME_MAX + 1, "template")                       \
    X(29, WANT, U64, 8, "want")                                                \
    X(30, PRIORITY, I64, 8, "priority")                                        \
    X(31, DELAY, U64, 8, "delay")                                              \
    X(32, AT, U64, 8, "at")                                                    \
    X(33, EXPIRES, U64, 8, "expires")                                          \
    X(34, RETRY, I64, 8, "retry")                                              \
    X(35, BACKOFF, U64V, 8 * 33, "backoff")                                    \
    X(36, UNIQUE, STR, 256, "unique")                                          \
    X(37, DURABLE, U64, 8, "durable")                                          \
    X(38, RETRY_ON, U64V, 8 * 64, "retry_on")                                  \
    X(39, AFTER, BYTES, 16 * 64, "after")                                      \
    X(40, STATE, U64, 8, "state")                                              \
    X(41, PID, U64, 8, "pid")                                                  \
    X(42, OUTCOME, U64, 8, "outcome")                                          \
    X(43, EXIT_CODE, U64, 8, "exit_code")                                      \
    X(44, SIGNAL, U64, 8, "signal")                                            \
    X(45, CORE, U64, 8, "core")                                                \
    X(46, STEP, U64, 8, "step")                                                \
    X(47, ERRNO, U64, 8, "errno")                                              \
    X(48, SUBMITTED_AT, U64, 8, "submitted_at")                                \
    X(49, STARTED_AT, U64, 8, "started_at")                                    \
    X(50, ENDED_AT, U64, 8, "ended_at")                                        \
    X(51, RUSAGE, U64V, 128, "rusage")                                         \
    X(52, OUT, BYTES, SPAWN_CAPTURE_MAX, "out")                                \
    X(53, ERR, BYTES, SPAWN_CAPTURE_MAX, "err")                                \
    X(54, OUT_LOST, U64, 8, "out_lost")                                        \
    X(55, ERR_LOST, U64, 8, "err_lost")                                        \
    X(57, ELAPSED, U64, 8, "elapsed")                                          \
    X(58, RESULT, BYTES, SPAWN_RESULT_MAX, "result")                           \
    X(59, RESULT_KIND, U64, 8, "result_kind")                                  \
    X(60, CODE, U64, 8, "code")                                                \
    X(61, TEXT, STR, 4096, "text")                                             \
    X(62, PROGRESS, STRV, 1024, "progress")                                    \
    X(64, SECRET, BYTES, SPAWN_SECRET_SIZE, "secret")                          \
    X(65, CLIENT, STR, 64, "client")                                           \
    X(66, RELEASE, STR, 64, "release")                                         \
    X(70, WAIT_FOR, U64, 8, "wait_for")                                        \
    X(71, WAIT_MS, U64, 8, "wait_ms")                                          \
    X(72, SIGNO, U64, 8, "signo")                                              \
    X(73, ROWS, U64, 8, "rows")                                                \
    X(74, BEFORE, U64, 8, "before")                                            \
    X(75, STATES, U64, 8, "states")                                            \
    X(76, SEQ, U64, 8, "seq")                                                  \
    X(77, WITH_OUTPUT, U64, 8, "with_output")                                  \
    X(78, OUTPUT_FROM, U64V, 16, "output_from")                                \
    X(80, UID, U64, 8, "uid")                                                  \
    X(81, GID, U64, 8, "gid")                                                  \
    X(82, GROUPS, U64V, 8192, "groups")                                        \
    X(83, KEEP, U64V, 128, "keep")                                             \
    X(84, MONO_STARTED, U64, 8, "mono_started")                                \
    X(85, BOOT_STARTED, U64, 8, "boot_started")                                \
    X(86, WAIT_STATUS, U64, 8, "wait_status")                                  \
    X(87, KILL_LEFT, U64, 8, "kill_left")                                      \
    X(88, TEMPLATE_ID, ID, 16, "template_id")                                  \
    X(89, IS_TEMPLATE, U64, 8, "is_template")                                  \
    X(90, QUEUE_RULES, NEST, 4096, "queue_rules")                              \
    X(91, MAX_JOBS, U64, 8, "max_jobs")                                        \
    X(92, MAX_QUEUED, U64, 8, "max_queued")                                    \
    X(93, SUBMIT_TIMEOUT, U64, 8, "submit_timeout")                            \
    X(94, HISTORY_JOBS, U64, 8, "history_jobs")                                \
    X(95, HISTORY_AGE, U64, 8, "history_age")                                  \
    X(96, ON_STOP, U64, 8, "on_stop")                                          \
    X(97, STORE_PATH, STR, 4096, "store_path")                                 \
    X(98, SOCKET_PATH, STR, 108, "socket_path")                                \
    X(99, BROKER_UID, U64, 8, "broker_uid")                                    \
    X(100, BROKER_GID, U64, 8, "broker_gid")                                   \
    X(101, BROKER_GROUPS, U64V, 8192, "broker_groups")                         \
    X(102, FILE_LIMIT, U64V, 16, "file_limit")                                 \
    X(103, LOG_LEVEL, U64, 8, "log_level")                                     \
    X(104, INSTANCE, ID, 16, "instance")                                       \
    X(105, FD_ROLES, U64V, 256, "fd_roles")                                    \
    X(106, PARENT_PID, U64, 8, "parent_pid")                                   \
    X(107, JOB_HOME, STR, 4096, "job_home")                                    \
    X(108, JOB_USER, STR, 256, "job_user")                                     \
    X(109, TEMPLATE_RULES, NEST, 16384, "template_rules")                      \
    X(110, PRELOAD, STRV, 8192, "preload")                                     \
    X(111, REQUIRE, STR, 4096, "require")                                      \
    X(112, INCLUDE, STRV, 8192, "include")                                     \
    X(113, PERL, STR, 4096, "perl")                                            \
    X(114, TEMPLATE_KIND, U64, 8, "template_kind")                             \
    X(115, TEMPLATE_JOBS, U64, 8, "template_jobs")                             \
    X(116, TEMPLATE_AGE, U64, 8, "template_age")                               \
    X(117, MODULE_DIR, STR, 4096, "module_dir")                                \
    X(118, IS_WORKER, U64, 8, "is_worker")                                     \
    X(119, LAST, U64, 8, "last")                                               \
    X(120, WORKERS_MIN, U64, 8, "workers_min")                                 \
    X(121, WORKERS_MAX, U64, 8, "workers_max")                                 \
    X(122, WORKER_JOBS, U64, 8, "worker_jobs")                                 \
    X(123, WORKER_MEMORY, U64, 8, "worker_memory")                             \
    X(124, WORKER_IDLE, U64, 8, "worker_idle")                                 \
    X(125, ATTEMPT, U64, 8, "attempt")                                         \
    X(126, IDS, BYTES, 4096, "ids")                                            \
    X(127, PIDS, U64V, 8 * SPAWN_PIDS_MAX, "pids")                             \
    X(128, RUNNING, U64, 8, "running")                                         \
    X(129, FAULTS, U64V, 16, "faults")                                         \
    X(130, SERVED, U64, 8, "served")                                           \
    X(131, PROCESS_STATE, U64, 8, "process_state")                             \
    X(132, ANY_ACCOUNT, U64, 8, "any_account")                                 \
    X(139, BOXED, U64, 8, "boxed")                                             \
    X(140, BOUNDING_SET, U64, 8, "bounding_set")                               \
    X(143, HISTORY_SIZE, U64, 8, "history_size")                               \
    X(144, CUT, U64V, 24, "cut")                                               \
    X(145, JOB_GROUP, STR, 256, "job_group")                                   \
    X(146, HANDLES, U64, 8, "handles")                                         \
    X(149, LOG_FACILITY, U64, 8, "log_facility")                               \
    X(150, LOG_TAG, STR, 65, "log_tag")                                        \
    X(151, VHOST_LOG, NEST, 1024, "vhost_log")                                 \
    X(154, HTTPD, U64, 8, "httpd")                                             \
    X(155, TEMPLATE_MEMORY, U64, 8, "template_memory")                         \
    X(157, SPARE, U64, 8, "spare")                                             \
    X(158, TEMPLATE_SPARES, U64, 8, "template_spares")                         \
    X(160, ON_CONFLICT, U64, 8, "on_conflict")                                 \
    X(161, UNIQUE_FOR, U64, 8, "unique_for")                                   \
    X(162, AFTER_FAILED, U64, 8, "after_failed")                               \
    X(163, DUE_AT, U64, 8, "due_at")                                           \
    X(164, EXPIRES_AT, U64, 8, "expires_at")                                   \
    X(165, ATTEMPTS, NEST, SPAWN_REQUEST_MAX, "attempts")                      \
    X(166, DEAD, U64, 8, "dead")                                               \
    X(170, CRON_RULES, NEST, SPAWN_CRON_MAX, "cron_rules")                     \
    X(171, CRON, STR, SPAWN_NAME_MAX + 1, "cron")                              \
    X(172, CRON_SCHEDULE, STR, 256, "cron_schedule")                           \
    X(173, CRON_ZONE, STR, 65, "cron_zone")                                    \
    X(174, CRON_CATCH_UP, U64, 8, "cron_catch_up")                             \
    X(175, CRON_OVERLAP, U64, 8, "cron_overlap")                               \
    X(176, CRON_DO, U64, 8, "cron_do")                                         \
    X(177, CRON_NEXT, U64, 8, "cron_next")                                     \
    X(178, CRON_PLANNED, U64, 8, "cron_planned")                               \
    X(179, CRON_PAUSED, U64, 8, "cron_paused")                                 \
    X(180, MAX_DELAYED, U64, 8, "max_delayed")                                 \
    X(181, QUEUE_DEFAULTS, NEST, SPAWN_DEFAULTS_MAX, "queue_defaults")         \
    X(182, OTHER, ID, 16, "other")                                             \
    X(183, QUEUE_DO, U64, 8, "queue_do")                                       \
    X(184, QUEUE_MODE, U64, 8, "queue_mode")                                   \
    X(185, CHANGED_AT, U64, 8, "changed_at")                                   \
    X(186, CHANGED_BY, U64, 8, "changed_by")                                   \
    X(187, WAITING, U64, 8, "waiting")                                         \
    X(188, DELAYED, U64, 8, "delayed")                                         \
    X(189, OLDEST_AT, U64, 8, "oldest_at")                                     \
    X(190, SCALED_TO, U64, 8, "scaled_to")                                     \
    X(191, REMOVED, U64, 8, "removed")                                         \
    X(192, QUEUE_ALLOW, NEST, 20480, "queue_allow")                            \
    X(193, ALLOW, STRV, 20000, "allow")                                        \
    X(194, CGROUP, STR, 4096, "cgroup")                                        \
    X(195, ACCOUNT, NEST, SPAWN_REQUEST_MAX, "account")                        \
    X(196, QUEUE_NAMES, STRV, SPAWN_REQUEST_MAX, "queue_names")                \
    X(197, TEMPLATE_NAMES, STRV, 8192, "template_names")                       \
    X(200, ACCESS, NEST, 1024, "access")                                       \
    X(201, RIGHTS, U64, 8, "rights")                                           \
    X(202, COUNTS, U64V, 64, "counts")                                         \
    X(203, OUTCOMES, U64V, 128, "outcomes")                                    \
    X(204, REFUSALS, U64V, 512, "refusals")                                    \
    X(205, WAITED, U64V, 512, "waited")                                        \
    X(206, RAN, U64V, 512, "ran")                                              \
    X(207, MINUTES, U64V, 960, "minutes")                                      \
    X(208, COMMITS, U64V, 512, "commits")                                      \
    X(209, PAIR, U64V, 128, "pair")                                            \
    X(210, ACCESS_TEXT, STR, SPAWN_ACCESS_TEXT_MAX, "access_text")             \
    X(211, SEEN, U64, 8, "seen")                                               \
    X(212, WATCHERS, U64, 8, "watchers")                                       \
    X(213, ENDED_AS, U64, 8, "ended_as")                                       \
    X(214, WHAT, STR, SPAWN_SEARCH_MAX + 1, "what")                            \
    X(215, SINCE, U64, 8, "since")                                             \
    X(216, UNTIL, U64, 8, "until")                                             \
    X(217, SEARCH, STR, SPAWN_SEARCH_MAX + 1, "search")                        \
    X(218, OLDEST_FIRST, U64, 8, "oldest_first")                               \
    X(219, LOOKS, U64, 8, "looks")                                             \
    X(220, ARGV_MOST, U64, 8, "argv_most")                                     \
    X(221, ARGV_CUT, U64, 8, "argv_cut")                                       \
    X(222, ENDED_SINCE, U64, 8, "ended_since")                                 \
    X(223, RESIDENT, U64, 8, "resident")                                       \
    X(224, CONFIGURED_AT, U64, 8, "configured_at")                             \
    X(225, BOUND, U64, 8, "bound")                                             \
    X(226, RELAY_URL, STR, SPAWN_RELAY_URL_MAX + 1, "relay_url")               \
    X(227, HOST, STR, SPAWN_HOST_MAX + 1, "host")                              \
    X(228, SHARED, U64, 8, "shared")                                           \
    X(229, TO, STR, SPAWN_ENGINE_QUEUE_MAX + 1, "to")                          \
    X(230, LOAD_BYTES, BYTES, SPAWN_LOAD_MAX, "load_bytes")

#define SPAWN_X_ATTR(n, NAME, KIND, max, name) SPAWN_A_##NAME = n,
typedef enum {
    SPAWN_ATTR_LIST(SPAWN_X_ATTR) SPAWN_A_COUNT = 231
} spawn_attr_id_t;

/* The senders. */
#define SPAWN_FROM_CALLER            0x01
#define SPAWN_FROM_BROKER            0x02 /* to a caller */
#define SPAWN_FROM_BROKER_TO_SPAWNER 0x04 /* broker to spawner */
#define SPAWN_FROM_SPAWNER           0x08 /* to its broker */
#define SPAWN_FROM_PARENT            0x10 /* httpd parent to spawner */
#define SPAWN_FROM_SPAWNER_TO_PARENT 0x20 /* spawner to httpd parent */
#define SPAWN_FROM_POST              0x40 /* through the post socket to the broker */
#define SPAWN_FROM_TEMPLATE          0x80 /* a template or a job forked from it */
#define SPAWN_FROM_BROKER_TO_RELAY   0x100
#define SPAWN_FROM_RELAY             0x200 /* to its broker */
#define SPAWN_FROM_OTHER_HOST        0x400 /* its broker, through the engine */

/* Messages. X(number, NAME, from, most bytes of the body, most fds, "name").
 * The attributes of each stand in spawn_proto.c. */
#define SPAWN_MESSAGE_LIST(X)                                                  \
    X(1, HELLO, SPAWN_FROM_CALLER, 1024, 0, "hello")                           \
    X(2, SUBMIT, SPAWN_FROM_CALLER, SPAWN_SUBMIT_MAX, SPAWN_JOB_FDS_MAX,       \
      "submit")                                                                \
    X(3, POST, SPAWN_FROM_POST, SPAWN_INLINE_MAX, 0, "post")                   \
    X(4, WAIT, SPAWN_FROM_CALLER, 1024, 0, "wait")                             \
    X(5, GET, SPAWN_FROM_CALLER, 1024, 0, "get")                               \
    X(6, LIST, SPAWN_FROM_CALLER, SPAWN_LIST_BODY, 0, "list")                  \
    X(7, KILL, SPAWN_FROM_CALLER, 1024, 0, "kill")                             \
    X(8, TEMPLATES, SPAWN_FROM_CALLER, 1024, 0, "templates")                   \
    X(9, QUEUES, SPAWN_FROM_CALLER, 1024, 0, "queues")                         \
    X(12, REVIVE, SPAWN_FROM_CALLER, 1024, 0, "revive")                        \
    X(17, CRON, SPAWN_FROM_CALLER, 1024, 0, "cron")                            \
    X(20, WELCOME, SPAWN_FROM_BROKER, 1024, 0, "welcome")                      \
    X(21, ACCEPTED, SPAWN_FROM_BROKER, 1024, 0, "accepted")                    \
    X(22, JOB, SPAWN_FROM_BROKER, SPAWN_ANSWER_MAX, 0, "job")                  \
    X(23, REFUSED, SPAWN_FROM_BROKER | SPAWN_FROM_SPAWNER_TO_PARENT, 8192, 0,  \
      "refused")                                                               \
    X(24, END, SPAWN_FROM_BROKER, 1024, 0, "end")                              \
    X(25, DONE, SPAWN_FROM_BROKER, 1024, 0, "done")                            \
    X(26, PROCESS, SPAWN_FROM_BROKER, 8192, 0, "process")                      \
    X(27, QUEUE_STATE, SPAWN_FROM_BROKER, SPAWN_QUEUE_STATE_MAX, 0,            \
      "queue_state")                                                           \
    X(37, CRON_ENTRY, SPAWN_FROM_BROKER, 8192, 0, "cron_entry")                \
    X(40, BROKER_READY, SPAWN_FROM_BROKER_TO_SPAWNER, 8192, 0, "broker_ready") \
    X(41, LAUNCH, SPAWN_FROM_BROKER_TO_SPAWNER, SPAWN_SUBMIT_MAX,              \
      SPAWN_FDS_MAX, "launch")                                                 \
    X(42, SIGNAL, SPAWN_FROM_BROKER_TO_SPAWNER, 1024, 1, "signal")             \
    X(43, FORGET, SPAWN_FROM_BROKER_TO_SPAWNER, 8192, 0, "forget")             \
    X(44, HOLD, SPAWN_FROM_BROKER_TO_SPAWNER, 1024, SPAWN_JOB_FDS_MAX, "hold") \
    X(45, RELEASE, SPAWN_FROM_BROKER_TO_SPAWNER, 1024, 0, "release")           \
    X(46, BYE, SPAWN_FROM_BROKER_TO_SPAWNER, 1024, 0, "bye")                   \
    X(47, DISMISS, SPAWN_FROM_BROKER_TO_SPAWNER, 1024, 0, "dismiss")           \
    X(48, CALL, SPAWN_FROM_BROKER_TO_SPAWNER, SPAWN_SUBMIT_MAX, 0, "call")     \
    X(60, CONFIGURE, SPAWN_FROM_PARENT | SPAWN_FROM_SPAWNER,                   \
      SPAWN_REQUEST_MAX, SPAWN_FDS_MAX, "configure")                           \
    X(61, RUNNING, SPAWN_FROM_SPAWNER, 1024, 8, "running")                     \
    X(62, TABLE_END, SPAWN_FROM_SPAWNER, 1024, 0, "table_end")                 \
    X(63, STARTED, SPAWN_FROM_SPAWNER, 1024, 0, "started")                     \
    X(64, HELD, SPAWN_FROM_SPAWNER, 1024, SPAWN_JOB_FDS_MAX, "held")           \
    X(65, EXITED, SPAWN_FROM_SPAWNER, 1024, 0, "exited")                       \
    X(66, GO, SPAWN_FROM_PARENT | SPAWN_FROM_SPAWNER, 1024, 0, "go")           \
    X(67, LINGER, SPAWN_FROM_SPAWNER, 1024, 0, "linger")                       \
    X(68, QUIT, SPAWN_FROM_SPAWNER, 1024, 0, "quit")                           \
    X(69, TEMPLATE_SAID, SPAWN_FROM_SPAWNER, 8192, 0, "template_said")         \
    X(70, PRELOADED, SPAWN_FROM_TEMPLATE, 8192, 0, "preloaded")                \
    X(71, FORKED, SPAWN_FROM_TEMPLATE, 1024, 0, "forked")                      \
    X(72, SET_UP, SPAWN_FROM_TEMPLATE, 1024, 0, "set_up")                      \
    X(73, CHILD_EXITED, SPAWN_FROM_TEMPLATE, 1024, 0, "child_exited")          \
    X(74, ORPHANED, SPAWN_FROM_SPAWNER, 1024, 0, "orphaned")                   \
    X(75, RETURNED, SPAWN_FROM_TEMPLATE, 8192, 0, "returned")                  \
    X(80, CLEARED, SPAWN_FROM_PARENT, 1024, 0, "cleared")                      \
    X(81, ADOPT, SPAWN_FROM_PARENT, 1024, 0, "adopt")                          \
    X(82, TEMPLATE, SPAWN_FROM_PARENT, 1024, 2, "template")                    \
    X(83, LOADED, SPAWN_FROM_PARENT, 1024, 0, "loaded")                        \
    X(90, READY, SPAWN_FROM_SPAWNER_TO_PARENT, 8192, 0, "ready")               \
    X(91, NOT_READY, SPAWN_FROM_SPAWNER_TO_PARENT, 8192, 0, "not_ready")       \
    X(92, ADOPTED, SPAWN_FROM_SPAWNER_TO_PARENT, 8192, 16, "adopted")          \
    X(93, EMPTY, SPAWN_FROM_SPAWNER_TO_PARENT, 1024, 0, "empty")               \
    X(111, LAUNCHED, SPAWN_FROM_TEMPLATE, 1024, 0, "launched")                 \
    X(121, PLACES, SPAWN_FROM_PARENT | SPAWN_FROM_SPAWNER, 1024, 4, "places")  \
    X(131, TELL_PID, SPAWN_FROM_BROKER_TO_SPAWNER, 1024, 0, "tell_pid")        \
    X(141, ASK, SPAWN_FROM_PARENT | SPAWN_FROM_SPAWNER_TO_PARENT, 1024, 0,     \
      "ask")                                                                   \
    X(170, LEASE, SPAWN_FROM_BROKER, 1024, 1, "lease")                         \
    X(171, LEND, SPAWN_FROM_BROKER_TO_SPAWNER, 1024, 1, "lend")                \
    X(172, TAKE_BACK, SPAWN_FROM_BROKER_TO_SPAWNER, 1024, 0, "take_back")      \
    X(173, GIVEN_BACK, SPAWN_FROM_TEMPLATE, 1024, 0, "given_back")             \
    X(174, SLATE, SPAWN_FROM_TEMPLATE, 1024, 0, "slate")                       \
    X(175, NOT_TAKEN, SPAWN_FROM_BROKER, 1024, 0, "not_taken")                 \
    X(176, LEASE_LOST, SPAWN_FROM_CALLER, 1024, 0, "lease_lost")               \
    X(189, ALIVE,                                                              \
      SPAWN_FROM_SPAWNER | SPAWN_FROM_BROKER_TO_SPAWNER | SPAWN_FROM_PARENT    \
          | SPAWN_FROM_SPAWNER_TO_PARENT,                                      \
      1024, 0, "alive")                                                        \
    X(190, METERS, SPAWN_FROM_CALLER, 1024, 0, "meters")                       \
    X(191, METER, SPAWN_FROM_BROKER, 8192, 0, "meter")                         \
    X(196, WATCH, SPAWN_FROM_CALLER, 1024, 0, "watch")                         \
    X(205, START_NOW, SPAWN_FROM_CALLER, 1024, 0, "start_now")                 \
    X(206, RELAY, SPAWN_FROM_SPAWNER, 1024, 1, "relay")                        \
    X(207, RELAY_RULES, SPAWN_FROM_BROKER_TO_RELAY, SPAWN_REQUEST_MAX, 0,      \
      "relay_rules")                                                           \
    X(208, CARRY, SPAWN_FROM_BROKER_TO_RELAY, SPAWN_LOAD_MAX + 1024, 0,        \
      "carry")                                                                 \
    X(209, CARRIED, SPAWN_FROM_RELAY, 1024, 0, "carried")                      \
    X(210, ROOM, SPAWN_FROM_BROKER_TO_RELAY, 1024, 0, "room")                  \
    X(211, CAME, SPAWN_FROM_RELAY, SPAWN_LOAD_MAX + 1024, 0, "came")           \
    X(212, KEPT, SPAWN_FROM_BROKER_TO_RELAY, 1024, 0, "kept")                  \
    X(213, RELAY_STATE, SPAWN_FROM_RELAY, 8192, 0, "relay_state")              \
    X(214, SHARED_JOB, SPAWN_FROM_OTHER_HOST, SPAWN_SUBMIT_MAX, 0,             \
      "shared_job")                                                            \
    X(215, SHARED_NEWS, SPAWN_FROM_OTHER_HOST, SPAWN_NEWS_MAX, 0, "shared_news")

#define SPAWN_X_MESSAGE(n, NAME, from, max, fds, name) SPAWN_M_##NAME = n,
typedef enum {
    SPAWN_MESSAGE_LIST(SPAWN_X_MESSAGE) SPAWN_M_COUNT = 216
} spawn_message_id;

/** For spawn_body_parse: the bodies of nests. */
#define SPAWN_BODY_QUEUE_RULES    1000
#define SPAWN_BODY_TEMPLATE_RULES 1001
#define SPAWN_BODY_VHOST_LOG      1002
#define SPAWN_BODY_ATTEMPT        1003
#define SPAWN_BODY_CRON_RULES     1010
#define SPAWN_BODY_QUEUE_DEFAULTS 1011
#define SPAWN_BODY_QUEUE_ALLOW    1012
#define SPAWN_BODY_ACCOUNT        1013
#define SPAWN_BODY_ACCESS         1014

/** RIGHTS: what an account may over the callers' socket, bits. */
#define SPAWN_MAY_SUBMIT  1
#define SPAWN_MAY_SEE     2
#define SPAWN_MAY_KILL    4
#define SPAWN_MAY_CONTROL 8
#define SPAWN_MAY_ALL     15

/** STATES: a bit 1 << state for each, and one for jobs that are dead: they
 * ended badly, and their retries are used up, or are not for such an end. */
#define SPAWN_STATES_DEAD 64

/** ENDED_AS: a bit 1 << outcome for each, and one for all that failed: they
 * ended neither with exit code 0 nor because somebody cancelled them. */
#define SPAWN_ENDED_FAILED (UINT64_C(1) << 32)

/* A caller's sequence number: a count, and in the twelve bits above it the CPU
 * that the caller runs on, from 1 on; 0: not told. */
#define SPAWN_SEQ_COUNTS 0xfffffu

static inline uint32_t spawn_seq(uint32_t count, unsigned cpu)
{
    return cpu << 20 | count;
}

static inline unsigned spawn_seq_cpu(uint32_t seq)
{
    return seq >> 20;
}

/** KILL_LEFT: what becomes of the rest of a job's group when the job ends.
 * WAIT: the end is told when none is left, or all got KILL. */
#define SPAWN_LEFT_ALONE 0
#define SPAWN_LEFT_KILL  1
#define SPAWN_LEFT_WAIT  2

/** TEMPLATE_KIND. */
#define SPAWN_TEMPLATE_EXEC   1
#define SPAWN_TEMPLATE_PARENT 2

/* The ways to treat the memory of a template that is ready. */
#define SPAWN_MEMORY_SHARED 1 /* as it is, copy-on-write */
#define SPAWN_MEMORY_HUGE   2 /* the same in huge pages */
#define SPAWN_MEMORY_FROZEN 3 /* in a file in memory, copy-on-write */

/** TEMPLATE_SPARES: most clones that a template keeps ready. */
#define SPAWN_SPARES_DEFAULT 4
#define SPAWN_SPARES_MAX     16

/** CRON_DO: what a caller asks for. */
#define SPAWN_CRON_LIST   0
#define SPAWN_CRON_RUN    1
#define SPAWN_CRON_PAUSE  2
#define SPAWN_CRON_RESUME 3

/** QUEUE_DO: what a caller asks for. SCALE: with MAX_JOBS; without, undone. */
#define SPAWN_QUEUE_LIST    0
#define SPAWN_QUEUE_PAUSE   1
#define SPAWN_QUEUE_RESUME  2
#define SPAWN_QUEUE_DRAIN   3
#define SPAWN_QUEUE_SCALE   4
#define SPAWN_QUEUE_UNPAUSE 5 /* RESUME undoes both */
#define SPAWN_QUEUE_UNDRAIN 6

/** QUEUE_MODE: bits. */
#define SPAWN_QUEUE_OPEN     0
#define SPAWN_QUEUE_PAUSED   1 /* starts no jobs */
#define SPAWN_QUEUE_DRAINING 2 /* takes no jobs */
#define SPAWN_QUEUE_BOTH     (SPAWN_QUEUE_PAUSED | SPAWN_QUEUE_DRAINING)

/** COUNTS: jobs of a queue. */
enum {
    SPAWN_COUNT_SUBMITTED, /* the store has them */
    SPAWN_COUNT_FAILED,    /* ended neither well nor as somebody wanted */
    SPAWN_COUNT_RETRIED,   /* attempts that were followed by another one */
    SPAWN_COUNT_REVIVED,
    SPAWN_COUNT_DEAD,
    SPAWN_COUNTS
};

/** PAIR: broker and spawner. Times are in ms of Unix time; 0: not known. */
enum {
    SPAWN_PAIR_BROKER_PID,
    SPAWN_PAIR_BROKER_MEMORY, /* bytes that are resident */
    SPAWN_PAIR_BROKER_SINCE,
    SPAWN_PAIR_BROKERS, /* that have begun since SINCE */
    SPAWN_PAIR_SPAWNER_PID,
    SPAWN_PAIR_SPAWNER_MEMORY,
    SPAWN_PAIR_SPAWNER_SINCE,
    SPAWN_PAIR_SPAWNERS,
    SPAWN_PAIR_SINCE, /* since then all is counted */
    SPAWN_PAIR_NUMBERS
};

/** CRON_CATCH_UP: what becomes of runs that were missed. */
#define SPAWN_CATCH_UP_NONE 0
#define SPAWN_CATCH_UP_ONE  1
#define SPAWN_CATCH_UP_ALL  2

/** WANT: the context in which a Perl function is called. */
#define SPAWN_WANT_VOID    0
#define SPAWN_WANT_SCALAR  1
#define SPAWN_WANT_LIST    2
#define SPAWN_WANT_OBJECTS 4 /* added: arguments and result may be objects */
#define SPAWN_WANT_EARLY   8 /* added: `finished` is when it has returned */

/** RESULT_KIND: what the RESULT of a Perl job is. */
#define SPAWN_RESULT_NONE     0 /* the process ended without one */
#define SPAWN_RESULT_RETURNED 1 /* Sereal: an array of what was returned */
#define SPAWN_RESULT_DIED     2 /* Sereal: a hash with text, class and data */

/** Roles of the descriptors of CONFIGURE and ADOPTED, in FD_ROLES. */
typedef enum {
    SPAWN_FD_LISTEN = 1,  /* callers' socket, listening */
    SPAWN_FD_POST_RX = 2, /* receiving end of the post socket */
    SPAWN_FD_POST_TX = 3, /* its sending end, for an httpd that adopts */
    SPAWN_FD_INBOX = 4,   /* memfd of the inbox */
    SPAWN_FD_LOG = 5,     /* error log, becomes stderr */
    SPAWN_FD_LOCK = 6,    /* flock on the store, held for life */
    SPAWN_FD_CONTROL = 7, /* listening socket for httpd parents */
    SPAWN_FD_PARENT = 8,  /* pidfd of the httpd parent */
    SPAWN_FD_BROKER_BIN = 9,
    SPAWN_FD_SPAWNER_BIN = 10,
    SPAWN_FD_KEPT = 11, /* file for lines that the log does not take */
    SPAWN_FD_RELAY_BIN = 12,
    SPAWN_FD_ROLES = 13,    /* one more than the last single one */
    SPAWN_FD_VHOST_LOG = 32 /* error logs of virtual hosts, in their order */
} spawn_fd_role;

/** Further logs of virtual hosts are not told apart. */
#define SPAWN_VHOST_LOGS_MAX 16

/** Roles in KEEP (pairs: descriptor index, role): descriptors that the broker
 * reads from and the spawner keeps. */
typedef enum {
    SPAWN_KEEP_OUT_PIPE = 1,
    SPAWN_KEEP_OUT_FILE = 2,
    SPAWN_KEEP_ERR_PIPE = 3,
    SPAWN_KEEP_ERR_FILE = 4,
    SPAWN_KEEP_BOARD = 5,  /* memfd of a Perl job, spawn_board.h */
    SPAWN_KEEP_WORKER = 6, /* the broker's end of a worker's link */
    SPAWN_KEEP_TICKET = 7, /* memfd: which call the worker was given last */
    SPAWN_KEEP_BELL = 8    /* eventfd: its function has returned; not kept */
} spawn_keep_role;
#define SPAWN_KEEP_MAX 7

/** How many bytes are kept of the beginning and of the end of an output that
 * its caller has. CUT says how many are left out between them, for stdout,
 * stderr, and the result (which is kept whole or not at all). */
#define SPAWN_KEPT_HEAD 4096
#define SPAWN_KEPT_TAIL 4096
#define SPAWN_CUT_COUNT 3

/** OUT_LOST and ERR_LOST: all of it is, and nobody can tell how much. */
#define SPAWN_LOST_ALL UINT64_MAX

/** Order of the numbers in RUSAGE: microseconds, kB, counts. The first ones are
 * of a process and of those that it has waited for. Behind them an exit, and
 * the record of a job, may have those of all processes of the job, by its
 * cgroup. */
typedef enum {
    SPAWN_RU_UTIME_US,
    SPAWN_RU_STIME_US,
    SPAWN_RU_MAXRSS_KB,
    SPAWN_RU_MINFLT,
    SPAWN_RU_MAJFLT,
    SPAWN_RU_INBLOCK,
    SPAWN_RU_OUBLOCK,
    SPAWN_RU_NVCSW,
    SPAWN_RU_NIVCSW,
    SPAWN_RU_COUNT,
    SPAWN_RU_TREE_UTIME_US = SPAWN_RU_COUNT,
    SPAWN_RU_TREE_STIME_US,
    SPAWN_RU_TREE_MEMORY_KB, /* the most at one time */
    SPAWN_RU_OOM_KILLS, /* so many the kernel has killed for want of memory */
    SPAWN_RU_ALL
} spawn_rusage_index;

#define SPAWN_RU_TREE_COUNT (SPAWN_RU_ALL - SPAWN_RU_COUNT)
/** In the place of one of a cgroup: the kernel does not tell it. */
#define SPAWN_RU_UNKNOWN UINT64_MAX

/** A message taken apart: attribute n in attr[n], attr[n].id == 0 when it is
 * not there. All point into the message. */
typedef struct {
    spawn_wire_header header;
    spawn_attr attr[SPAWN_A_COUNT];
} spawn_message;

const char *spawn_attr_name(unsigned id);
const char *spawn_message_name(unsigned type);

/**
 * Parse and check a whole message against the tables: sender, size, number of
 * descriptors, each attribute known, allowed here, of its kind, not too long,
 * not twice (QUEUE_RULES, QUEUE_DEFAULTS, QUEUE_ALLOW, ACCESS, TEMPLATE_RULES,
 * CRON_RULES and VHOST_LOG may repeat; the first is in attr[]), and none of the
 * required ones missing. Attributes that are not known or allowed are passed
 * over in answers, in what templates and their jobs tell, and in a CONFIGURE of
 * another release. Any process; allocates nothing.
 *
 * @param data the whole message, header and body in one piece.
 * @param from one SPAWN_FROM_ bit: the sender.
 * @param fds how many descriptors came with it.
 * @param why filled on failure (code PROTOCOL, VERSION, TOO_BIG or INVALID and
 * a text that names the attribute); may be NULL.
 * @return 0, -EBADMSG, -EPROTONOSUPPORT or -EMSGSIZE. With anything but
 * -EBADMSG for a broken header, ret->header is filled.
 */
int spawn_message_parse(const void *data, size_t length, unsigned from,
                        unsigned fds, spawn_message *ret, spawn_failure *why);

/**
 * Parse the attributes of a stored order or of a nest (QUEUE_RULES): like the
 * body of a message of this type (or a SPAWN_BODY_ number). fds is how many
 * descriptors its indices may name. In nests of CONFIGURE, attributes that are
 * not known or allowed are passed over (spawn_nest_unknown).
 */
int spawn_body_parse(const void *body, size_t length, unsigned type,
                     unsigned fds, spawn_message *ret, spawn_failure *why);

/**
 * A nest of CONFIGURE may come from a newer httpd module, and say more than
 * this release knows: spawn_body_parse passes over that.
 * @return the number of the first such attribute; 0: all are known, or it is no
 * such nest.
 */
unsigned spawn_nest_unknown(const spawn_attr *nest);

/** Is the attribute there, and its value or a default. */
static inline bool spawn_has(const spawn_message *m, unsigned id)
{
    return m->attr[id].id != 0;
}
uint64_t spawn_u64_or(const spawn_message *m, unsigned id, uint64_t other);
const char *spawn_str_or(const spawn_message *m, unsigned id,
                         const char *other);

/** Most bytes of a message of this type, header included; 0 unknown type. */
size_t spawn_message_max(unsigned type);

#endif
