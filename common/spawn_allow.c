/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns of SpawnAllow, and where programs lie. Runs in every process, on
 * hostile names. Must write to the caller's memory only (spawn_raw.h): a job's
 * process that judges shares the spawner's.
 */
#include "common/spawn_allow.h"

#include <stdio.h>
#include <string.h>

#include "common/spawn_field.h"
#include "common/spawn_raw.h"

#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef O_PATH
#define O_PATH 010000000
#endif
#define RESOLVE_WITHOUT_WAITING 0x20 /* RESOLVE_CACHED */

/* struct open_how of the kernel. */
typedef struct {
    uint64_t flags, mode, resolve;
} open_how;

/* ---- patterns ---- */

/* A set, behind its '['. Its end, or NULL: it has none. *ret: is c in it? */
static const char *match_set(const char *p, unsigned char c, bool *ret)
{
    bool wanted = true, first = true;

    *ret = false;
    if (*p == '!' || *p == '^') {
        wanted = false;
        p++;
    }
    for (; *p && (*p != ']' || first); p++) {
        unsigned char from, to;

        first = false;
        if (*p == '\\' && p[1])
            p++;
        from = to = (unsigned char)*p;
        if (p[1] == '-' && p[2] && p[2] != ']') {
            p += p[2] == '\\' && p[3] ? 3 : 2;
            to = (unsigned char)*p;
        }
        if (c >= from && c <= to)
            *ret = true;
    }
    if (*p != ']')
        return NULL;
    *ret = c != '/' && *ret == wanted;
    return p + 1;
}

/* One byte of the name and what stands for it; NULL: it does not. Of the
 * pattern's end, too: nothing stands there. */
static const char *match_one(const char *p, char c)
{
    bool is_in;

    switch (*p) {
    case '\0':
        return NULL;
    case '?':
        return c == '/' ? NULL : p + 1;
    case '[':
        p = match_set(p + 1, (unsigned char)c, &is_in);
        return p && is_in ? p : NULL;
    case '\\':
        if (p[1])
            p++;
        return *p == c ? p + 1 : NULL;
    default:
        return *p == c ? p + 1 : NULL;
    }
}

/* Where the last star stands, and from where on the name is tried behind it. */
typedef struct {
    const char *behind; /* NULL: there was none */
    const char *name;
} star;

/* Let the star stand for one byte more. False: it cannot. */
static bool lengthen(star *s, bool over_slashes, const char **pattern,
                     const char **name)
{
    if (!s->behind || !*s->name || (*s->name == '/' && !over_slashes))
        return false;
    *pattern = s->behind;
    *name = ++s->name;
    return true;
}

bool spawn_allow_matches(const char *pattern, const char *name)
{
    star one = {NULL, NULL}, any = {NULL, NULL};

    for (;;) {
        const char *next;

        if (*pattern == '*') {
            bool over_slashes = pattern[1] == '*';

            while (*pattern == '*')
                pattern++;
            if (over_slashes)
                any = (star){pattern, name};
            one = (star){over_slashes ? NULL : pattern, name};
            continue;
        }
        if (!*pattern && !*name)
            return true;
        next = *name ? match_one(pattern, *name) : NULL;
        if (next) {
            pattern = next;
            name++;
            continue;
        }
        /* one that is at its end stays there, until the next star */
        if (!lengthen(&one, false, &pattern, &name)
            && !lengthen(&any, true, &pattern, &name))
            return false;
    }
}

bool spawn_allow_is_path(const char *pattern)
{
    pattern = spawn_allow_bare(pattern);
    return *pattern == '/' && !strpbrk(pattern, "*?[\\");
}

