/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories and the lock. Runs in the httpd parent, often as root, in
 * directories that belong to httpd's User: so each step must be relative to an
 * opened directory and never follow a symbolic link, and nothing that was there
 * before may be given to anybody.
 */
#include "module/runtime_dir.h"
#include "module/config.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

typedef struct {
    server_rec *s;
    const char *directive; /* that names the path, for messages */
    const char *path;
    const spawn_account *account;
    mode_t mode;
    bool look; /* nothing is made */
} dir_request;

/* Could we make something in it? errno says why not. */
static bool writable(int dir_fd)
{
    return faccessat(dir_fd, ".", W_OK | X_OK, AT_EACCESS) == 0;
}

/* One step down: open name in parent, made when missing. Negative errno or a
 * descriptor; -ENOENT when only looking: it would be made. */
static int enter(const dir_request *q, int parent, const char *name,
                 mode_t mode)
{
    int fd = openat(parent, name, DIR_FLAGS | O_NOFOLLOW);
    int error;

    if (fd >= 0 || errno != ENOENT)
        return fd >= 0 ? fd : -errno;
    if (q->look)
        return writable(parent) ? -ENOENT : -errno;
    if (mkdirat(parent, name, mode) < 0)
        return -errno;
    fd = openat(parent, name, DIR_FLAGS | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    if (fchmod(fd, mode) < 0
        || (q->account->switched
            && fchown(fd, q->account->uid, q->account->gid) < 0)) {
        error = errno;
        (void)close(fd);
        return -error;
    }
    return fd;
}

/* Walk down from an opened directory, making missing ones. Takes fd. */
static int enter_all(apr_pool_t *p, const dir_request *q, int fd,
                     const char *rest)
{
    char *last, *name, *next;

    name = apr_strtok(apr_pstrdup(p, rest), "/", &last);
    while (fd >= 0 && name) {
        int below;

        next = apr_strtok(NULL, "/", &last);
        below = enter(q, fd, name, next ? 0711 : q->mode);
        (void)close(fd);
        fd = below;
        name = next;
    }
    return fd;
}

/* The part of path below the directory, or NULL. */
static const char *below(const char *dir, const char *path)
{
    size_t length = strlen(dir);

    while (length > 1 && dir[length - 1] == '/')
        length--;
    return strncmp(dir, path, length) == 0 && path[length] == '/'
               ? path + length + 1
               : NULL;
}

/* Logs, with errno. */
static void no_directory(server_rec *s, const char *base, const char *path,
                         const char *directive)
{
    ap_log_error(APLOG_MARK, APLOG_CRIT, errno, s,
                 MSNO(0120) "cannot open the directory %s, which is to hold "
                            "%s (%s); make it, or set another path",
                 base, path, directive);
}

/* Parents are made below DefaultRuntimeDir only: elsewhere a missing parent is
 * more likely a slip of the pen. */
static apr_status_t open_dir(apr_pool_t *p, const dir_request *q, int *ret_fd)
{
    const char *base = ap_runtime_dir_relative(p, "");
    const char *rest = base ? below(base, q->path) : NULL;
    const char *slash = strrchr(q->path, '/');
    int fd;

    if (!rest) {
        base = slash == q->path
                   ? "/"
                   : apr_pstrndup(p, q->path, (apr_size_t)(slash - q->path));
        rest = slash + 1;
    }
    fd = open(base, DIR_FLAGS);
    if (fd < 0) {
        no_directory(q->s, base, q->path, q->directive);
        return APR_EGENERAL;
    }
    fd = enter_all(p, q, fd, rest);
    if (q->look && fd == -ENOENT) {
        *ret_fd = -1;
        return APR_SUCCESS;
    }
    if (fd < 0) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, -fd, q->s,
                     MSNO(0121) "cannot make or open the directory %s (%s); "
                                "it must be a directory, not a symbolic link",
                     q->path, q->directive);
        return APR_EGENERAL;
    }
    if (q->look && !writable(fd)) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, errno, q->s,
                     MSNO(0282) "nothing can be made in the directory %s (%s); "
                                "who starts httpd must be able to write there",
                     q->path, q->directive);
        (void)close(fd);
        return APR_EGENERAL;
    }
    *ret_fd = fd;
    return APR_SUCCESS;
}

/* An account that can rename in it can put another socket there. */
static apr_status_t check_owner(const dir_request *q, int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return errno;
    if ((st.st_uid == 0 || st.st_uid == q->account->uid)
        && !(st.st_mode & (S_IWGRP | S_IWOTH)))
        return APR_SUCCESS;
    ap_log_error(APLOG_MARK, APLOG_CRIT, 0, q->s,
                 MSNO(0274) "the directory %s (SpawnSocket) belongs to uid %lu "
                            "and has mode %04o; with SpawnBrokerUser it must "
                            "belong to that account (uid %lu) or to root, and "
                            "be writable for nobody else: use chown and "
                            "chmod 0711, or set another SpawnSocket",
                 q->path, (unsigned long)st.st_uid,
                 (unsigned)(st.st_mode & 07777),
                 (unsigned long)q->account->uid);
    return APR_EACCES;
}

