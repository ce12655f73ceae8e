/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logged and captured output. Runs in the broker. Must never wait for a writer,
 * and write to no pipe.
 *
 * A job's end is its exit, not the end of its output: a daemon that it left
 * behind may hold the pipe for ever. At the exit exactly what is in the pipe
 * then is taken. A logged pipe is read some seconds longer; lines that come
 * later are dropped, and their writer gets EPIPE.
 *
 * Captured bytes are moved by splice and are only ever in pipe or file, so that
 * a killed broker loses none. Only the count of bytes over the limit is lost
 * with it: the next broker counts from 0.
 */
#include "broker/process/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/spawn_backlog.h"
#include "common/spawn_escape.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "broker/base/alloc.h"
#include "broker/base/logs.h"
#include "broker/base/loop.h"
#include "broker/base/timer.h"

#define LINE_ROOM    2000 /* longer lines are cut into pieces */
#define CHUNK        16384
#define BYTES_A_TURN 262144 /* of one stream */
#define LOG_TAIL     5000   /* ms */
#define LOG_A_SECOND 1000000
#define LOG_AT_ONCE  1024 /* as empty lines it still fits into the backlog */
#define LOG_A_TURN   65536

struct spawn_stream {
    spawn_watch watch;
    spawn_timer tail; /* logged, and the job has ended */
    spawn_timer hold; /* logged, and not read for a moment */
    int64_t second;   /* mono ms, when it began */
    size_t in_second; /* bytes for the log */
    size_t owed;      /* in the pipe when the job ended, and not read yet */
    int which;
    bool paused;
    int file;                      /* -1: logged */
    char who[SPAWN_NAME_MAX + 16]; /* of a logged one */
    spawn_whose whose;             /* of a logged one, too */
    uint64_t size;
    uint64_t limit;
    uint64_t lost;
    char *line; /* a line without its end yet */
    size_t line_length;
};

static uint8_t chunk[CHUNK];

/* ---- logged ---- */

static void log_line(spawn_stream *s, const char *text, size_t length)
{
    const char *request = s->whose.request;
    char who[sizeof(s->who) + sizeof(s->whose.request) + 16];

    (void)snprintf(who, sizeof(who), "%s%s%s%s", s->who,
                   *request ? " (request " : "", request, *request ? ")" : "");
    spawn_log_to(spawn_logs_find(s->whose.vhost));
    spawn_log_output(s->which ? SPAWN_LOG_ERR : SPAWN_LOG_WARN, who,
                     s->which ? "stderr" : "stdout", text, length);
    spawn_log_to(NULL);
}

static void log_rest(spawn_stream *s)
{
    if (s->line_length)
        log_line(s, s->line, s->line_length);
    s->line_length = 0;
}

/* A line without an end: write what is there of it, up to a whole character. */
static void log_piece(spawn_stream *s)
{
    size_t n = spawn_escape_whole(s->line, s->line_length);

    log_line(s, s->line, n);
    memmove(s->line, s->line + n, s->line_length - n);
    s->line_length -= n;
}

static void log_keep(spawn_stream *s, const char *text, size_t length)
{
    while (length > 0) {
        size_t n = LINE_ROOM - s->line_length;

        if (n > length)
            n = length;
        if (!s->line)
            s->line = spawn_alloc(LINE_ROOM);
        memcpy(s->line + s->line_length, text, n);
        s->line_length += n;
        text += n;
        length -= n;
        if (s->line_length == LINE_ROOM)
            log_piece(s);
    }
}

static void log_bytes(spawn_stream *s, const char *text, size_t length)
{
    while (length > 0) {
        const char *end = memchr(text, '\n', length);
        size_t n = end ? (size_t)(end - text) : length;

        log_keep(s, text, n);
        if (!end)
            return;
        if (n == 0 && s->line_length == 0)
            log_line(s, "", 0);
        log_rest(s);
        text += n + 1;
        length -= n + 1;
    }
}

/* ---- reading ---- */

/* Read and count: over the limit, or the file takes no more. */
static ssize_t discard(spawn_stream *s, size_t most)
{
    ssize_t n = read(s->watch.fd, chunk, most < CHUNK ? most : CHUNK);

    if (n > 0)
        s->lost += (uint64_t)n;
    return n;
}

