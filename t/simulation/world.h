/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated world plays clock, disk, spawner and callers around a broker,
 * which is its own objects, called in the same process (body.c). It does a turn
 * when the world wants one, so the world decides what comes in which order, and
 * all that it decides comes from a seed. The same seed is the same story.
 *
 * The world around the broker is simulated. The sockets are real, as are
 * SQLite, the inbox and the spool.
 */
#ifndef SIMULATION_WORLD_H
#define SIMULATION_WORLD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/spawn_id.h"
#include "common/spawn_packet.h"
#include "common/spawn_proto.h"

#define JOBS_MAX      256 /* of callers JOBS_SENT at most, the others are runs */
#define JOBS_SENT     112
#define CALLERS_MAX   4
#define ASKED_MAX     24
#define QUEUES        2
#define FOREVER       INT64_MAX
#define AFTER_MAX     3
#define DATA_MAX      500000 /* bytes */
#define DATA_OF_POST  50000
#define DIED_AT_POINT 77 /* exit code of a broker that was killed */
#define WHOLE         (SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX)

/* ---- what world and broker look at ---- */

typedef enum {
    STORE_GOOD,
    STORE_BROKEN, /* no write succeeds */
    STORE_FULL    /* no file grows by more than there is room */
} store_health;

typedef struct {
    int64_t mono_ms, wall_ms;
    int64_t wall_most;  /* that the time of day ever was */
    int64_t ahead_most; /* of mono_ms, since the power failed first */
    unsigned boot;      /* times that the machine was started anew, */
    int64_t boot_began; /* and when it was the last time */
    int64_t next;       /* when the broker wants a turn, FOREVER: never */
    uint64_t ids;       /* the seed of its ids */
    uint64_t order;     /* the seed of the order of ready descriptors */
    uint64_t points;    /* that this life has passed, where it can be killed */
    uint64_t die_at;    /* the one where it is; 0: none */
    uint64_t fail_in;   /* writes of the store until one fails; 0: none */
    store_health store;
    int64_t room;      /* bytes, of a full one */
    int64_t failed_ms; /* when it took something not, the last time; 0: never */
} board_of_world;

extern board_of_world *board;

/* The broker's side: counts a point, and is the end of this life when it was to
 * be killed there. */
void life_point(void);
bool life_ends_here(void);
void life_dies(void) __attribute__((noreturn));
/* It is set up, and does a turn; both within body_does(). */
void life_starts(void);
void life_does_turn(void);

/* ---- the disk ---- */

void disk_open(void);
void disk_empty(void);
bool disk_is_empty(void);
/* It is kept as it is now, and is so again. */
void disk_keep(void);
void disk_as_kept(void);

/* ---- the seed ---- */

void random_seed(uint64_t seed);
uint64_t random_bits(void);
/* 0 to below - 1 */
unsigned random_below(unsigned below);
/* true in so many of a hundred cases */
bool chance(unsigned percent);

/* ---- what is known of each job ---- */

typedef enum {
    BY_SUBMIT,
    BY_POST,
    BY_SPOOL,
    BY_CRON, /* the broker's own: a run of a recurring job */
    BY_HAND  /* such a run that a caller wants now */
} way_in;

typedef enum {
    ABSENT, /* the spawner never had it */
    STARTING,
    RUNNING,
    ENDED,
    FORGOTTEN,
    UNPARENTED /* its spawner was killed, and its process is gone too */
} place_of_job;

