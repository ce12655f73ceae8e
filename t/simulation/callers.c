/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Callers: they connect, submit, ask, wait, kill, go away in between, and post
 * or spool as httpd's children do. What the answers say is judged in
 * answers.c. What is checked here: each request has one answer, or its
 * connection ends.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/spawn_release.h"
#include "t/simulation/metered.h"
#include "t/simulation/body.h"
#include "t/simulation/bound.h"
#include "t/simulation/caller.h"
#include "t/simulation/cron_asked.h"
#include "t/simulation/direct.h"
#include "t/simulation/revived.h"
#include "t/simulation/workers.h"

caller callers[CALLERS_MAX];

static bool some_revive;

void callers_reset(bool revive)
{
    unsigned i;

    some_revive = revive;
    memset(callers, 0, sizeof(callers));
    for (i = 0; i < CALLERS_MAX; i++)
        callers[i].fd = callers[i].direct = -1;
}

void caller_leaves(caller *c)
{
    unsigned i;

    for (i = 0; i < c->asked_used; i++)
        answer_lost(&c->asked[i]);
    c->asked_used = 0;
    spawn_close_fds(&c->fd, 1);
    bound_loses_broker(c);
    direct_loses_broker(c);
}

/* Its process has gone. */
static void goes(caller *c)
{
    direct_is_abandoned(c);
    bound_goes(c);
    caller_leaves(c);
}

void callers_close(void)
{
    unsigned i;

    for (i = 0; i < CALLERS_MAX; i++)
        goes(&callers[i]);
}

/* ---- asking ---- */

request *caller_asks(caller *c, spawn_writer *w, unsigned type, job *j)
{
    request *r = &c->asked[c->asked_used];

    if (c->fd < 0 || c->asked_used == ASKED_MAX)
        return NULL;
    memset(r, 0, sizeof(*r));
    r->type = type;
    r->seq = ++c->seq;
    r->job = j;
    r->asked_in = turns;
    spawn_writer_init(w, SPAWN_REQUEST_MAX);
    spawn_writer_begin(w, (uint16_t)type, r->seq);
    return r;
}

void caller_sends(caller *c, spawn_writer *w, const request *r)
{
    int rv = spawn_writer_finish(w, 0);

    if (rv == 0)
        rv = spawn_packet_send(c->fd, w->data, w->length, NULL, 0);
    spawn_writer_free(w);
    c->asked_used++;
    say("caller %u: %s", (unsigned)(c - callers), request_text(r));
    if (rv < 0 && rv != -EPIPE && rv != -ECONNRESET) /* else it reads first */
        caller_leaves(c);
}

/* A child of httpd can be lent a worker. */
static void put_proof(spawn_writer *w)
{
    static const uint8_t secret[SPAWN_SECRET_SIZE] = {LIFE_SECRET};

    spawn_put_bytes(w, SPAWN_A_SECRET, secret, sizeof(secret));
    spawn_put_str(w, SPAWN_A_RELEASE, SPAWN_RELEASE);
}