/* A filter of system calls denies splice. Then the bytes are in this process
 * for a moment, the only one in which a killed broker can lose any. */
static bool no_splice(int error)
{
    return error == ENOSYS || error == EPERM || error == EACCES
           || error == EINVAL;
}

static ssize_t copy(spawn_stream *s, size_t most)
{
    ssize_t n = read(s->watch.fd, chunk, most < CHUNK ? most : CHUNK);
    ssize_t done = 0;

    while (done < n) {
        ssize_t written =
            pwrite(s->file, chunk + done, (size_t)(n - done), (off_t)s->size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            break; /* no memory: the rest is lost, and counted */
        s->size += (uint64_t)written;
        done += written;
    }
    if (n > 0)
        s->lost += (uint64_t)(n - done);
    return n;
}

static ssize_t capture(spawn_stream *s, size_t most)
{
    off_t at = (off_t)s->size;
    ssize_t n;

    if (s->size >= s->limit)
        return discard(s, most);
    if (most > s->limit - s->size)
        most = (size_t)(s->limit - s->size);
    n = splice(s->watch.fd, NULL, s->file, &at, most, SPLICE_F_NONBLOCK);
    if (n > 0)
        s->size += (uint64_t)n;
    if (n < 0 && no_splice(errno))
        return copy(s, most);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return discard(s, most);
    return n;
}

static ssize_t read_some(spawn_stream *s, size_t most)
{
    ssize_t n;

    if (s->file >= 0)
        return capture(s, most);
    n = read(s->watch.fd, chunk, most < LOG_AT_ONCE ? most : LOG_AT_ONCE);
    if (n > 0) {
        s->in_second += (size_t)n;
        s->owed -= s->owed < (size_t)n ? s->owed : (size_t)n;
        log_bytes(s, (const char *)chunk, (size_t)n);
    }
    else if (n == 0 || errno != EINTR) {
        s->owed = 0; /* another process has read it */
    }
    return n;
}

/* Up to so many bytes. False at the end of the pipe. */
static bool take(spawn_stream *s, size_t most)
{
    while (most > 0) {
        ssize_t n = read_some(s, most);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        if (n == 0)
            return false;
        most -= (size_t)n;
    }
    return true;
}

/* ---- not too fast ---- */

static void go_on(spawn_timer *t)
{
    spawn_stream *s = SPAWN_OWNER(t, spawn_stream, hold);

    if (!s->paused)
        spawn_watch_events(&s->watch, SPAWN_IN);
}

/* A job that writes faster than the log takes lines, or than is good for it,
 * waits in its write. True: do not read now. */
static bool hold_back(spawn_stream *s)
{
    int64_t now = spawn_mono_ms(), until = now + spawn_backlog_retry_ms();

    if (now - s->second >= 1000) {
        s->second = now;
        s->in_second = 0;
    }
    if (s->in_second >= LOG_A_SECOND)
        until = s->second + 1000;
    else if (!spawn_backlog_crowded())
        return false;
    spawn_watch_pause(&s->watch);
    spawn_timer_set(&s->hold, until);
    return true;
}

static bool take_some(spawn_stream *s)
{
    size_t taken;

    if (s->file >= 0)
        return take(s, BYTES_A_TURN);
    for (taken = 0; taken < LOG_A_TURN; taken += LOG_AT_ONCE) {
        if (hold_back(s))
            return true;
        if (!take(s, LOG_AT_ONCE))
            return false;
    }
    return true;
}

static void free_stream(spawn_stream *s)
{
    spawn_timer_clear(&s->hold);
    spawn_timer_clear(&s->tail);
    spawn_watch_close(&s->watch);
    if (s->file >= 0)
        (void)close(s->file);
    free(s->line);
    spawn_free_later(s);
}

/* A log's tail belongs to no job any more. Lines that the job had written
 * before it ended are taken, however long the log needs. */
static void tail_over(spawn_timer *t)
{
    spawn_stream *s = SPAWN_OWNER(t, spawn_stream, tail);

    if (s->owed > 0) {
        spawn_timer_set(&s->tail, spawn_mono_ms() + LOG_TAIL);
        return;
    }
    log_rest(s);
    free_stream(s);
}

static void stream_ready(spawn_watch *w, int events)
{
    spawn_stream *s = SPAWN_OWNER(w, spawn_stream, watch);

    (void)events;
    if (take_some(s))
        return;
    log_rest(s);
    if (s->tail.place)
        free_stream(s);
    else
        spawn_watch_close(&s->watch);
}

/* ---- making ---- */

static int write_all(int fd, const uint8_t *data, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, data, length);

        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0) {
            data += n;
            length -= (size_t)n;
        }
    }
    return 0;
}

