/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file ctl.h
 * @brief Declarations that the files of spawnctl share.
 *
 * Runs in spawnctl: one thread, one verb, then exit. Functions that end a verb
 * return its exit code; nothing here may call exit.
 */
#ifndef SPAWN_CTL_H
#define SPAWN_CTL_H

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <termios.h>

#include "client/spawn_client.h"
#include "client/spawn_words.h"

/* Debian's httpd: DefaultRuntimeDir is /var/run/apache2. */
#ifndef SPAWNCTL_SOCKET
#define SPAWNCTL_SOCKET "/var/run/apache2/spawn/socket"
#endif

/* Exit codes of our own; ctl/spawnctl.1 explains them. */
#define CTL_OK        0
#define CTL_NO        1 /* ps, show, kill: answered, and the answer is no */
#define CTL_TIMED_OUT 124
#define CTL_TROUBLE   125
#define CTL_CANNOT    126
#define CTL_NOT_FOUND 127

typedef struct {
    const char *verb; /* for messages; NULL before it is known */
    const char *help;
    const char *socket;
    uint32_t timeout_ms; /* for one answer of the broker */
    bool json;
    spawn_client *client;
} spawn_ctl;

/* ---- command.c ---- */

enum {
    CTL_JSON = 256
}; /* no letter */