static void come(caller *c)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    spawn_writer w;
    request *r;

    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/socket", world_dir);
    c->fd = body_world_fd(
        socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (connect(c->fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        spawn_close_fds(&c->fd, 1); /* the backlog is full */
        return;
    }
    r = caller_asks(c, &w, SPAWN_M_HELLO, NULL);
    spawn_put_str(&w, SPAWN_A_CLIENT, "simulation");
    if (with_leases && chance(80))
        put_proof(&w);
    bound_comes(c, &w);
    caller_sends(c, &w, r);
    if (c->again && c->fd >= 0) {
        caller_submits(c, c->again, SPAWN_REPLY_FINISHED);
        c->again = NULL;
    }
}

void caller_sent(job *j)
{
    j->sends++;
    if (j->sent_ms)
        return;
    j->sent_ms = board->mono_ms;
    j->sent_turn = turns;
}

static void submit(caller *c, job *j, spawn_reply want, bool other_contents)
{
    spawn_writer w;
    request *r =
        bound_may_submit(c, j) ? caller_asks(c, &w, SPAWN_M_SUBMIT, j) : NULL;

    if (!r)
        return;
    bound_submits(c, j);
    if (j->direct_lost)
        direct_tell_lost(c, j);
    r->want = want;
    r->other_contents = other_contents;
    r->lost = j->direct_lost;
    r->was_known = j->known;
    job_write(j, &w, other_contents);
    spawn_put_u64(&w, SPAWN_A_REPLY, want);
    caller_sent(j);
    if (!other_contents && (j->claims++ == 0 || j->unsure))
        j->left_in = 0; /* refused before, if ever, or the power has cost it */
    caller_sends(c, &w, r);
}

void caller_submits(caller *c, job *j, spawn_reply want)
{
    submit(c, j, want, false);
}

static void get(caller *c, job *j)
{
    spawn_writer w;
    request *r = caller_asks(c, &w, SPAWN_M_GET, j);

    if (!r)
        return;
    r->was_known = j->known;
    spawn_put_id(&w, SPAWN_A_ID, &j->id);
    caller_sends(c, &w, r);
}

static void wait_for(caller *c, job *j, spawn_reply want, uint64_t ms)
{
    spawn_writer w;
    request *r = caller_asks(c, &w, SPAWN_M_WAIT, j);

    j->waited_for = true;
    if (!r)
        return;
    r->want = want;
    r->limited = ms > 0;
    r->was_known = j->known;
    spawn_put_id(&w, SPAWN_A_ID, &j->id);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, want);
    if (ms)
        spawn_put_u64(&w, SPAWN_A_WAIT_MS, ms);
    caller_sends(c, &w, r);
}

static void kill_job(caller *c, job *j)
{
    spawn_writer w;
    request *r = caller_asks(c, &w, SPAWN_M_KILL, j);

    if (!r)
        return;
    r->was_known = j->known;
    j->kill_asked = j->killed_by_hand = true;
    spawn_put_id(&w, SPAWN_A_ID, &j->id);
    if (chance(40))
        spawn_put_u64(&w, SPAWN_A_SIGNO, SIGKILL);
    caller_sends(c, &w, r);
}

static void about_cron(caller *c, cron_request *cron, job *j)
{
    spawn_writer w;
    request *r = caller_asks(c, &w, SPAWN_M_CRON, j);

    if (!r)
        return;
    cron_ask(cron, j, &w);
    r->cron = *cron;
    if (j) {
        caller_sent(j);
        j->claims++;
    }
    caller_sends(c, &w, r);
}

static void change_queue(caller *c, control_request *control)
{
    spawn_writer w;
    request *r = caller_asks(c, &w, SPAWN_M_QUEUES, NULL);

    if (!r)
        return;
    controls_ask(control);
    r->control = *control;
    spawn_put_str(&w, SPAWN_A_QUEUE, queue_names[control->queue]);
    spawn_put_u64(&w, SPAWN_A_QUEUE_DO, control->what);
    if (control->scale)
        spawn_put_u64(&w, SPAWN_A_MAX_JOBS, control->scale);
    caller_sends(c, &w, r);
}

static void revive(caller *c, job *j)
{
    spawn_writer w;
    request *r = caller_asks(c, &w, SPAWN_M_REVIVE, j);

    if (!r)
        return;
    r->was_known = j->known;
    revived_asked(j);
    spawn_put_id(&w, SPAWN_A_ID, &j->id);
    caller_sends(c, &w, r);
}

/* ---- hearing ---- */