static bool is_of_functions(const char *bare)
{
    return strspn(bare, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789_:*?[]!^-")
               == strlen(bare)
           && (!strchr(bare, '-') || strchr(bare, '['))
           && (strstr(bare, "::") || strchr(bare, '*'));
}

const char *spawn_allow_bad_pattern(const char *pattern)
{
    const char *p = spawn_allow_bare(pattern);
    bool unused;

    if (strlen(pattern) > SPAWN_ALLOW_PATTERN_MAX)
        return "it is longer than 1024 bytes";
    if (*p != '/' && !is_of_functions(p))
        return "wanted: the absolute path of a program, the full name of a "
               "function (My::App::build), or a pattern of either (/opt/app/*, "
               "My::App::*); '!' before it excludes";
    for (; *p; p++) {
        if (*p == '\\' && p[1]) {
            p++;
        }
        else if (*p == '\\') {
            return "nothing follows its last backslash";
        }
        else if (*p == '[') {
            p = match_set(p + 1, 'x', &unused);
            if (!p)
                return "its '[' has no ']'";
            p--;
        }
    }
    return NULL;
}

/* ---- lists ---- */

/* An exclusion, or a pattern of its own: the first that matches; NULL: none.
 * *ret_named: are there others than exclusions? */
static const char *find(const spawn_attr *list, const char *name, bool excludes,
                        bool *ret_named)
{
    uint32_t count = spawn_strv_count(list), i;
    const char *pattern = NULL;

    for (i = 0; i < count; i++) {
        pattern = spawn_strv_next(list, pattern);
        if (*pattern != '!')
            *ret_named = true;
        if ((*pattern == '!') == excludes
            && (*spawn_allow_bare(pattern) == '/') == (*name == '/')
            && spawn_allow_matches(spawn_allow_bare(pattern), name))
            return pattern;
    }
    return NULL;
}

static bool has_list(const spawn_attr *list)
{
    return list && list->id && spawn_strv_count(list) > 0;
}

spawn_allow spawn_allow_judge(const spawn_attr *list, const char *name,
                              const char **ret_rule)
{
    const char *rule = NULL;
    bool named = false, is_named;

    if (ret_rule)
        *ret_rule = NULL;
    if (!has_list(list))
        return SPAWN_ALLOW_YES;
    rule = find(list, name, true, &named);
    if (rule) {
        if (ret_rule)
            *ret_rule = rule;
        return SPAWN_ALLOW_EXCLUDED;
    }
    is_named = find(list, name, false, &named) != NULL;
    return !named || is_named ? SPAWN_ALLOW_YES : SPAWN_ALLOW_NOT_LISTED;
}

bool spawn_allow_no_program(const spawn_attr *list)
{
    uint32_t count = has_list(list) ? spawn_strv_count(list) : 0, i;
    bool named = false, of_programs = false;
    const char *pattern = NULL;

    for (i = 0; i < count; i++) {
        pattern = spawn_strv_next(list, pattern);
        if (strcmp(pattern, "!/**") == 0)
            return true;
        named |= *pattern != '!';
        of_programs |= *pattern == '/';
    }
    return named && !of_programs;
}

/* Perl calls main::My::f what it calls My::f. */
static const char *full_name(const char *function)
{
    while (strncmp(function, "main::", 6) == 0
           && strstr(function + 6, "::") != NULL)
        function += 6;
    return function;
}

spawn_allow spawn_allow_judge_function(const spawn_attr *list,
                                       const char *function, const char *load,
                                       const char **ret_rule)
{
    const char *name = full_name(function);
    spawn_allow is = spawn_allow_judge(list, name, ret_rule);
    size_t length = load ? strlen(load) : 0;
    char of_module[520];

    if (is != SPAWN_ALLOW_YES || !load || !has_list(list))
        return is;
    if (strncmp(name, load, length) == 0 && strncmp(name + length, "::", 2) == 0
        && !strstr(name + length + 2, "::"))
        return is;
    if ((size_t)snprintf(of_module, sizeof(of_module), "%s::", load)
        >= sizeof(of_module))
        return SPAWN_ALLOW_NOT_LISTED;
    return spawn_allow_judge(list, full_name(of_module), ret_rule);
}

/* ---- variables ---- */

bool spawn_allow_is_power(const char *variable)
{
    /* with '=' the whole name */
    static const char *const names[] = {"LD_",         "GLIBC_TUNABLES=",
                                        "GCONV_PATH=", "OPENSSL_",
                                        "PERL",        "PYTHON",
                                        "RUBY",        "HOME=",
                                        "XDG_",        "BASH_ENV=",
                                        "BASH_FUNC_",  "ENV=",
                                        "IFS=",        "PS4=",
                                        "SHELLOPTS=",  "BASHOPTS=",
                                        "ZDOTDIR=",    "PATH=",
                                        "EDITOR=",     "VISUAL=",
                                        "PAGER=",      "GIT_",
                                        "LUA_",        "MAGICK_",
                                        "NODE_",       "JAVA_",
                                        "JDK_",        "_JAVA_",
                                        "CLASSPATH=",  "PHPRC=",
                                        "PHP_"};
    /* as the broker sets them itself */
    static const char *const ours[] = {"PATH=" SPAWN_DEFAULT_PATH,
                                       "LD_BIND_NOW=1"};
    size_t i;

    for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (strcmp(variable, ours[i]) == 0)
            return false;
    }
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strncmp(variable, names[i], strlen(names[i])) == 0)
            return strchr(variable, '=') != NULL;
    }
    return false;
}

