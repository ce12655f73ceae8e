/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file config.h
 * @brief The configuration as structures, and the parsers of values that
 * directives share.
 *
 * Filled in the httpd parent while the configuration is read; read-only
 * afterwards. All of it lives in pconf.
 */
#ifndef SPAWN_CONFIG_H
#define SPAWN_CONFIG_H

#include "module/account.h"
#include "module/module.h"
#include "module/queue_choice.h"

/** A number that no directive has set. */
#define SPAWN_UNSET (-1)

#define SPAWN_DEFAULT_MAX_JOBS          100
#define SPAWN_DEFAULT_MAX_QUEUED        1000
#define SPAWN_DEFAULT_SUBMIT_TIMEOUT_MS 2000
#define SPAWN_DEFAULT_HISTORY_JOBS      10000
#define SPAWN_DEFAULT_HISTORY_SIZE      (64 << 20)
#define SPAWN_DEFAULT_WORKER_JOBS       10000
#define SPAWN_DEFAULT_WORKER_IDLE_MS    60000
#define SPAWN_DEFAULT_SOCKET            "spawn/socket"
#define SPAWN_DEFAULT_SOCKET_MODE       0660
#define SPAWN_ANY_SOCKET_MODE           0666 /* with mpm_itk */
#define SPAWN_DEFAULT_STORE             "spawn/store"
#define SPAWN_DEFAULT_EXTERNAL          "/run/mod_spawn/control"

/** A bounding set that is left as it is. */
#define SPAWN_CAPABILITIES_ALL (~(apr_uint64_t)0)

/* Templates that may be configured; "app", which is there by itself, comes on
 * top. The spawner has room for two generations. */
#define SPAWN_TEMPLATES_MAX 30

/** Most bytes of a Unix socket's path. */
#define SPAWN_SOCKET_PATH_MAX 107
/** Most bytes of the store's path: file names are added to it. */
#define SPAWN_STORE_PATH_MAX 4000

typedef enum {
    SPAWN_STOP_LINGER = 0,
    SPAWN_STOP_KILL = 1
} spawn_on_stop;

/** On, off, or left to what stands further out. */
typedef enum {
    SPAWN_SWITCH_UNSET = 0,
    SPAWN_SWITCH_OFF,
    SPAWN_SWITCH_ON
} spawn_switch;

/** The values that a queue gives to jobs that bring none: job_rules.c */
typedef struct {
    apr_int64_t grace_ms, nice, ionice, leftovers; /* or SPAWN_UNSET */
    const char *directory;                         /* NULL: not set */
    const char *output;         /* "log", "null" or a path; NULL: not set */
    apr_array_header_t *env;    /* NULL: none */
    apr_array_header_t *limits; /* NULL: none */
} spawn_job_rules;

/** The rules of one queue, or the values for queues that have none of their
 * own. */
typedef struct {
    const char *name;
    const char *where;    /* "line N of FILE" of its section, or NULL */
    apr_int64_t max_jobs; /* or SPAWN_UNSET */
    apr_int64_t max_queued;
    apr_int64_t max_delayed;
    apr_int64_t timeout_ms; /* 0: none */
    const char *template;   /* of its Perl jobs; NULL: the default one */
    const char *template_where;
    apr_int64_t workers_min, workers_max; /* max SPAWN_UNSET: none */
    apr_int64_t worker_jobs;              /* 0: no limit; or SPAWN_UNSET */
    apr_int64_t worker_memory;            /* bytes; 0: no limit */
    apr_int64_t worker_idle_ms;
    const char *workers_where;  /* of the first SpawnWorker* without workers */
    apr_int64_t history_jobs;   /* SPAWN_UNSET: no limit of its own */
    apr_int64_t history_age_ms; /* 0: no limit */
    const char *user, *user_where; /* SpawnUser as written; NULL: not set */
    const char *group, *group_where;
    const spawn_account *account; /* of its jobs; NULL: httpd's User */
    apr_array_header_t *allow;    /* patterns of SpawnAllow; NULL: not set */
    apr_array_header_t *access;   /* of SpawnAccess: access.c; NULL: not set */
    spawn_job_rules job;
    spawn_switch shared; /* SpawnShared */
    const char *shared_where;
} spawn_queue_rules;

/** A template, as a SpawnTemplate defines it. */
typedef struct {
    const char *name;
    const char *where;            /* NULL: there by itself */
    bool parent;                  /* forked from httpd; else executed */
    const char *perl;             /* the program, absolute */
    const char *require;          /* a file, absolute, or NULL */
    apr_array_header_t *preload;  /* of const char *: modules */
    apr_array_header_t *include;  /* of const char *: directories, absolute */
    apr_int64_t max_jobs;         /* 0: no limit */
    apr_int64_t max_age_ms;       /* 0: no limit */
    unsigned memory;              /* SPAWN_MEMORY_; 0: not set */
    unsigned spares;              /* most clones that are kept ready */
    const spawn_account *account; /* NULL: httpd's User */
    const char *account_of;       /* the queue that has given it; NULL: none */
} spawn_template_rules;

