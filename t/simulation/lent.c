/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers that are lent to callers, as they are (perl/xs/template/direct.c):
 * calls come over a socket of their caller's, and the slate says what runs and
 * has run. A call comes in steps, with turns of the broker between them: the
 * slate says that it runs, it begins, it has ended, its caller is answered.
 * What is checked here: a broker reads in time what has run.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "common/spawn_digest.h"
#include "t/simulation/body.h"
#include "t/simulation/worker.h"

#define LATE          1000 /* ms */
#define STORED_WITHIN 20   /* ms, as docs/directives.md has it */

void lent_begins(worker *w, const spawn_message *m, int fd)
{
    if (w->slate || w->call)
        promise_broken("worker %u is lent, and is %s", worker_number(w),
                       w->call ? "at work" : "lent already");
    spawn_close_fds(&w->direct, 1);
    w->direct = body_world_fd(fd);
    w->slate = spawn_board_slate(w->board);
    w->lease = spawn_attr_u64(&m->attr[SPAWN_A_SEQ]);
    w->last = NULL;
    w->over = false;
    say("worker %u is lent (lease %llu)", worker_number(w),
        (unsigned long long)w->lease);
}

static void tell(const worker *w, spawn_writer *said)
{
    if (spawn_writer_finish(said, 0) == 0)
        (void)spawn_packet_send(w->link, said->data, said->length, NULL, 0);
    spawn_writer_free(said);
}

static void say_given_back(worker *w, uint64_t which)
{
    spawn_writer said;

    spawn_writer_init(&said, SPAWN_REQUEST_MAX);
    spawn_writer_begin(&said, SPAWN_M_GIVEN_BACK, 0);
    spawn_put_u64(&said, SPAWN_A_SEQ, which);
    if (w->last)
        spawn_put_id(&said, SPAWN_A_ID, &w->last->id);
    if (w->leaves)
        spawn_put_u64(&said, SPAWN_A_LAST, 1);
    tell(w, &said);
    say("worker %u gives itself back", worker_number(w));
}

void lent_is_wanted(worker *w, const spawn_message *m)
{
    say("worker %u is wanted back", worker_number(w));
    w->over = true;
    if (!w->slate) /* a broker that was killed may have been told already */
        say_given_back(w, spawn_attr_u64(&m->attr[SPAWN_A_SEQ]));
}

bool lent_is_busy(const worker *w)
{
    return w->stage != OF_BROKER;
}

/* ---- to its caller ---- */

static void not_taken(const worker *w, uint32_t seq)
{
    uint8_t room[64];
    spawn_writer said;

    spawn_writer_init_fixed(&said, room, sizeof(room));
    spawn_writer_begin(&said, SPAWN_M_NOT_TAKEN, seq);
    if (spawn_writer_finish(&said, 0) == 0)
        (void)spawn_packet_send(w->direct, said.data, said.length, NULL, 0);
}

static bool send_answer(const worker *w, const job *j)
{
    uint8_t room[512];
    spawn_writer said;

    spawn_writer_init_fixed(&said, room, sizeof(room));
    spawn_writer_begin(&said, SPAWN_M_JOB, w->seq);
    spawn_put_id(&said, SPAWN_A_ID, &j->id);
    spawn_put_str(&said, SPAWN_A_QUEUE, queue_names[j->queue]);
    spawn_put_u64(&said, SPAWN_A_STATE, SPAWN_STATE_DONE);
    spawn_put_u64(&said, SPAWN_A_OUTCOME, SPAWN_OUTCOME_EXITED);
    spawn_put_u64(&said, SPAWN_A_EXIT_CODE, 0);
    return spawn_writer_finish(&said, 0) == 0
           && spawn_packet_send(w->direct, said.data, said.length, NULL, 0)
                  == 0;
}

/* ---- a call ---- */

static void note(spawn_slate_call *call, const job *j, const spawn_packet *p)
{
    const uint8_t *body = p->data + SPAWN_WIRE_HEADER, *at = body;
    size_t length = p->length - SPAWN_WIRE_HEADER;
    spawn_reader r;
    spawn_attr a;

    memset(call, 0, sizeof(*call));
    call->id = j->id;
    call->digest = spawn_digest(body, length);
    call->started_at = board->wall_ms;
    call->mono_us = board->mono_ms * 1000;
    spawn_reader_init(&r, body, length);
    for (; spawn_reader_next(&r, &a) == 1; at = r.at) {
        size_t n = (size_t)(r.at - at);

        if (a.id == SPAWN_A_ARGS || a.id == SPAWN_A_REPLY)
            continue;
        memcpy(call->order + call->length, at, n);
        call->length += (uint32_t)n;
    }
}

/* It has to be said before the caller is looked for. */
static void comes(worker *w, const spawn_message *m, const spawn_packet *p)
{
    static spawn_slate_call call;
    spawn_id id;
    job *j;

    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    j = job_find(&id);
    note(&call, j, p);
    if (!w->over)
        spawn_board_clear(w->board);
    if (w->over || !spawn_slate_begins(w->slate, &call)) {
        say("worker %u does not take job %u", worker_number(w), job_number(j));
        w->over = true;
        not_taken(w, m->header.seq);
        return;
    }
    say("worker %u notes job %u", worker_number(w), job_number(j));
    w->seq = m->header.seq;
    w->stage = NOTED;
    w->call = j;
    j->noted = true;
    j->given_ms = board->mono_ms;
}

