/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spool's writing end. The httpd parent opens the directory, once: children
 * need not be able to reach its path (chroot, a closed directory above), and
 * nobody can lead them elsewhere. Runs in the httpd parent and its children. A
 * file must not have a job's name before it is whole.
 */
#include "module/spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http_main.h"

#include "module/config.h"
#include "module/few.h"
#include "module/retained.h"
#include "module/runtime_dir.h"
#include "common/spawn_fd.h"
#include "common/spawn_os.h"
#include "common/spawn_spool.h"

#define RETAINED_KEY "mod_spawn-spool-2"
#define LOOK_MS      1000 /* between two looks of a process at what is there */

typedef struct {
    spawn_kept_fd dir; /* handlers may have closed it */
} spool;

/* Plain values only, as in retained.h. */
static spool *spool_get(void)
{
    spool *kept = ap_retained_data_get(RETAINED_KEY);

    if (!kept) {
        kept = ap_retained_data_create(RETAINED_KEY, sizeof(*kept));
        kept->dir.fd = -1;
    }
    return kept;
}

/* When the broker has an account of its own, httpd's children write there by
 * their group, and nobody else can come there: the store is closed to all but
 * the broker, and they have the directory's descriptor. */
static mode_t mode_of(const spawn_account *owner, const spawn_account *account)
{
    return owner->uid == account->uid ? 0700 : 0730;
}

static int give(int fd, const spawn_account *owner,
                const spawn_account *account)
{
    return fchown(fd, owner->uid, account->gid) < 0
                   || fchmod(fd, mode_of(owner, account)) < 0
               ? -errno
               : 0;
}

/* A descriptor or a negative errno. */
static int open_below(int store_fd, const spawn_account *owner,
                      const spawn_account *account)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(store_fd, SPAWN_SPOOL_DIR, flags);
    int rv;

    if (fd >= 0 || errno != ENOENT)
        return fd >= 0 ? fd : -errno;
    if (mkdirat(store_fd, SPAWN_SPOOL_DIR, 0700) < 0)
        return -errno;
    fd = openat(store_fd, SPAWN_SPOOL_DIR, flags);
    if (fd < 0)
        return -errno;
    rv = account->switched ? give(fd, owner, account) : 0;
    if (rv == 0)
        return fd;
    (void)close(fd);
    return rv;
}

/* As it is left by a broker that had an account of its own. */
static bool is_given(const struct stat *st, const spawn_account *account)
{
    return (st->st_mode & 07777) == 0730 && st->st_gid == account->gid;
}

/* Only the account that writes there may make files there. 0 or a negative
 * errno. */
static int check(int fd, const spawn_account *owner,
                 const spawn_account *account)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_uid != owner->uid)
        return -EPERM;
    if (account->switched
        && (owner->uid != account->uid || is_given(&st, account)))
        return give(fd, owner, account);
    return st.st_mode & (S_IWGRP | S_IWOTH) ? -EPERM : 0;
}

apr_status_t spawn_spool_begin(apr_pool_t *p, server_rec *s,
                               const char *store_path,
                               const spawn_account *owner,
                               const spawn_account *account)
{
    spool *kept = spool_get();
    int store_fd, fd, wrong;
    apr_status_t rv = spawn_dir_of_store(p, s, store_path, owner, &store_fd);

    if (rv != APR_SUCCESS)
        return rv;
    fd = open_below(store_fd, owner, account);
    (void)close(store_fd);
    wrong = fd >= 0 ? check(fd, owner, account) : 0;
    if (wrong) {
        (void)close(fd);
        fd = wrong;
    }
    if (fd == -ENOSPC || fd == -EDQUOT) {
        ap_log_error(
            APLOG_MARK, APLOG_WARNING, -fd, s,
            MSNO(0280) "the directory %s/%s cannot be made: work after "
                       "the answer that cannot be posted at once is "
                       "refused until httpd is restarted",
            store_path, SPAWN_SPOOL_DIR);
        return APR_SUCCESS;
    }
    if (fd < 0) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, -fd, s,
                     MSNO(0210) "cannot make or open the directory %s/%s; it "
                                "must be a directory that belongs to uid %lu "
                                "and that nobody else can write to",
                     store_path, SPAWN_SPOOL_DIR, (unsigned long)owner->uid);
        return APR_EGENERAL;
    }
    spawn_fd_close(&kept->dir);
    spawn_fd_keep(&kept->dir, fd);
    return APR_SUCCESS;
}

bool spawn_spool_there(void)
{
    int fd = spawn_fd_kept(&spool_get()->dir);
    struct stat st;

    return fd < 0 || fstat(fd, &st) < 0 || st.st_nlink > 0;
}

void spawn_spool_drop(void)
{
    spool *kept = ap_retained_data_get(RETAINED_KEY);

    if (kept)
        spawn_fd_close(&kept->dir);
}

