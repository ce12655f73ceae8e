/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file page.h
 * @brief One answer of the status page while it is written: what was asked for,
 * what has been written, and the functions that write text into HTML.
 *
 * Runs in httpd children, in the thread of the request. All is kept in memory
 * until it is whole, so that a broker that goes in the midst of it costs a
 * clean answer and not half a page.
 */
#ifndef SPAWN_STATUS_PAGE_H
#define SPAWN_STATUS_PAGE_H

#include "client/spawn_client.h"
#include "client/spawn_words.h"
#include "module/module.h"

typedef struct {
    request_rec *r;
    apr_bucket_brigade *out;
    apr_table_t *args; /* of the query */
    spawn_client *client;
    int64_t now;       /* ms of Unix time */
    bool switched_on;  /* SpawnStatusControl, */
    bool control;      /* and the visitor has logged in: may act */
    bool comma;        /* JSON: a value stands before the next one */
    unsigned refresh;  /* seconds; 0: not by itself */
    int64_t until;     /* mono ms: lists end then; 0: none was asked for yet */
    int status;        /* of HTTP; 0: nothing has failed */
    spawn_failure why; /* when it is none of 0 and 200 */
} spawn_page;

/** Fill page->args. */
void spawn_page_read_query(spawn_page *page);

/** An argument of the query, "" when it is not there. */
const char *spawn_page_arg(const spawn_page *page, const char *name);

/** The page cannot be as it was asked for: status of HTTP, and a sentence for
 * people. @return -1. */
int spawn_page_fail(spawn_page *page, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** Headers that each answer has. */
void spawn_page_headers(spawn_page *page, const char *type);

/** Small pieces, written together: each write of its own costs a brigade time
 * that grows with what it has. Ends with spawn_gather_end. */
typedef struct {
    spawn_page *page;
    size_t used;
    char bytes[2048];
} spawn_gather;

void spawn_gather_begin(spawn_gather *g, spawn_page *page);
void spawn_gather_add(spawn_gather *g, const void *data, size_t length);
void spawn_gather_text(spawn_gather *g, const char *text);
void spawn_gather_end(spawn_gather *g);

/** HTML of our own, as it is. */
void spawn_page_html(spawn_page *page, const char *html);
/** The same with numbers and words of our own. */
void spawn_page_format(spawn_page *page, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** Text of anybody, between tags: markup is escaped; control characters,
 * characters that turn the direction of writing, and bytes that are not UTF-8
 * are shown as such. */
void spawn_page_text(spawn_page *page, const char *text);
void spawn_page_bytes(spawn_page *page, const void *data, size_t length);
/** As much of it as has room: at most so many bytes, and then an ellipsis. */
void spawn_page_short(spawn_page *page, const char *text, size_t most);
/** Text of anybody, as the value of an attribute in quotes. */
void spawn_page_attr(spawn_page *page, const char *text);
/** Text of anybody, in the query of a link. */
void spawn_page_query(spawn_page *page, const char *text);

/** "12 s ago" and the like, with the time in full as title; "-" for 0. */
void spawn_page_time(spawn_page *page, uint64_t ms);
/** A duration: "3m20s". */
void spawn_page_duration(spawn_page *page, int64_t ms);

/** A part of a whole as a bar, which is not read out: 0 to 1. kind: classes of
 * the style sheet. */
void spawn_page_share(spawn_page *page, const char *kind, double share);

/** A part of a whole as a bar, with its numbers in words. most 0: no limit.
 * kind: a class of the style sheet. */
void spawn_page_bar(spawn_page *page, const char *kind, uint64_t is,
                    uint64_t most);

/** A word with its colour and sign: kind "good", "bad", "busy", "wait",
 * "plain". */
void spawn_page_badge(spawn_page *page, const char *kind, const char *word);

#endif