typedef struct {
    /* as written; only the main server has more than submit_timeout_ms */
    const char *socket_arg, *socket_where;
    const char *store_arg, *store_where;
    apr_int64_t socket_mode, socket_gid;
    apr_int64_t submit_timeout_ms;
    apr_int64_t history_jobs, history_age_ms; /* age 0: no limit */
    apr_int64_t history_size;
    int on_stop;
    const char *external; /* control socket of a spawner that httpd does not
                             start; NULL: httpd starts its own */
    apr_uint64_t bounding_set;   /* SPAWN_CAPABILITIES_ALL, or what is kept */
    const char *bounding_where;  /* NULL: not given */
    const spawn_account *broker; /* SpawnBrokerUser; NULL: httpd's User */
    const char *broker_where;    /* NULL: not given */
    int access_count;            /* of SpawnAccess, without "none" */
    apr_int64_t access_only;     /* the account that all of these name;
                                  * SPAWN_UNSET: several, or a group */
    const char *relay_url;       /* of SpawnRelay; NULL: there is none */
    const char *relay_file;      /* that has it; NULL: it is given */
    const char *relay_where;
    const char *relay_name;         /* of SpawnRelayName; NULL: the host's */
    const char *cgroup;             /* "auto", "" for none, or a path */
    const char *cgroup_where;       /* NULL: not given */
    unsigned memory;                /* of templates that say nothing of it */
    spawn_queue_rules given;        /* outside of any <SpawnQueue> */
    apr_array_header_t *queues;     /* of spawn_queue_rules *, as written */
    apr_array_header_t *templates;  /* of spawn_template_rules * */
    apr_array_header_t *crons;      /* recurring jobs: cron.c */
    apr_array_header_t *queue_uses; /* of all servers: queue_access.c */

    /* filled by spawn_config_complete: every value set */
    const char *socket_path, *store_path;
    apr_array_header_t *rules; /* of spawn_queue_rules, `default` first */
} spawn_server_config;

void *spawn_dir_config_create(apr_pool_t *p, char *dir);
void *spawn_dir_config_merge(apr_pool_t *p, void *base, void *over);
void *spawn_server_config_create(apr_pool_t *p, server_rec *s);
void *spawn_server_config_merge(apr_pool_t *p, void *base, void *over);

spawn_server_config *spawn_config_of(server_rec *s);

/** The account of broker, store and socket's directory: SpawnBrokerUser's, or
 * the one of httpd's children. */
const spawn_account *spawn_config_owner(const spawn_server_config *conf,
                                        const spawn_account *account);

/** SpawnSubmitTimeout of a virtual host. */
uint32_t spawn_config_submit_timeout_ms(server_rec *s);

/* ---- what a directive stands in ---- */

/** "line N of FILE" of a directive. */
const char *spawn_where(apr_pool_t *p, const ap_directive_t *d);

/** The SpawnCleanupHandlers of a directory: NULL when it has set none. */
apr_array_header_t **spawn_cleanup_handlers_of(void *dir_config);

/** SpawnDefaultQueue and SpawnQueueAccess of a directory. */
spawn_dir_queues *spawn_dir_queues_of(void *dir_config);

/** SpawnJobWait of a directory: job_wait.h. */
typedef struct {
    bool is_set;
    apr_int64_t longest_ms; /* 0: requests do not wait */
    unsigned most;          /* 0: a share of what httpd can serve */
} spawn_job_waits;
spawn_job_waits *spawn_job_waits_in(void *dir_config);

/** SpawnStatusControl of a directory. */
spawn_switch *spawn_status_control_of(void *dir_config);

/** The queue of the <SpawnQueue> that a directive stands in, or NULL. */
spawn_queue_rules *spawn_queue_of_section(void *dir_config);

/** The configuration of a <SpawnQueue>: what spawn_queue_of_section reads. */
void *spawn_section_config_create(apr_pool_t *p, spawn_queue_rules *queue);

/** A queue's rules with nothing set. */
void spawn_queue_rules_clear(spawn_queue_rules *rules, const char *name);

/**
 * Values. what: what stands before the text of a fault.
 * @return NULL, or what is wrong with the value.
 */
const char *spawn_parse_number(apr_pool_t *p, const char *what, const char *arg,
                               apr_int64_t min, apr_int64_t max,
                               apr_int64_t *ret);
/** A limit: from 1 to max; 0 for 'none' and '0'. */
const char *spawn_parse_most(apr_pool_t *p, const char *what, const char *arg,
                             apr_int64_t max, apr_int64_t *ret);
/** @param max_text max, for people; more: other words that are taken. */
const char *spawn_parse_time(apr_pool_t *p, const char *what, const char *arg,
                             apr_int64_t max, const char *max_text,
                             const char *more, apr_int64_t *ret_ms);
/** A limit: the same; 0 for 'none' and '0'. */
const char *spawn_parse_longest(apr_pool_t *p, const char *what,
                                const char *arg, apr_int64_t max,
                                const char *max_text, apr_int64_t *ret_ms);

/**
 * The words of a directive that takes several, as RAW_ARGS: httpd itself leaves
 * out an empty one ("") and what follows it without a word.
 * @param ret of const char *, none of them empty.
 * @return NULL, or what is wrong.
 */
const char *spawn_words(cmd_parms *cmd, const char *args, int least, int most,
                        apr_array_header_t **ret);

#endif