/* ---- programs ---- */

/* The number of a descriptor, behind the path of /proc. Zeros are behind it. */
static void name_fd(char *at, int fd)
{
    char digits[12];
    size_t n = 0;

    do {
        digits[n++] = (char)('0' + fd % 10);
        fd /= 10;
    } while (fd > 0);
    while (n > 0)
        *at++ = digits[--n];
}

static int where_it_lies(int fd, char *path, size_t room)
{
    char link[40] = "/proc/self/fd/";
    long n;

    name_fd(link + strlen(link), fd);
    n = spawn_raw(SYS_readlinkat, AT_FDCWD, (long)link, (long)path, (long)room,
                  0);
    if (n < 0)
        return (int)n;
    if ((size_t)n >= room)
        return -ENAMETOOLONG;
    path[n] = '\0';
    return *path == '/' ? 0 : -EXDEV; /* outside of our root */
}

int spawn_allow_open(const char *file, bool may_wait, char *path, size_t room)
{
    const open_how how = {O_PATH | O_CLOEXEC, 0, RESOLVE_WITHOUT_WAITING};
    int fd = may_wait ? (int)spawn_raw_open(file, O_PATH | O_CLOEXEC, 0)
                      : (int)spawn_raw(SYS_openat2, AT_FDCWD, (long)file,
                                       (long)&how, sizeof(how), 0);
    int rv;

    if (fd < 0)
        return fd;
    rv = where_it_lies(fd, path, room);
    if (rv < 0) {
        (void)spawn_raw_close(fd);
        return rv;
    }
    return fd;
}

/* How links of the list are followed. */
typedef struct {
    bool may_wait;
    bool unsure; /* one could not be, without waiting */
} following;

/* Does this path of the list lead there? */
static bool leads_to(const char *file, const char *path, following *f)
{
    char its[4096];
    int fd = spawn_allow_open(file, f->may_wait, its, sizeof(its));

    if (fd < 0) {
        f->unsure |= !f->may_wait && fd != -ENOENT;
        return false;
    }
    (void)spawn_raw_close(fd);
    return strcmp(its, path) == 0;
}

static const char *find_link(const spawn_attr *list, const char *path,
                             bool excludes, following *f)
{
    uint32_t count = spawn_strv_count(list), i;
    const char *pattern = NULL;

    for (i = 0; i < count; i++) {
        pattern = spawn_strv_next(list, pattern);
        if ((*pattern == '!') == excludes && spawn_allow_is_path(pattern)
            && leads_to(spawn_allow_bare(pattern), path, f))
            return pattern;
    }
    return NULL;
}

spawn_allow spawn_allow_judge_file(const spawn_attr *list, const char *path,
                                   bool may_wait, const char **ret_rule)
{
    spawn_allow is = spawn_allow_judge(list, path, ret_rule);
    following f = {may_wait, false};
    const char *rule;

    if (is == SPAWN_ALLOW_EXCLUDED || !has_list(list))
        return is;
    rule = find_link(list, path, true, &f);
    if (rule) {
        if (ret_rule)
            *ret_rule = rule;
        return SPAWN_ALLOW_EXCLUDED;
    }
    if (is == SPAWN_ALLOW_NOT_LISTED
        && (find_link(list, path, false, &f) || f.unsure))
        return SPAWN_ALLOW_YES;
    return is;
}