/* 0 or a negative errno. */
static int write_all(int fd, const void *message, size_t length)
{
    const char *at = message;

    while (length > 0) {
        ssize_t n = write(fd, at, length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        at += n;
        length -= (size_t)n;
    }
    return 0;
}

/* Of a file: the directory's owner reads it. When that is another account,
 * nobody but it and we can come to the file. */
static mode_t file_mode(int dir_fd)
{
    struct stat st;

    return fstat(dir_fd, &st) == 0 && st.st_uid != geteuid() ? 0644 : 0600;
}

static int write_in(int dir_fd, const spawn_id *id, const void *message,
                    size_t length)
{
    char name[SPAWN_ID_TEXT], unfinished[SPAWN_ID_TEXT + 8];
    mode_t mode = file_mode(dir_fd);
    int fd, rv;

    (void)spawn_id_format(id, name);
    (void)snprintf(unfinished, sizeof(unfinished), "%s%s",
                   SPAWN_SPOOL_UNFINISHED, name);
    fd = openat(dir_fd, unfinished,
                O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    rv = mode != 0600 && fchmod(fd, mode) < 0 ? -errno : 0;
    if (rv == 0)
        rv = write_all(fd, message, length);
    if (close(fd) < 0 && rv == 0)
        rv = -errno;
    if (rv == 0 && renameat(dir_fd, unfinished, dir_fd, name) < 0)
        rv = -errno;
    if (rv < 0)
        (void)unlinkat(dir_fd, unfinished, 0);
    return rv;
}

/* ---- how much there is ---- */

/* Our count of its files: when we looked (0: never), and what was there then,
 * with the files that we have written since. Other children write, too, and the
 * broker removes: so it is looked again. */
static int64_t looked_at;
static uint64_t used;

/* A small file takes a page of a file system in memory, too. */
static uint64_t room_of(uint64_t bytes)
{
    return (bytes + SPAWN_SPOOL_PAGE - 1) / SPAWN_SPOOL_PAGE * SPAWN_SPOOL_PAGE;
}

/* Of a spool that belongs to the broker's account children have a descriptor,
 * and may open none. Its place is everybody's: then two processes that look at
 * once may count some files twice or not at all, which matters little. */
static DIR *open_to_look(int dir_fd)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir;

    if (fd < 0)
        fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
    dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir && fd >= 0)
        (void)close(fd);
    if (dir)
        rewinddir(dir);
    return dir;
}

/* The broker could not read it, and nobody takes it. */
static bool is_set_aside(const char *name)
{
    const char *end = strrchr(name, '.');

    return end && strcmp(end, ".bad") == 0;
}

static uint64_t look(int dir_fd)
{
    DIR *dir = open_to_look(dir_fd);
    const struct dirent *e;
    uint64_t sum = 0;
    struct stat st;

    while (dir && sum < SPAWN_SPOOL_MOST && (e = readdir(dir))) {
        if (e->d_name[0] != '.' && !is_set_aside(e->d_name)
            && fstatat(dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            sum += room_of((uint64_t)st.st_size);
    }
    if (dir)
        (void)closedir(dir);
    return sum;
}

/* Visitors cause the jobs that come here, and nobody takes them while a queue
 * is full or paused: what they can fill has an end. Two threads may look at
 * once. */
static bool has_room(int dir_fd, size_t length)
{
    int64_t now = spawn_mono_ms(),
            at = __atomic_load_n(&looked_at, __ATOMIC_RELAXED);
    uint64_t more = room_of(length);

    if (at == 0 || now - at >= LOOK_MS) {
        __atomic_store_n(&looked_at, now, __ATOMIC_RELAXED);
        __atomic_store_n(&used, look(dir_fd), __ATOMIC_RELAXED);
    }
    if (__atomic_load_n(&used, __ATOMIC_RELAXED) + more > SPAWN_SPOOL_MOST)
        return false;
    (void)__atomic_add_fetch(&used, more, __ATOMIC_RELAXED);
    return true;
}

static void tell_full(void)
{
    static spawn_few few;

    if (ap_server_conf
        && spawn_few_lines(&few, ap_server_conf, APLOG_ERR, "MS0180",
                           "the spool"))
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, ap_server_conf,
                     MSNO(0180) "the spool in %s is full (%u MB): jobs that "
                                "cannot be posted are refused until the broker "
                                "takes some from there; is their queue paused, "
                                "full, or slower than its jobs come?",
                     spawn_retained_get()->store_path,
                     (unsigned)(SPAWN_SPOOL_MOST >> 20));
}

static int write_if_room(int dir_fd, const spawn_id *id, const void *message,
                         size_t length)
{
    if (has_room(dir_fd, length))
        return write_in(dir_fd, id, message, length);
    tell_full();
    return -ENOBUFS;
}

/* The directory was removed, and httpd's parent has made another one: open that
 * for this job, since a child cannot get the parent's new descriptor. */
static int open_anew(void)
{
    char path[SPAWN_STORE_PATH_MAX + sizeof(SPAWN_SPOOL_DIR) + 1];
    struct stat st;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/" SPAWN_SPOOL_DIR,
                   spawn_retained_get()->store_path);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) == 0 && st.st_uid == geteuid()
        && !(st.st_mode & (S_IWGRP | S_IWOTH)))
        return fd;
    (void)close(fd);
    return -EPERM;
}

int spawn_spool_write(const spawn_id *id, const void *message, size_t length)
{
    int dir_fd = spawn_fd_kept(&spool_get()->dir);
    int rv = dir_fd < 0 ? -ENOENT : write_if_room(dir_fd, id, message, length);

    if (rv != -ENOENT)
        return rv;
    dir_fd = open_anew();
    if (dir_fd < 0)
        return dir_fd;
    rv = write_if_room(dir_fd, id, message, length);
    (void)close(dir_fd);
    return rv;
}