static int watch_stream(spawn_stream **streams, const char *who, int which,
                        int pipe, int file, uint64_t limit)
{
    spawn_stream *s = spawn_alloc(sizeof(*s));
    int rv;

    s->file = file;
    rv = spawn_watch_open(&s->watch, pipe, SPAWN_IN, stream_ready);
    s->tail.fire = tail_over;
    s->hold.fire = go_on;
    s->which = which;
    s->limit = limit;
    if (file < 0)
        (void)snprintf(s->who, sizeof(s->who), "%s", who);
    streams[which] = s;
    return rv;
}

int spawn_output_make(spawn_stream **streams, const char *who, int which,
                      bool capture_it, uint64_t limit, int *ret_write)
{
    int ends[2], file = -1, rv;

    if (capture_it) {
        file = spawn_os_memfd(which ? "spawn-stderr" : "spawn-stdout");
        if (file < 0)
            return file;
    }
    if (pipe2(ends, O_CLOEXEC) < 0) {
        rv = -errno;
        goto fail;
    }
    /* A job opens it anew as /dev/stdout, with an account that may be another
     * one. Only a process that has one end can do that. */
    (void)fchmod(ends[1], 0666);
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0) {
        rv = -errno;
        (void)close(ends[0]);
        (void)close(ends[1]);
        goto fail;
    }
    rv = watch_stream(streams, who, which, ends[0], file, limit);
    if (rv < 0) {
        (void)close(ends[1]); /* the rest is dropped with the others */
        return rv;
    }
    *ret_write = ends[1];
    return 0;
fail:
    if (file >= 0)
        (void)close(file);
    return rv;
}

char *spawn_output_who(const spawn_id *id, char *who)
{
    char text[SPAWN_ID_TEXT];

    (void)snprintf(who, SPAWN_WHO, "job %s", spawn_id_format(id, text));
    return who;
}

/* It may have been captured under another limit: one whose order is lost has 0,
 * since nobody knows which callers may read that. */
static void has_captured(spawn_stream *s, uint64_t size)
{
    s->size = size < s->limit ? size : s->limit;
    s->lost = size - s->size;
}

void spawn_output_adopt(spawn_stream **streams, const char *who, int which,
                        int pipe, int file, uint64_t limit)
{
    struct stat st;

    (void)fcntl(pipe, F_SETFL, O_NONBLOCK);
    if (watch_stream(streams, who, which, pipe, file, limit) < 0)
        spawn_log_few("all jobs", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
                      MSNO(0565) "a job's output cannot be read any more");
    if (file >= 0 && fstat(file, &st) == 0)
        has_captured(streams[which], (uint64_t)st.st_size);
}

int spawn_output_given(spawn_stream **streams, int which, const void *data,
                       size_t length, uint64_t lost)
{
    int file = spawn_os_memfd(which ? "spawn-stderr" : "spawn-stdout");
    spawn_stream *s;

    if (file < 0)
        return file;
    if (write_all(file, data, length) < 0) {
        int error = errno;

        (void)close(file);
        return -error;
    }
    s = spawn_alloc(sizeof(*s));
    s->watch.fd = -1;
    s->file = file;
    s->which = which;
    s->size = s->limit = length;
    s->lost = lost;
    streams[which] = s;
    return 0;
}

void spawn_output_fds(spawn_stream *const *streams, int which, int *ret_pipe,
                      int *ret_file)
{
    const spawn_stream *s = streams[which];

    *ret_pipe = s ? s->watch.fd : -1;
    *ret_file = s ? s->file : -1;
}

/* ---- ending ---- */

