/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories and the lock. Runs in the httpd parent, often as root, in
 * directories that belong to httpd's User: so every step is made relative to
 * an opened directory and never through a symbolic link, and nothing that was
 * there before is given to anybody.
 */
#include "runtime_dir.h"

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
} dir_request;

/* One step down: open name in parent, made when missing. Negative errno or a
 * descriptor. */
static int enter(const dir_request *q, int parent, const char *name,
                 mode_t mode)
{
    int fd = openat(parent, name, DIR_FLAGS | O_NOFOLLOW);
    int error;

    if (fd >= 0 || errno != ENOENT)
        return fd >= 0 ? fd : -errno;
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

/* Walk down from an opened directory, making what is missing. Takes fd. */
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

/* What of path is below the directory, or NULL. */
static const char *below(const char *dir, const char *path)
{
    size_t length = strlen(dir);

    while (length > 1 && dir[length - 1] == '/')
        length--;
    return strncmp(dir, path, length) == 0 && path[length] == '/'
               ? path + length + 1
               : NULL;
}

/* With errno. */
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
    if (fd < 0) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, -fd, q->s,
                     MSNO(0121) "cannot make or open the directory %s (%s); "
                                "it must be a directory, not a symbolic link",
                     q->path, q->directive);
        return APR_EGENERAL;
    }
    *ret_fd = fd;
    return APR_SUCCESS;
}

apr_status_t spawn_dir_of_socket(apr_pool_t *p, server_rec *s,
                                 const char *socket_path,
                                 const spawn_account *account, int *ret_fd)
{
    const char *slash = strrchr(socket_path, '/');
    dir_request q = {s, "SpawnSocket", NULL, account, 0711};

    if (slash == socket_path) {
        *ret_fd = open("/", DIR_FLAGS);
        return *ret_fd < 0 ? errno : APR_SUCCESS;
    }
    q.path = apr_pstrndup(p, socket_path, (apr_size_t)(slash - socket_path));
    return open_dir(p, &q, ret_fd);
}

apr_status_t spawn_dir_of_store(apr_pool_t *p, server_rec *s, const char *path,
                                const spawn_account *account, int *ret_fd)
{
    dir_request q = {s, "SpawnStore", path, account, 0700};
    struct stat st;
    int fd;
    apr_status_t rv = open_dir(p, &q, &fd);

    if (rv != APR_SUCCESS)
        return rv;
    if (fstat(fd, &st) < 0) {
        rv = errno;
        (void)close(fd);
        return rv;
    }
    if (st.st_uid != account->uid || (st.st_mode & S_IWOTH)) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s,
                     MSNO(0122) "the store %s belongs to uid %lu and has mode "
                                "%04o; it must belong to uid %lu (%s) and be "
                                "writable for nobody else: use chown and "
                                "chmod 0700, or set another SpawnStore",
                     path, (unsigned long)st.st_uid,
                     (unsigned)(st.st_mode & 07777),
                     (unsigned long)account->uid, account->user);
        (void)close(fd);
        return APR_EACCES;
    }
    *ret_fd = fd;
    return APR_SUCCESS;
}

/* Whether a directory that is not there can be made: its parent is there, or
 * is made too. */
static apr_status_t parent_look(apr_pool_t *p, server_rec *s, const char *path,
                                const char *directive)
{
    const char *base = ap_runtime_dir_relative(p, "");
    const char *slash = strrchr(path, '/');
    const char *parent =
        slash == path ? "/"
                      : apr_pstrmemdup(p, path, (apr_size_t)(slash - path));
    struct stat st;

    if (base && below(base, path))
        return APR_SUCCESS;
    if (stat(parent, &st) == 0 && S_ISDIR(st.st_mode))
        return APR_SUCCESS;
    errno = ENOENT;
    no_directory(s, parent, path, directive);
    return APR_EGENERAL;
}

apr_status_t spawn_socket_look(apr_pool_t *p, server_rec *s, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct stat st;

    if (lstat(path, &st) == 0) {
        if (S_ISSOCK(st.st_mode))
            return APR_SUCCESS; /* an old one goes; whose it is, is asked then
                                 */
        spawn_no_socket(s, path, EEXIST);
        return APR_EGENERAL;
    }
    if (errno != ENOENT || slash == path)
        return APR_SUCCESS; /* made at the start, or told then */
    path = apr_pstrmemdup(p, path, (apr_size_t)(slash - path));
    return lstat(path, &st) == 0 || errno != ENOENT
               ? APR_SUCCESS
               : parent_look(p, s, path, "SpawnSocket");
}

/* As open_dir and spawn_dir_of_store would say, and nothing is made. */
apr_status_t spawn_store_look(apr_pool_t *p, server_rec *s, const char *path,
                              const spawn_account *account)
{
    const char *base = ap_runtime_dir_relative(p, "");
    struct stat st;
    int fd;

    if (lstat(path, &st) < 0)
        return errno != ENOENT /* told at the start */
                   ? APR_SUCCESS
                   : parent_look(p, s, path, "SpawnStore");
    if (base && below(base, path))
        return APR_SUCCESS;
    return spawn_dir_of_store(p, s, path, account, &fd) == APR_SUCCESS
                   && close(fd) == 0
               ? APR_SUCCESS
               : APR_EGENERAL;
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
                     MSNO(0123) "cannot open %s/lock; it must be a plain "
                                "file: remove what stands there",
                     path);
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