typedef struct {
    spawn_id id;
    unsigned queue;
    way_in way;
    uint64_t timeout_ms; /* 0: none */
    uint64_t grace_ms;
    bool stubborn;       /* does not end by TERM */
    unsigned data;       /* bytes for its stdin */
    bool is_call;        /* of a worker */
    uint64_t delay_ms;   /* 0: none */
    int64_t at_ms;       /* of the time of day; 0: none */
    uint64_t expires_ms; /* 0: none */
    int priority;
    const char *key; /* NULL: none */
    unsigned conflict;
    bool key_until_start; /* else until it has ended */
    unsigned after[AFTER_MAX], after_count;
    bool after_runs;      /* also when one of them has failed */
    unsigned known_turn;  /* turn in which an answer showed it first */
    unsigned launched_in; /* and in which it was launched */
    int64_t expires_at;   /* of the time of day; 0: none */
    int64_t made_ms, made_wall, sent_ms; /* sent_ms: 0: never */
    unsigned made_boot;
    int64_t least_ahead; /* of mono_ms: the time of day, in that boot */
    unsigned sent_turn;  /* after this turn, first */
    bool spooled;        /* by whatever way it came first */
    unsigned posted_in;  /* when this broker was the last; 0: never */
    unsigned retry;      /* attempts after the first */
    unsigned good_at;    /* the first attempt that ends well */
    bool retry_starts;   /* also when it could not be started, or timed out */
    uint64_t pause_ms;
    unsigned cron, cron_life; /* of a recurring job's run: which, */
    int64_t planned;          /* for when (s), */
    unsigned clocks;          /* and how often the clock was set back then, */
    unsigned submitted_in;    /* and by which broker, the last time */
    bool direct;              /* it was sent to a worker that was lent, */
    bool noted;               /* the worker's slate has said that it runs; */
    bool direct_open;         /* and its caller waits there; */
    bool direct_lost;       /* or has given up, and no broker has heard of it */
    spawn_id direct_worker; /* which worker it was */
    unsigned direct_in;     /* and the broker then; */
    uint64_t direct_lease;  /* as which call of which lease it ended; */
    uint64_t direct_number; /* 0: it has not */
    unsigned over_in;       /* the broker that looked at it in vain last when
                             * its time was over, */
    int64_t over_since;     /* and when; 0: none has */
    int64_t over_ms;        /* and for how long */
    int64_t read_ms;        /* a broker has read that; 0: none has */
    bool record_unsure;     /* which was killed before it was stored */
    int64_t told_ms;        /* when its end was told first, */
    unsigned told_boot;     /* and in which boot */
    bool abandoned;         /* its caller has gone */
    bool waited_for;        /* by whom its failure was told, perhaps */
    unsigned unbound_in;    /* its connection was closed in this turn; 0: no */
    unsigned unbound_life;  /* and the broker then was this one, */
    bool unbound_known;     /* which had told that it had the job; */
    bool unbound_told;      /* and it got TERM since, */
    int64_t unbound_ms;     /* at this time; */
    bool killed_by_hand;    /* or somebody wanted it to end, too */
    bool durable;
    bool put_failed;        /* the ledger did not take it, the last time */
    unsigned undone_in;     /* turn in which it was taken back, perhaps; or 0 */
    unsigned most;          /* attempts that it may have */
    unsigned revives;       /* that are not answered */
    unsigned revives_asked; /* all */
    unsigned refused_late;  /* attempts that the ledger did not take, perhaps,
                             * and that count as ones that did not start */
    bool maybe_revived;     /* so it may have ended, or not */
    bool revive_lost;       /* and will stay so: one got no answer */
    bool ever_revived;      /* or asked for */
    unsigned revived_after; /* it was: launches that there are to be; or 0 */
    bool told_done;         /* it was accepted when it had ended */
    bool unsure; /* it was there when the power failed, and nothing is
                  * promised of it */

    /* as callers know it */
    unsigned sends;
    bool end_lost;      /* who had sent it, and waited for its end, has gone */
    unsigned claims;    /* sends that were not refused */
    bool promised;      /* it has to run, or to be reported */
    bool known;         /* an answer has shown it */
    int64_t known_ms;   /* since when, as not ended; 0: never */
    int64_t known_wall; /* the time of day then, */
    unsigned known_in;  /* and the broker that said it */
    bool stepped_since; /* a later broker saw the clock set */
    bool kill_asked;
    bool cancelled; /* a caller was told so before it was launched */
    bool kill_done; /* a caller was told that it is killed: no more attempts */
    bool done;      /* an answer has shown its end */
    bool gone;      /* or that there is no such job */
    unsigned outcome;
    unsigned left_in; /* turn in which its end was seen by anybody */

    /* as the spawner knows it */
    place_of_job place;
    unsigned launches;
    unsigned attempt; /* that was launched last */
    int64_t started_ms;
    int64_t ended_ms;
    int status; /* as of wait(2) */
    unsigned step;
    bool told_pid;    /* the broker knows its process, */
    unsigned told_in; /* since this turn */
    bool told_exit;
    int pending;     /* signal that it ends by */
    int64_t term_ms; /* TERM came from this broker, or -1 */
    bool term_ever;
    bool kill_ordered;
    bool had_ended;         /* before its spawner was killed, */
    int64_t unparented_ms;  /* which was then */
    bool order_may_be_lost; /* on its way to a spawner that was killed, */
    unsigned lost_in;       /* the broker of that spawner was this one */
    unsigned given_by; /* the broker that gave it to a worker last, or 0, */
    spawn_id given_to; /* and the worker */
    int64_t given_ms;  /* since when its time counts */
} job;

extern job jobs[JOBS_MAX];
extern unsigned jobs_used;

job *job_new(way_in way);
/* A call that a worker can be lent for. */
job *job_call(void);
/* A run of a recurring job: with this id; or that a caller wants. NULL: there
 * is no room, which of the first is told. */