/** Options that every verb takes, for its own tables. */
#define CTL_LONG_OPTIONS                                                       \
    {"socket", required_argument, NULL, 's'},                                  \
        {"json", no_argument, NULL, CTL_JSON},                                 \
        {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, \
    {                                                                          \
        NULL, 0, NULL, 0                                                       \
    }
#define CTL_SHORT_OPTIONS "+:s:hV"

/** The next option, as getopt_long has it. An option that getopt does not know
 * is reported here, and '?': getopt's own words would have the typed text as it
 * is. */
int ctl_getopt(const spawn_ctl *ctl, int argc, char **argv, const char *letters,
               const struct option *options);

/**
 * An option that is not the verb's own.
 * @return -1 to go on, else the exit code to end with.
 */
int ctl_option(spawn_ctl *ctl, int option);

/** Set the time for one answer from text. -1 to go on, else an exit code. */
int ctl_option_timeout(spawn_ctl *ctl, const char *text);

/** Start the pair of this directory, unless it is there, and talk to it. -1 to
 * go on, else an exit code. standalone.c */
int ctl_standalone(spawn_ctl *ctl, const char *dir);

/** Report a wrong use. @return CTL_TROUBLE. */
int ctl_usage(const spawn_ctl *ctl, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** Report a failure, with a hint what to do. @return CTL_TROUBLE. */
int ctl_fail(const spawn_failure *why);

/** Make the client. @return 0, or an exit code. */
int ctl_connect(spawn_ctl *ctl);

/* ---- the verbs: a file each ---- */

int ctl_run(spawn_ctl *ctl, int argc, char **argv);
int ctl_ps(spawn_ctl *ctl, int argc, char **argv);
int ctl_show(spawn_ctl *ctl, int argc, char **argv);
int ctl_wait(spawn_ctl *ctl, int argc, char **argv);
int ctl_logs(spawn_ctl *ctl, int argc, char **argv);
int ctl_kill(spawn_ctl *ctl, int argc, char **argv);
int ctl_retry(spawn_ctl *ctl, int argc, char **argv);
int ctl_start(spawn_ctl *ctl, int argc, char **argv);
int ctl_templates(spawn_ctl *ctl, int argc, char **argv);
int ctl_cron(spawn_ctl *ctl, int argc, char **argv);
int ctl_queues(spawn_ctl *ctl, int argc, char **argv);
int ctl_pause(spawn_ctl *ctl, int argc, char **argv);
int ctl_resume(spawn_ctl *ctl, int argc, char **argv);
int ctl_drain(spawn_ctl *ctl, int argc, char **argv);
int ctl_scale(spawn_ctl *ctl, int argc, char **argv);
int ctl_metrics(spawn_ctl *ctl, int argc, char **argv);
int ctl_top(spawn_ctl *ctl, int argc, char **argv);
int ctl_check_code(spawn_ctl *ctl, int argc, char **argv);

extern const char ctl_run_help[], ctl_ps_help[], ctl_show_help[],
    ctl_wait_help[], ctl_logs_help[], ctl_kill_help[], ctl_retry_help[],
    ctl_start_help[], ctl_templates_help[], ctl_cron_help[], ctl_queues_help[],
    ctl_pause_help[], ctl_resume_help[], ctl_drain_help[], ctl_scale_help[],
    ctl_metrics_help[], ctl_top_help[], ctl_check_code_help[];

/* ---- one_job.c ---- */

/** Ask this of a job. no: the code of a refusal that is no trouble. @return an
 * exit code. */
int ctl_ask_of(spawn_ctl *ctl, uint16_t type, const spawn_id *id,
               spawn_error no);
/** The same of each id from optind on. */
int ctl_ask_of_each(spawn_ctl *ctl, uint16_t type, int argc, char **argv,
                    spawn_error no);

/* ---- queues.c ---- */

/** A QUEUE_STATE as JSON. */
json_t *ctl_json_queue(const spawn_message *m);

/* ---- queue_change.c ---- */

/** Change one queue; max_jobs: of scale, NULL to undo that. @return an exit
 * code. */
int ctl_queue_change(spawn_ctl *ctl, const char *name, uint64_t what,
                     const uint64_t *max_jobs);
/** A verb that changes the queues that are named; undo: what its --undo asks
 * for, SPAWN_QUEUE_LIST: it has none. @return its exit code. */
int ctl_queues_change(spawn_ctl *ctl, int argc, char **argv, uint64_t what,
                      uint64_t undo);
/** Options of these verbs: --undo first. */
extern const struct option ctl_queue_options[];

/* ---- terminal.c: a terminal for a job (--tty) ---- */

typedef struct {
    int ours, its;         /* the two ends of the job's terminal, or -1 */
    int guarded;           /* its end is ours, for the guard; or -1 */
    pid_t guard;           /* puts our terminal back when we cannot */
    bool raw;              /* our terminal is, and we have made it so */
    struct termios before; /* how our terminal was */
} ctl_terminal;

#define CTL_NO_TERMINAL                                                        \
    {                                                                          \
        .ours = -1, .its = -1, .guarded = -1                                   \
    }

/** Make a pty that is as our stdin is. -1 to go on, else an exit code; in any
 * case to be closed. */
int ctl_terminal_open(const spawn_ctl *ctl, ctl_terminal *t);
/** Is spawnctl in the foreground of our terminal? Else that is another's. */
bool ctl_terminal_in_front(void);
/** Our terminal becomes raw, until close. Signals that stop or end us have to
 * be blocked. -1 to go on, else an exit code. */
int ctl_terminal_begin(const spawn_ctl *ctl, ctl_terminal *t);
/** Raw (again), or left alone as long as we are in the background. */
void ctl_terminal_raw(ctl_terminal *t);
void ctl_terminal_restore(ctl_terminal *t);
/** The job's terminal becomes as large as ours. */
void ctl_terminal_resize(const ctl_terminal *t);
/** The job's end is the job's alone. */
void ctl_terminal_hand_over(ctl_terminal *t);
void ctl_terminal_close(ctl_terminal *t);

/* ---- options.c: what run can say about a job ---- */

typedef struct {
    spawn_writer message; /* a finished SUBMIT */
    spawn_id id;
    spawn_reply reply;
    int fds[SPAWN_JOB_FDS_MAX]; /* our own descriptors, not to be closed */
    unsigned fds_count;
    bool forward;          /* --forward-signals */
    ctl_terminal terminal; /* --tty */
} ctl_job;

/**
 * Read run's options and program into a message.
 * @return -1 with *ret to be freed by spawn_writer_free, else the exit code to
 * end with. In any case ret->terminal is to be closed.
 */
int ctl_job_options(spawn_ctl *ctl, int argc, char **argv, ctl_job *ret);

/** Report a refusal that begins with the name of a field as one of the option.
 * Changes the text. @return CTL_TROUBLE, or -1: it is about no option. */
int ctl_refused_option(const spawn_ctl *ctl, spawn_failure *why);

/* ---- beside.c: signals and the terminal, while run waits ---- */

struct ctl_beside;

/** From here on signals go to the job, and bytes between the terminals, as the
 * job says. -1 to go on, else an exit code. */
int ctl_beside_begin(spawn_ctl *ctl, ctl_job *job, struct ctl_beside **ret);
/** The job has ended, or there is none: what its terminal still has is printed,
 * and ours is as it was. */
void ctl_beside_end(struct ctl_beside *b);

/* ---- kill.c ---- */

/** KILL. @return 0, or -1 with why filled. */
int ctl_signal_job(spawn_ctl *ctl, const spawn_id *id, int signo,
                   spawn_failure *why);

/* ---- lookup.c ---- */

/**
 * The id that text means: a whole one, or at least 8 characters of the
 * beginning or the end of an id that the broker knows.
 * @return 0, or an exit code.
 */
int ctl_lookup(spawn_ctl *ctl, const char *text, spawn_id *ret);

/** GET. @return 0 with *ret to be freed, or an exit code. */
int ctl_get(spawn_ctl *ctl, const spawn_id *id, bool with_output,
            spawn_answer *ret);
/** The same without a word. @return 0, or -1 with why filled. */
int ctl_get_quietly(spawn_ctl *ctl, const spawn_id *id, bool with_output,
                    spawn_answer *ret, spawn_failure *why);

/* ---- outcome.c ---- */

/** The exit code of run and wait for a job that has ended. */
int ctl_exit_code(const spawn_message *job);

/* ---- ended.c ---- */

/**
 * Report how a job ended, for run and wait: its output (or all as JSON) on
 * stdout and stderr, and anything but a plain exit on stderr.
 * @param own our own command has submitted it: its output comes as it is, to a
 * terminal too.
 * @return the exit code.
 */
int ctl_tell_end(const spawn_ctl *ctl, const spawn_message *job, bool own);

/** The same without the output: what is lost of it, and anything but a plain
 * exit. @return the exit code. */
int ctl_tell_trouble(const spawn_message *job);

/* ---- print.c ---- */

/** Print text, cut to width columns (0: not cut). Control characters become
 * '?'. */
void ctl_print_text(FILE *to, const char *text, unsigned width);

/** Print what a job has printed: as it is, but to a terminal with '?' for
 * control characters other than newline and tab. */
void ctl_print_output(FILE *to, const void *data, size_t length);

/** The line for people who interrupt us: we end, and the job does not. */
void ctl_goes_on_text(const spawn_id *id, char *text, size_t room);

/** Columns of the terminal at stdout, 0 when it is none. */
unsigned ctl_terminal_width(void);

/* ---- table.c ---- */

#define TABLE_COLUMNS_MAX 16

typedef struct {
    const char *title;
    bool right; /* numbers: at the right of the column */
} ctl_column;

typedef struct {
    const ctl_column *columns;
    unsigned count; /* at most TABLE_COLUMNS_MAX */
    char **cells;   /* heap each; NULL: there was no memory for it */
    size_t rows, room;
} ctl_table;

/** A new row: its cells, to be filled with malloc'd texts, and behind them one
 * for a note below it. NULL: no memory. */
char **ctl_table_row(ctl_table *table);
void ctl_table_print(const ctl_table *table);
void ctl_table_free(ctl_table *table);

/* ---- json.c ---- */

/** Everything that a JOB message says. */
json_t *ctl_json_job(const spawn_message *job);

/** Text of any bytes: what is not UTF-8 becomes U+FFFD. */
json_t *ctl_json_string(const char *text);

/** A time as text and, as name_ms, as a number. */
void ctl_json_time(json_t *o, const char *name, uint64_t ms);

/** Print on one line of stdout, and let go. */
void ctl_json_print(json_t *value);

/* ---- rules.c ---- */

/** The job's priority, unique key, and jobs that it comes after: for show; for
 * --json, but for the key; for ps, behind its state. */
void ctl_rules_print(const spawn_message *m,
                     void (*line)(const char *name, const char *text));
void ctl_rules_json(json_t *o, const spawn_message *m);
void ctl_rules_brief(const spawn_message *m, char *text, size_t room);

/* ---- spares.c ---- */

/** How many spares this process of the template has; -1: it is not shown. */
int ctl_spares(uint64_t template, const char *name);

#endif