static void hear_one(caller *c, const spawn_message *m)
{
    const job *ends;
    unsigned i;

    if (m->header.type == SPAWN_M_REFUSED && m->header.seq == 0 && with_leases)
        return; /* a broker without a store, of LEASE_LOST */

    for (i = 0; i < c->asked_used; i++) {
        if (c->asked[i].seq == m->header.seq)
            break;
    }
    say("caller %u: %s", (unsigned)(c - callers), answer_text(m));
    if (i == c->asked_used) {
        promise_broken("an answer to what was answered before, or never asked");
        return;
    }
    answer_judge(&c->asked[i], m);
    bound_is_answered(c, &c->asked[i], m);
    ends = c->asked[i].type == SPAWN_M_SUBMIT && m->header.type == SPAWN_M_JOB
               ? c->asked[i].job
               : NULL;
    if (m->header.type == SPAWN_M_QUEUE_STATE || m->header.type == SPAWN_M_METER
        || m->header.type == SPAWN_M_CRON_ENTRY)
        c->asked[i].row_came = true;
    else
        c->asked[i] = c->asked[--c->asked_used];
    if (ends)
        caller_has_end(c, ends);
}

static void hear(caller *c)
{
    static uint8_t buffer[WHOLE];
    spawn_message m;
    spawn_failure why;
    spawn_packet p;
    bool reset = false;

    while (c->fd >= 0 && !broken) {
        int rv = spawn_packet_receive(c->fd, buffer, sizeof(buffer), &p);

        if (rv == -EAGAIN)
            return;
        if (rv == -ECONNRESET && !reset) {
            reset = true; /* bytes sent before it are still there */
            continue;
        }
        if (rv != 1) {
            if (alive && broker_ready)
                promise_broken("caller %u lost its connection",
                               (unsigned)(c - callers));
            caller_leaves(c);
            return;
        }
        if (spawn_message_parse(p.data, p.length, SPAWN_FROM_BROKER,
                                p.fds_count, &m, &why)
            < 0)
            promise_broken("an answer is not understood: %s", why.text);
        else if (m.header.type == SPAWN_M_LEASE)
            direct_is_lent(c, &m, &p);
        else
            hear_one(c, &m);
        spawn_packet_close(&p);
    }
}

/* One call tells of all, most of which have nothing. */
void callers_hear(void)
{
    struct pollfd fds[CALLERS_MAX];
    unsigned i;

    for (i = 0; i < CALLERS_MAX && with_leases; i++)
        direct_hear(&callers[i]);
    for (i = 0; i < CALLERS_MAX; i++)
        fds[i] = (struct pollfd){callers[i].fd, POLLIN, 0};
    if (poll(fds, CALLERS_MAX, 0) <= 0)
        return;
    for (i = 0; i < CALLERS_MAX; i++) {
        if (fds[i].revents)
            hear(&callers[i]);
    }
}

/* ---- by chance ---- */

static void new_job(caller *c)
{
    static const spawn_reply wants[] = {
        SPAWN_REPLY_ACCEPTED, SPAWN_REPLY_ACCEPTED, SPAWN_REPLY_STARTED,
        SPAWN_REPLY_FINISHED};
    unsigned dice = random_below(100);
    job *j = job_new(dice < 70 ? BY_SUBMIT : dice < 90 ? BY_POST : BY_SPOOL);

    if (!j)
        return;
    if (j->way == BY_POST)
        caller_posts(j);
    else if (j->way == BY_SPOOL)
        caller_spools(j);
    else
        submit(c, j, wants[random_below(4)], false);
}

static void about_a_job(caller *c, job *j)
{
    unsigned dice = random_below(100);
    spawn_reply want = chance(50) ? SPAWN_REPLY_STARTED : SPAWN_REPLY_FINISHED;

    if (dice < 35)
        get(c, j);
    else if (dice < 60)
        wait_for(c, j, want, chance(50) ? 1 + random_below(3000) : 0);
    else if (dice < 75)
        kill_job(c, j);
    else if (job_is_run(j))
        get(c, j); /* a caller that has its end does not ask for another one */
    else if (j->direct_open || j->abandoned)
        get(c, j); /* nobody else has its id */
    else if (dice < 80 && j->claims > 0 && j->data <= DATA_OF_POST
             && !j->durable && !j->direct)
        (chance(50) ? caller_posts
                    : caller_spools)(j); /* the same by another way */
    else if (j->way != BY_SUBMIT)
        get(c, j);
    else if (dice < 90)
        submit(c, j, chance(50) ? SPAWN_REPLY_ACCEPTED : want, false);
    else if (j->known && !j->unsure)
        submit(c, j, chance(50) ? SPAWN_REPLY_ACCEPTED : want, true);
}