static apr_status_t dir_of_socket(apr_pool_t *p, server_rec *s,
                                  const char *socket_path,
                                  const spawn_account *account, bool look,
                                  int *ret_fd)
{
    const char *slash = strrchr(socket_path, '/');
    dir_request q = {s, "SpawnSocket", NULL, account, 0711, look};
    apr_status_t rv;

    if (slash == socket_path) {
        *ret_fd = open("/", DIR_FLAGS);
        return *ret_fd < 0 ? errno : APR_SUCCESS;
    }
    q.path = apr_pstrndup(p, socket_path, (apr_size_t)(slash - socket_path));
    rv = open_dir(p, &q, ret_fd);
    if (rv != APR_SUCCESS || *ret_fd < 0
        || spawn_config_of(s)->broker != account)
        return rv;
    rv = check_owner(&q, *ret_fd);
    if (rv != APR_SUCCESS)
        (void)close(*ret_fd);
    return rv;
}

apr_status_t spawn_dir_of_socket(apr_pool_t *p, server_rec *s,
                                 const char *socket_path,
                                 const spawn_account *account, int *ret_fd)
{
    return dir_of_socket(p, s, socket_path, account, false, ret_fd);
}

apr_status_t spawn_look_for_socket(apr_pool_t *p, server_rec *s,
                                   const char *socket_path,
                                   const spawn_account *account)
{
    struct stat st;
    int fd;
    apr_status_t rv = dir_of_socket(p, s, socket_path, account, true, &fd);

    if (rv == APR_SUCCESS && fd >= 0)
        (void)close(fd);
    /* an old socket is replaced; the start asks whose it is */
    if (rv == APR_SUCCESS && lstat(socket_path, &st) == 0
        && !S_ISSOCK(st.st_mode)) {
        spawn_no_socket(s, socket_path, EEXIST);
        return APR_EGENERAL;
    }
    return rv;
}

static apr_status_t dir_of_store(apr_pool_t *p, server_rec *s, const char *path,
                                 const spawn_account *account, bool look,
                                 int *ret_fd)
{
    dir_request q = {s, "SpawnStore", path, account, 0700, look};
    struct stat st;
    int fd;
    apr_status_t rv = open_dir(p, &q, &fd);

    if (rv != APR_SUCCESS || fd < 0) {
        *ret_fd = -1;
        return rv;
    }
    if (fstat(fd, &st) < 0) {
        rv = errno;
        (void)close(fd);
        return rv;
    }
    if (st.st_uid != account->uid || (st.st_mode & (S_IWGRP | S_IWOTH))) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s,
                     MSNO(0122) "the store %s belongs to uid %lu and has mode "
                                "%04o; it must belong to uid %lu (%s) and be "
                                "writable for nobody else: use chown and "
                                "chmod 0700, or set another SpawnStore",
                     path, (unsigned long)st.st_uid,
                     (unsigned)(st.st_mode & 07777),
                     (unsigned long)account->uid,
                     *account->user ? account->user : "it has no name");
        (void)close(fd);
        return APR_EACCES;
    }
    *ret_fd = fd;
    return APR_SUCCESS;
}

apr_status_t spawn_dir_of_store(apr_pool_t *p, server_rec *s, const char *path,
                                const spawn_account *account, int *ret_fd)
{
    return dir_of_store(p, s, path, account, false, ret_fd);
}

apr_status_t spawn_look_for_store(apr_pool_t *p, server_rec *s,
                                  const char *path,
                                  const spawn_account *account, int *ret_fd)
{
    return dir_of_store(p, s, path, account, true, ret_fd);
}

bool spawn_store_held(int store_fd)
{
    int fd = openat(store_fd, "lock",
                    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    bool held;

    if (fd < 0)
        return false;
    held = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    (void)close(fd);
    return held;
}

/* Could it not be opened for what it is? */
static bool stands_there(int error)
{
    return error == EINVAL || error == EISDIR || error == ELOOP
           || error == ENXIO;
}

apr_status_t spawn_store_lock(server_rec *s, int store_fd, const char *path,
                              int *ret_fd)
{
    struct stat st;
    int fd =
        openat(store_fd, "lock",
               O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    int error;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        error = fd < 0 ? errno : EINVAL;
        if (fd >= 0)
            (void)close(fd);
        ap_log_error(APLOG_MARK, APLOG_CRIT, error, s,
                     MSNO(0123) "cannot open %s/lock%s", path,
                     stands_there(error)
                         ? "; it must be a plain file: remove what stands there"
                         : "");
        return error;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        *ret_fd = fd;
        return APR_SUCCESS;
    }
    error = errno;
    (void)close(fd);
    if (error == EWOULDBLOCK)
        return APR_EBUSY;
    ap_log_error(APLOG_MARK, APLOG_CRIT, error, s,
                 MSNO(0124) "cannot lock %s/lock; the store must be in a "
                            "file system that has locks",
                 path);
    return error;
}

void spawn_no_socket(server_rec *s, const char *path, int error)
{
    ap_log_error(APLOG_MARK, APLOG_CRIT, error, s,
                 MSNO(0131) "cannot make the socket %s; the directory must be "
                            "writable, and nothing but an old socket may stand "
                            "there",
                 path);
}
