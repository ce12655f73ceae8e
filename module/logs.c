/* SPDX-License-Identifier: Apache-2.0 */
/*
 * httpd's error logs for the pair. Runs in the httpd parent, at a start and at
 * each restart, when core has opened the logs.
 *
 * The file of kept lines lies in a directory that the broker's account can
 * write, and is opened by root: it must follow no link, neither to the
 * directory nor to the file, and use nothing but a plain file of our own with
 * one name. The file's bytes go through httpd's own escaping.
 */
#include "module/logs.h"

#include <fcntl.h>
#include <syslog.h>
#include <unistd.h>
#include <sys/stat.h>

#include "http_main.h"

#include "common/spawn_log.h"
#include "common/spawn_sink.h"
#include "module/runtime_dir.h"

#define NAME_MAX_BYTES 255
#define LINE_ROOM      4096 /* most bytes of a kept line */

static int fd_of(const apr_file_t *file)
{
    apr_os_file_t fd;

    return file && apr_os_file_get(&fd, (apr_file_t *)file) == APR_SUCCESS ? fd
                                                                           : -1;
}

int spawn_logs_fd_of(const server_rec *s)
{
    int fd = fd_of(s->error_log);

    return fd < 0 ? STDERR_FILENO : fd;
}

/* ---- the system's log ---- */

/* Does the core write to the system's log? It has no file open then. (If
 * another module takes httpd's lines elsewhere, the system's log is the best
 * place for ours, since only httpd can reach that module.) */
static bool to_system(const server_rec *s)
{
    return !s->error_log;
}

static int facility_of(const char *name, size_t length)
{
    static const struct {
        const char *name;
        int value;
    } known[] = {{"auth", LOG_AUTH},     {"authpriv", LOG_AUTHPRIV},
                 {"cron", LOG_CRON},     {"daemon", LOG_DAEMON},
                 {"ftp", LOG_FTP},       {"kern", LOG_KERN},
                 {"lpr", LOG_LPR},       {"mail", LOG_MAIL},
                 {"news", LOG_NEWS},     {"syslog", LOG_SYSLOG},
                 {"user", LOG_USER},     {"uucp", LOG_UUCP},
                 {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1},
                 {"local2", LOG_LOCAL2}, {"local3", LOG_LOCAL3},
                 {"local4", LOG_LOCAL4}, {"local5", LOG_LOCAL5},
                 {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7}};
    size_t i;

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strncasecmp(name, known[i].name, length) == 0
            && known[i].name[length] == '\0')
            return known[i].value;
    }
    return LOG_LOCAL7; /* httpd's own default */
}

/* ErrorLog syslog[:facility[:tag]], as core reads it. */
static void put_system(spawn_writer *w, const server_rec *s)
{
    const char *name = s->error_fname ? s->error_fname : "";
    const char *facility =
        strncasecmp(name, "syslog", 6) == 0 ? strchr(name, ':') : NULL;
    const char *tag = facility ? strchr(facility + 1, ':') : NULL;
    char text[SPAWN_LOG_TAG_MAX + 1];
    size_t length = 0;

    if (facility)
        length = tag ? (size_t)(tag - ++facility) : strlen(++facility);
    apr_cpystrn(text, tag && tag[1] ? tag + 1 : ap_server_argv0, sizeof(text));
    spawn_put_u64(
        w, SPAWN_A_LOG_FACILITY,
        (uint64_t)(length ? facility_of(facility, length) : LOG_LOCAL7));
    spawn_put_str(w, SPAWN_A_LOG_TAG, text);
}

/* ---- virtual hosts ---- */

/* Has it a log of its own, and a name for the context of its jobs? */
static bool is_apart(const server_rec *s, const server_rec *vhost)
{
    const char *name = vhost->server_hostname;

    if (!name || !*name || strlen(name) > NAME_MAX_BYTES)
        return false;
    if (to_system(vhost))
        return !to_system(s);
    return vhost->error_log && vhost->error_log != s->error_log;
}

static int index_of(const spawn_vhost_logs *logs, const apr_file_t *file)
{
    unsigned i;

    for (i = 0; i < logs->count; i++) {
        if (logs->files[i] == file)
            return (int)i;
    }
    return -1;
}