static bool hung_up(const worker *w)
{
    struct pollfd p = {.fd = w->direct, .events = POLLRDHUP};

    return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLRDHUP | POLLERR));
}

static void begins(worker *w)
{
    job *j = w->call;

    if (hung_up(w)) {
        say("worker %u does not begin job %u, whose caller has gone",
            worker_number(w), job_number(j));
        spawn_slate_withdraw(w->slate);
        w->call = NULL;
        w->stage = OF_BROKER;
        not_taken(w, w->seq);
        return;
    }
    worker_check_pending(w, j);
    w->last = j;
    w->stage = BEGUN;
    worker_begins(w, j, job_program(j));
}

static void ends(worker *w)
{
    spawn_slate_call *call = spawn_slate_running(w->slate);

    say("job %u has ended, and its caller is answered next",
        job_number(w->call));
    (void)spawn_board_put_result(w->board, SPAWN_RESULT_RETURNED, "value", 5);
    call->ended_at = board->wall_ms;
    call->elapsed_us = board->mono_ms * 1000 - call->mono_us;
    call->kind = SPAWN_RESULT_RETURNED;
    w->over |= worker_was_last(w);
    spawn_slate_ends(w->slate);
    w->call->direct_lease = w->lease;
    w->call->direct_number = w->slate->ended;
    worker_call_ends(w, 0);
    w->stage = TO_ANSWER;
}

static void tell_slate(const worker *w)
{
    spawn_writer said;

    spawn_writer_init(&said, SPAWN_REQUEST_MAX);
    spawn_writer_begin(&said, SPAWN_M_SLATE, 0);
    tell(w, &said);
}

static void answers(worker *w)
{
    w->stage = OF_BROKER;
    if (send_answer(w, w->last))
        spawn_slate_answered(w->slate);
    else
        w->over = true;
    w->over |= spawn_slate_is_held(w->slate);
    if (!w->over && chance(10)) /* a real one does when there are many */
        tell_slate(w);
}

/* ---- between calls ---- */

/* False: nothing has come. */
static bool receive(worker *w)
{
    static uint8_t buffer[WHOLE];
    spawn_message m;
    spawn_packet p;
    int rv = spawn_packet_receive(w->direct, buffer, sizeof(buffer), &p);

    if (rv == -EAGAIN)
        return false;
    if (rv != 1) {
        say("worker %u reads that its caller has gone", worker_number(w));
        w->over = true;
        return true;
    }
    if (spawn_message_parse(p.data, p.length, SPAWN_FROM_CALLER, p.fds_count,
                            &m, NULL)
        == 0)
        comes(w, &m, &p);
    spawn_packet_close(&p);
    return true;
}

static void let_go(worker *w)
{
    spawn_close_fds(&w->direct, 1);
    w->slate = NULL;
    w->stage = OF_BROKER;
}

static bool has_come(const worker *w)
{
    char byte;

    return recv(w->direct, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* Calls that have come since are not taken. */
static void gives_back(worker *w)
{
    w->over = true;
    (void)shutdown(w->direct, SHUT_RD);
    while (has_come(w))
        (void)receive(w);
    let_go(w);
    say_given_back(w, w->lease);
}

bool lent_goes_on(worker *w, bool hangs)
{
    if (w->stage == NOTED)
        begins(w);
    else if (w->stage == BEGUN && hangs)
        return false;
    else if (w->stage == BEGUN)
        ends(w);
    else if (w->stage == TO_ANSWER)
        answers(w);
    else if (w->over)
        gives_back(w);
    else
        return receive(w);
    return true;
}

void lent_is_gone(worker *w)
{
    let_go(w);
    w->over = false;
}

void lent_check(const worker *w)
{
    const spawn_slate_call *calls;
    int64_t ended;

    if (!w->slate || spawn_slate_unread(w->slate) == 0 || w->stage == TO_ANSWER
        || !broker_knows)
        return;
    calls = (const void *)((const uint8_t *)w->slate + SPAWN_SLATE_HEAD);
    calls += w->slate->read % SPAWN_SLATE_CALLS;
    ended = (calls->mono_us + calls->elapsed_us) / 1000;
    if (board->mono_ms > (ended > broker_knows ? ended : broker_knows) + LATE)
        promise_broken("worker %u has run a call that ended %lld ms ago, and "
                       "no broker has read that",
                       worker_number(w), (long long)(board->mono_ms - ended));
}

void lent_note_read(const worker *w, bool dies)
{
    const spawn_slate *slate = w->board ? spawn_board_slate(w->board) : NULL;
    unsigned i;

    for (i = 0; i < jobs_used; i++) {
        job *j = &jobs[i];

        if (!j->direct_number || !spawn_id_equal(&j->direct_worker, &w->id)
            || (slate && j->direct_lease == w->lease
                && slate->read < j->direct_number))
            continue;
        if (dies
            && (!j->read_ms || board->mono_ms - j->read_ms <= STORED_WITHIN))
            j->record_unsure = true;
        if (!j->read_ms)
            j->read_ms = board->mono_ms;
    }
}