job *job_of_broker(const spawn_id *id, unsigned queue);
job *job_by_hand(unsigned queue);
/* Is it one of these? */
bool job_is_run(const job *j);
job *job_find(const spawn_id *id);
unsigned job_number(const job *j);
/* It may wait for its time, or expire. */
bool job_has_rules(const job *j);
bool job_may_have_expired(const job *j);
void jobs_clock_is_set(void);
/* Its program's name, which tells it from all others. */
const char *job_program(const job *j);
/* retries: how many, how long before each, and also of failed starts. */
void job_put_retry(unsigned retry, uint64_t pause_ms, bool starts,
                   spawn_writer *w);
void job_write(const job *j, spawn_writer *w, bool other_contents);

/* ---- a broken promise ---- */

extern bool tracing;
extern bool broken; /* the run ends */
extern bool with_workers;
extern bool with_leases;  /* some of which are lent */
extern bool calls_unsure; /* of calls that were told the history may have lost
                           * some: the store failed, or a spawner died */

void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void promise_broken(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- limits in force ---- */

typedef struct {
    unsigned max_jobs, max_queued;
    unsigned most_jobs;  /* that could ever run at once */
    unsigned most;       /* jobs that could be there at once, */
    unsigned least_room; /* and how many there always was room for */
    unsigned most_there; /* that there were at once, at most */
} limits;

extern limits queue_limits[QUEUES];
extern const char *const queue_names[QUEUES];

/* ---- lives of brokers ---- */

extern char world_dir[64];
extern bool alive;        /* there is a broker, */
extern bool broker_ready; /* which has said so */
extern bool going;        /* jobs may start */
extern unsigned turns;
extern unsigned lives;      /* brokers that there were */
extern bool calm;           /* nothing of this run has failed or died yet */
extern bool store_calm;     /* nor has the store, whoever has died */
extern bool store_was_full; /* and so may have lost its history */

#define LIFE_SECRET 7 /* the first byte of httpd's; the others are 0 */
/* Once, and for each run. */
void life_open(void);
void life_places_open(void);
void life_places_close(void);
/* Start a broker. points: where it is killed; 0: it is not. */
void life_begin(uint64_t points);
/* One turn; what it said was taken in. */
void life_turn(void);
void life_configure(void);
void life_say(unsigned type);
void life_send(spawn_writer *w, const int *fds, unsigned count);
void life_kill(void);
/* The next broker is one of another spawner. */
void life_lose_spawner(void);
int life_listener(void);
int life_post(void);
/* The end of the post socket that the broker has. */
int life_post_end(void);
/* The machine was without power. */
void life_lose_memory(void);
/* Has each job left it? */
bool life_inbox_is_empty(void);

/* ---- the spawner ---- */

extern bool said_bye;
extern bool broker_refused;  /* it could not open its store */
extern int64_t broker_knows; /* its jobs, since then; 0: it does not */
extern int64_t good_since;   /* the store is, */
extern bool began_blind;     /* its store took nothing when it began */

void spawner_table(void);
void spawner_obey(const spawn_message *m, spawn_packet *p);
/* It is launched now, as this. */
void spawner_launches(job *j, const char *as, unsigned attempt);
void spawner_signalled(job *j, int signo);
/* Something happens to a process. False: there is none. */
bool spawner_something(void);
/* All of them go on. False: none was left. */
bool spawner_all(void);
void spawner_check(void);
/* orders_may_be_lost: what the broker has sent, or was about to send, is. */
void spawner_dies(bool orders_may_be_lost);
bool spawner_empty(void);
/* Jobs of the queue that the broker has to count as running. */
unsigned spawner_busy(unsigned queue);

/* ---- callers ---- */

/* revive: in this run dead jobs are revived. */
void callers_reset(bool revive);
void callers_close(void);
void callers_hear(void);
/* Does one call again and again? */
bool callers_hurry(void);
/* None does any more. */
void callers_are_calm(void);
/* A caller does something by chance. */
void callers_something(void);
/* It revives a job. False: there is none that can be. */
bool callers_revive(void);
/* It changes a queue by hand. False: nobody does in this run. */
bool callers_change_queue(void);
/* The queues are to be as they were. */
void callers_undo_changes(void);
bool callers_wait_for_answers(void);
/* How many submits of it have no answer yet. */
unsigned callers_submitted(const job *j);
/* The end of a run: what nobody knows the fate of is sent again, and then each
 * job is asked for. */
void callers_send_again(void);
void callers_ask_all(void);
/* One asks for the broker's numbers, unless somebody does. */
void callers_ask_numbers(void);
/* A promised job that is not known to have ended; NULL: none. */
const job *callers_open_job(void);
void callers_check(void);

#endif