void spawn_logs_collect(server_rec *s, spawn_vhost_logs *ret)
{
    const server_rec *vhost;
    unsigned left_out = 0;

    ret->count = 0;
    for (vhost = s->next; vhost; vhost = vhost->next) {
        if (!is_apart(s, vhost) || !vhost->error_log
            || index_of(ret, vhost->error_log) >= 0)
            continue;
        if (ret->count == SPAWN_VHOST_LOGS_MAX) {
            left_out++;
            continue;
        }
        ret->files[ret->count] = vhost->error_log;
        ret->fds[ret->count++] = fd_of(vhost->error_log);
    }
    if (left_out)
        ap_log_error(
            APLOG_MARK, APLOG_NOTICE, 0, s,
            MSNO(0203) "virtual hosts have %u error logs, and lines of "
                       "jobs go to %d of them; those of jobs of the "
                       "others stand here",
            ret->count + left_out, SPAWN_VHOST_LOGS_MAX);
}

void spawn_logs_put(spawn_writer *w, const server_rec *s,
                    const spawn_vhost_logs *logs)
{
    const server_rec *vhost;

    if (to_system(s))
        put_system(w, s);
    for (vhost = s->next; vhost; vhost = vhost->next) {
        int index = index_of(logs, vhost->error_log);
        size_t mark;

        if (!is_apart(s, vhost) || (vhost->error_log && index < 0))
            continue;
        mark = spawn_open_nest(w, SPAWN_A_VHOST_LOG);
        spawn_put_str(w, SPAWN_A_TEXT, vhost->server_hostname);
        if (vhost->error_log)
            spawn_put_u64(w, SPAWN_A_SEQ, (uint64_t)index);
        else
            put_system(w, vhost);
        spawn_close(w, mark);
    }
}

/* ---- kept lines ---- */

int spawn_logs_open_kept(const spawn_setup *setup)
{
    const int flags =
        O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    int store_fd, fd, error;
    struct stat st;

    if (spawn_dir_of_store(setup->p, setup->s, setup->r->store_path,
                           setup->owner, &store_fd)
        != APR_SUCCESS)
        return -1; /* already logged */
    fd = openat(store_fd, SPAWN_LOG_KEPT, flags, 0600);
    error = fd < 0 ? errno : 0;
    (void)close(store_fd);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)
        && st.st_nlink == 1 && st.st_uid == geteuid())
        return fd;
    ap_log_error(APLOG_MARK, APLOG_WARNING, error, setup->s,
                 MSNO(0204) "cannot use %s/" SPAWN_LOG_KEPT
                            ", which must be a plain file of uid %lu with one "
                            "name; lines that the error log does not take are "
                            "lost",
                 setup->r->store_path, (unsigned long)geteuid());
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

/* Write all of its lines; the last one may be cut off. */
static unsigned write_lines(const spawn_setup *setup, int fd)
{
    char room[LINE_ROOM + 1];
    size_t used = 0;
    unsigned count = 0;
    ssize_t n;

    while ((n = read(fd, room + used, LINE_ROOM - used)) > 0 || used > 0) {
        char *end;
        size_t length;

        used += n > 0 ? (size_t)n : 0;
        end = memchr(room, '\n', used);
        length = end ? (size_t)(end - room) : used;
        room[length] = '\0';
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, setup->s,
                     MSNO(0205) "kept while an error log took no lines: %s",
                     room);
        length += end != NULL;
        memmove(room, room + length, used - length);
        used -= length;
        if (++count > SPAWN_LOG_KEPT_MAX)
            break;
    }
    return count;
}

void spawn_logs_write_kept(const spawn_setup *setup)
{
    int fd = spawn_logs_open_kept(setup);
    struct stat st;

    if (fd < 0)
        return;
    /* a file over the limit is not ours */
    if (fstat(fd, &st) == 0 && st.st_size > 0
        && (st.st_size > 2 * SPAWN_LOG_KEPT_MAX || write_lines(setup, fd) > 0)
        && ftruncate(fd, 0) < 0)
        ap_log_error(APLOG_MARK, APLOG_WARNING, errno, setup->s,
                     MSNO(0206) "cannot empty " SPAWN_LOG_KEPT
                                " in the store; its lines will stand here "
                                "once more");
    (void)close(fd);
}