void spawn_output_finish(spawn_stream **streams)
{
    int which;

    for (which = 0; which < 2; which++) {
        spawn_stream *s = streams[which];
        int there = 0;
        bool open;

        if (!s)
            continue;
        open = s->watch.fd >= 0;
        if (!open || ioctl(s->watch.fd, FIONREAD, &there) < 0)
            there = 0;
        if (s->file >= 0) {
            if (there > 0)
                (void)take(s, (size_t)there);
            spawn_watch_close(&s->watch);
            continue;
        }
        s->owed = (size_t)there;
        while (open && s->owed > 0 && !spawn_backlog_crowded())
            open = take(s, s->owed < LOG_AT_ONCE ? s->owed : LOG_AT_ONCE);
        streams[which] = NULL;
        if (open) {
            spawn_timer_set(&s->tail, spawn_mono_ms() + LOG_TAIL);
        }
        else {
            log_rest(s);
            free_stream(s);
        }
    }
}

void spawn_output_rename(spawn_stream *const *streams, const char *who)
{
    int which;

    for (which = 0; which < 2; which++) {
        spawn_stream *s = streams[which];
        int there = 0;

        if (!s || s->file >= 0)
            continue;
        if (s->watch.fd >= 0 && ioctl(s->watch.fd, FIONREAD, &there) == 0
            && there > 0)
            (void)take(s, (size_t)there);
        log_rest(s);
        (void)snprintf(s->who, sizeof(s->who), "%s", who);
        spawn_logs_whose(NULL, &s->whose);
    }
}

void spawn_output_pause(spawn_stream *const *streams)
{
    int which;

    for (which = 0; which < 2; which++) {
        if (!streams[which] || streams[which]->paused)
            continue;
        streams[which]->paused = true;
        spawn_watch_pause(&streams[which]->watch);
    }
}

void spawn_output_go_on(spawn_stream *const *streams, const char *who)
{
    int which;

    for (which = 0; which < 2; which++) {
        spawn_stream *s = streams[which];

        if (!s || !s->paused)
            continue;
        (void)snprintf(s->who, sizeof(s->who), "%s", who);
        s->paused = false;
        spawn_watch_events(&s->watch, SPAWN_IN);
    }
}

void spawn_output_belongs(spawn_stream *const *streams,
                          const spawn_whose *whose)
{
    int which;

    for (which = 0; which < 2; which++) {
        spawn_stream *s = streams[which];

        if (!s || s->file >= 0)
            continue;
        s->whose = *whose;
    }
}

void spawn_output_drop(spawn_stream **streams)
{
    int which;

    for (which = 0; which < 2; which++) {
        if (streams[which])
            free_stream(streams[which]);
        streams[which] = NULL;
    }
}

/* ---- for the store ---- */

void spawn_output_lost(spawn_job *job, const spawn_message *order)
{
    spawn_stdio s;
    unsigned which;

    for (which = 0; which < 2; which++) {
        if (!spawn_has(order, SPAWN_A_STDOUT + which))
            continue;
        spawn_attr_stdio(&order->attr[SPAWN_A_STDOUT + which], &s);
        if (s.how == SPAWN_STDIO_CAPTURE)
            job->outputs_lost |= (uint8_t)(1u << which);
    }
}

bool spawn_output_captured(const spawn_job *job)
{
    return job->outputs_lost || (job->streams[0] && job->streams[0]->file >= 0)
           || (job->streams[1] && job->streams[1]->file >= 0);
}

size_t spawn_output_size(const spawn_job *job)
{
    size_t size = 0;
    int i;

    for (i = 0; i < 2; i++) {
        const spawn_stream *s = job->streams[i];

        if (s && s->file >= 0)
            size += (size_t)s->size;
    }
    return size;
}

void spawn_output_get(const spawn_job *job, int which, spawn_captured *ret)
{
    const spawn_stream *s = job->streams[which];

    memset(ret, 0, sizeof(*ret));
    if (job->outputs_lost & 1u << which) {
        ret->there = true;
        ret->lost = SPAWN_LOST_ALL;
        return;
    }
    if (!s || s->file < 0)
        return;
    ret->there = true;
    ret->lost = s->lost;
    if (s->size == 0)
        return;
    ret->data = mmap(NULL, (size_t)s->size, PROT_READ, MAP_SHARED, s->file, 0);
    if (ret->data == MAP_FAILED) {
        ret->data = NULL;
        ret->lost += s->size;
        return;
    }
    ret->length = (size_t)s->size;
}

void spawn_output_put(spawn_captured *c)
{
    if (c->data)
        (void)munmap(c->data, c->length);
    c->data = NULL;
}