bool callers_revive(void)
{
    unsigned first, i;

    if (!some_revive || jobs_used == 0)
        return false;
    first = random_below(jobs_used);
    for (i = 0; i < jobs_used; i++) {
        job *j = &jobs[(first + i) % jobs_used];

        if (!revived_may_be(j))
            continue;
        revive(&callers[random_below(CALLERS_MAX)], j);
        return true;
    }
    return false;
}

/* Its request may lie in its socket for long when it leaves. */
static bool changes_something(const caller *c)
{
    unsigned i;

    for (i = 0; i < c->asked_used; i++) {
        if (c->asked[i].type == SPAWN_M_QUEUES
            || c->asked[i].type == SPAWN_M_CRON)
            return true;
    }
    return false;
}

bool callers_change_queue(void)
{
    control_request control;

    if (!controls_choose(&control))
        return false;
    change_queue(&callers[random_below(CALLERS_MAX)], &control);
    return true;
}

static void call_again(caller *c)
{
    job *j = job_call();

    if (!j)
        c->burst = 0;
    else if (!direct_call(c, j))
        submit(c, j, SPAWN_REPLY_FINISHED, false);
}

void caller_has_end(caller *c, const job *j)
{
    if (!c->burst || !j->is_call || c->waits)
        return;
    c->burst--;
    call_again(c);
}

bool callers_hurry(void)
{
    unsigned i;

    for (i = 0; i < CALLERS_MAX; i++) {
        if (callers[i].burst)
            return true;
    }
    return false;
}

void callers_are_calm(void)
{
    unsigned i;

    for (i = 0; i < CALLERS_MAX; i++) {
        callers[i].burst = 0;
        if (callers[i].bound) /* it could send nothing again */
            goes(&callers[i]);
    }
}

static void something_about_calls(caller *c)
{
    if (c->waits && chance(30))
        direct_gives_up(c);
    else if (!c->waits && c->asked_used < ASKED_MAX) {
        c->burst = 4 + random_below(14);
        call_again(c);
    }
}

static void something_about_crons(caller *c)
{
    cron_request cron;
    job *j;

    if (c->asked_used == ASKED_MAX)
        return;
    cron_choose(&cron, &j);
    about_cron(c, &cron, j);
}

void callers_something(void)
{
    caller *c = &callers[random_below(CALLERS_MAX)];
    unsigned dice = random_below(100);

    if (c->fd < 0)
        come(c);
    else if (dice < 4 && !changes_something(c))
        goes(c);
    else if (with_leases && !c->bound && chance(20))
        something_about_calls(c);
    else if (with_crons && (chance(15) || (only_crons && dice < 60)))
        something_about_crons(c);
    else if (only_crons && jobs_used == 0)
        return;
    else if ((dice < 60 && !only_crons) || jobs_used == 0)
        new_job(c);
    else
        about_a_job(c, &jobs[random_below(jobs_used)]);
}

/* ---- the end of a run ---- */

/* One that is connected, and can ask. */
static caller *one_that_asks(void)
{
    unsigned i;

    for (i = 0; i < CALLERS_MAX; i++) {
        if (callers[i].fd >= 0 && callers[i].asked_used < ASKED_MAX / 2)
            return &callers[i];
    }
    for (i = 0; i < CALLERS_MAX; i++) {
        if (callers[i].fd < 0) {
            come(&callers[i]);
            return callers[i].fd >= 0 ? &callers[i] : NULL;
        }
    }
    return NULL;
}

static bool is_asked_for(const job *j)
{
    unsigned i, k;

    for (i = 0; i < CALLERS_MAX; i++) {
        for (k = 0; k < callers[i].asked_used; k++) {
            if (callers[i].asked[k].job == j)
                return true;
        }
    }
    return j->direct_open;
}

void callers_undo_changes(void)
{
    control_request control;
    cron_request cron;
    caller *c = controls_undone() && cron_undone() ? NULL : one_that_asks();

    if (c && controls_undo(&control))
        change_queue(c, &control);
    else if (c && cron_undo(&cron))
        about_cron(c, &cron, NULL);
}

unsigned callers_submitted(const job *j)
{
    unsigned i, k, count = 0;

    for (i = 0; i < CALLERS_MAX; i++) {
        for (k = 0; k < callers[i].asked_used; k++) {
            const request *r = &callers[i].asked[k];

            count +=
                r->job == j && r->type == SPAWN_M_SUBMIT && !r->other_contents;
        }
    }
    return count;
}

void callers_send_again(void)
{
    unsigned i;

    for (i = 0; i < jobs_used; i++) {
        job *j = &jobs[i];
        caller *c;

        if (j->way != BY_SUBMIT || j->unsure || j->promised || j->claims == 0
            || j->abandoned || is_asked_for(j))
            continue;
        c = one_that_asks();
        if (c)
            submit(c, j, SPAWN_REPLY_ACCEPTED, false);
    }
}

void callers_ask_all(void)
{
    unsigned i;

    for (i = 0; i < jobs_used; i++) {
        job *j = &jobs[i];
        caller *c;

        if (j->done || j->gone || j->unsure || is_asked_for(j))
            continue;
        c = one_that_asks();
        if (c)
            get(c, j);
    }
}

void callers_ask_numbers(void)
{
    caller *c = one_that_asks();
    spawn_writer w;
    request *r;

    if (!c || metered_is_asked())
        return;
    r = caller_asks(c, &w, SPAWN_M_METERS, NULL);
    if (!r)
        return;
    metered_asked();
    caller_sends(c, &w, r);
}

bool callers_wait_for_answers(void)
{
    unsigned i;

    for (i = 0; i < CALLERS_MAX; i++) {
        if (callers[i].asked_used || callers[i].waits)
            return true;
    }
    return false;
}

/* A run that no broker has taken, or that was lost with it, is submitted again
 * by itself, and what somebody wanted by hand is not. */
static bool is_open(const job *j)
{
    if (j->unsure)
        return false;
    if ((job_is_run(j) && !j->promised && j->launches == 0) || j->abandoned)
        return !j->done && !j->gone;
    return j->claims ? !j->done : !j->gone;
}

const job *callers_open_job(void)
{
    unsigned i;

    for (i = 0; i < jobs_used; i++) {
        if (is_open(&jobs[i]))
            return &jobs[i];
    }
    return NULL;
}

/* ---- what must never be ---- */

/* Without a death or a failure the world knows what waits. */
void callers_check(void)
{
    unsigned i, queue;

    for (queue = 0; queue < QUEUES && calm; queue++) {
        unsigned there = 0;

        for (i = 0; i < jobs_used; i++) {
            const job *j = &jobs[i];

            there += j->queue == queue && j->known && !j->left_in
                     && !j->kill_asked && j->way == BY_SUBMIT
                     && !job_has_rules(j) && !(j->is_call && workers_failed)
                     && j->attempt <= 1 /* a retry needs no room */
                     && (j->launches == 0 || !j->told_exit);
        }
        if (there > queue_limits[queue].most)
            promise_broken("there are %u jobs of queue %s, which is full with "
                           "%u",
                           there, queue_names[queue], queue_limits[queue].most);
    }
}
