/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a schedule. Runs in the httpd parent and in the broker, on text
 * of any kind. Must keep no state, and take nothing that it does not
 * understand: a job that runs at another time than its author thinks is worse
 * than one that is refused.
 *
 * The format is that of Debian's crontab(5), with names in ranges and lists,
 * too. @reboot is refused: neither a start of httpd nor one of the broker is a
 * start of the machine.
 */
#include "common/spawn_cron.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define FIELDS 5

typedef struct {
    const char *name, *allowed;
    unsigned least, most;
    const char *const *names; /* of the values from least on; NULL: none */
} field_rule;

typedef struct {
    char *why;
    size_t room;
} fault;

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may",
                                          "jun", "jul", "aug", "sep", "oct",
                                          "nov", "dec", NULL};
static const char *const day_names[] = {"sun", "mon", "tue", "wed",
                                        "thu", "fri", "sat", NULL};

enum {
    MINUTE,
    HOUR,
    DAY,
    MONTH,
    WEEKDAY
};

static const field_rule rules[FIELDS] = {
    {"minute", "0-59", 0, 59, NULL},
    {"hour", "0-23", 0, 23, NULL},
    {"day of month", "1-31", 1, 31, NULL},
    {"month", "1-12 or jan-dec", 1, 12, month_names},
    {"day of week", "0-7 (0 and 7 are Sunday) or sun-sat", 0, 7, day_names}};

static const struct {
    const char *name, *fields;
} words[] = {{"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},
             {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
             {"@monthly", "0 0 1 * *"},  {"@yearly", "0 0 1 1 *"},
             {"@annually", "0 0 1 1 *"}};

#define WORDS                                                                  \
    "@hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually"
#define SYNTAX                                                                 \
    "*, a number or a name, a range (1-5), a list (1,3,5), and a step after "  \
    "* "                                                                       \
    "or a range (*/15, 0-30/10)"

static int refuse(const fault *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static int refuse(const fault *f, const char *fmt, ...)
{
    va_list args;
    char *p;

    va_start(args, fmt);
    (void)vsnprintf(f->why, f->room, fmt, args);
    va_end(args);
    for (p = f->why; f->room && *p; p++) {
        if (!isprint((unsigned char)*p))
            *p = '?';
    }
    return -EINVAL;
}

/* ---- one value ---- */

/* A number or a name, the whole of the text. -1: it is none. */
static int value_of(const field_rule *rule, const char *text, size_t length)
{
    unsigned i, number = 0;

    for (i = 0; rule->names && rule->names[i]; i++) {
        if (length == strlen(rule->names[i])
            && strncasecmp(text, rule->names[i], length) == 0)
            return (int)(rule->least + i);
    }
    for (i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || number > 99)
            return -1;
        number = number * 10 + (unsigned)(text[i] - '0');
    }
    return length ? (int)number : -1;
}

static int read_value(const field_rule *rule, const char *text, size_t length,
                      unsigned *ret, const fault *f)
{
    int value = value_of(rule, text, length);

    if (value < 0)
        return refuse(f, "%s: '%.*s' is not understood; allowed: %s; %s",
                      rule->name, (int)(length > 40 ? 40 : length), text,
                      rule->allowed, SYNTAX);
    if ((unsigned)value < rule->least || (unsigned)value > rule->most)
        return refuse(f, "%s: %d is out of range; allowed: %s", rule->name,
                      value, rule->allowed);
    *ret = (unsigned)value;
    return 0;
}

/* ---- one item of a list: "*", "3", "1-5", "0-30/10" ---- */

static int read_step(const field_rule *rule, const char *text, size_t length,
                     unsigned *ret, const fault *f)
{
    static const field_rule number = {"step", "", 1, 99, NULL};
    int value = value_of(&number, text, length);

    if (value < 1 || (unsigned)value > rule->most)
        return refuse(f, "%s: the step '%.*s' is out of range; allowed: 1-%u",
                      rule->name, (int)(length > 40 ? 40 : length), text,
                      rule->most);
    *ret = (unsigned)value;
    return 0;
}

/* "fri-sun" and "5-0" end with the Sunday that is 7. */
static bool ends_with_sunday(const field_rule *rule, unsigned from, unsigned to)
{
    return rule == &rules[WEEKDAY] && to == 0 && from > 0;
}

static int read_range(const field_rule *rule, const char *text, size_t length,
                      unsigned *from, unsigned *to, const fault *f)
{
    const char *dash = memchr(text, '-', length);
    size_t first = dash ? (size_t)(dash - text) : length;

    if (length == 1 && *text == '*') {
        *from = rule->least;
        *to = rule->most;
        return 0;
    }
    if (read_value(rule, text, first, from, f))
        return -EINVAL;
    *to = *from;
    if (!dash)
        return 0;
    if (read_value(rule, dash + 1, length - first - 1, to, f))
        return -EINVAL;
    if (ends_with_sunday(rule, *from, *to))
        *to = 7;
    if (*to < *from)
        return refuse(f,
                      "%s: the range '%.*s' ends before it begins; write two: "
                      "%u-%u,%u-%u",
                      rule->name, (int)length, text, *from,
                      rule == &rules[WEEKDAY] ? 6 : rule->most, rule->least,
                      *to);
    return 0;
}

static int read_item(const field_rule *rule, const char *text, size_t length,
                     uint64_t *bits, const fault *f)
{
    const char *slash = memchr(text, '/', length);
    size_t before = slash ? (size_t)(slash - text) : length;
    unsigned from, to, step = 1;

    if (length == 0)
        return refuse(f, "%s: an item of the list is empty; allowed: %s",
                      rule->name, rule->allowed);
    if (read_range(rule, text, before, &from, &to, f))
        return -EINVAL;
    if (slash && *text != '*' && !memchr(text, '-', before))
        return refuse(
            f, "%s: a step follows * or a range, not a number: %u-%u%.*s",
            rule->name, from, rule->most,
            (int)(length - before > 10 ? 10 : length - before), slash);
    if (slash && read_step(rule, slash + 1, length - before - 1, &step, f))
        return -EINVAL;
    for (; from <= to; from += step)
        *bits |= (uint64_t)1 << from;
    return 0;
}

static int read_field(const field_rule *rule, const char *text, size_t length,
                      uint64_t *bits, const fault *f)
{
    const char *end = text + length;

    *bits = 0;
    for (;;) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        size_t item = (size_t)((comma ? comma : end) - text);

        if (read_item(rule, text, item, bits, f))
            return -EINVAL;
        if (!comma)
            return 0;
        text = comma + 1;
    }
}

/* ---- the whole ---- */

static int read_word(const char **text, const fault *f)
{
    size_t i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(*text, words[i].name) == 0) {
            *text = words[i].fields;
            return 0;
        }
    }
    if (strcasecmp(*text, "@reboot") == 0)
        return refuse(f, "@reboot is not known here: a start of httpd is no "
                         "start of the machine; allowed: " WORDS
                         ", or five fields");
    return refuse(f, "'%.40s' is not known; allowed: " WORDS ", or five fields",
                  *text);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* A bit per value in each, or -EINVAL. */
static int read_fields(const char *text, uint64_t *bits, bool *star,
                       const fault *f)
{
    unsigned count = 0;

    for (;;) {
        size_t length = 0;

        while (is_blank(*text))
            text++;
        while (text[length] && !is_blank(text[length]))
            length++;
        if (length == 0)
            break;
        if (count == FIELDS)
            return refuse(f, "more than five fields; wanted: minute, hour, day "
                             "of month, month, day of week (no seconds, no "
                             "year), or " WORDS);
        if (read_field(&rules[count], text, length, &bits[count], f))
            return -EINVAL;
        star[count++] = *text == '*';
        text += length;
    }
    if (count < FIELDS)
        return refuse(f,
                      "%u of five fields; wanted: minute, hour, day of month, "
                      "month, day of week, or " WORDS,
                      count);
    return 0;
}

int spawn_cron_parse(const char *text, spawn_cron *ret, char *why, size_t room)
{
    const fault f = {why, room};
    uint64_t bits[FIELDS] = {0};
    bool star[FIELDS] = {false};
    spawn_cron c;

    if (strlen(text) > SPAWN_CRON_TEXT_MAX)
        return refuse(&f, "it has %lu bytes, %d are allowed",
                      (unsigned long)strlen(text), SPAWN_CRON_TEXT_MAX);
    while (is_blank(*text))
        text++;
    if ((*text == '@' && read_word(&text, &f))
        || read_fields(text, bits, star, &f))
        return -EINVAL;
    c = (spawn_cron){.minutes = bits[MINUTE],
                     .hours = (uint32_t)bits[HOUR],
                     .days = (uint32_t)bits[DAY],
                     .months = (uint16_t)bits[MONTH],
                     .weekdays =
                         (uint8_t)((bits[WEEKDAY] | bits[WEEKDAY] >> 7) & 0x7f),
                     .any_day = star[DAY],
                     .any_weekday = star[WEEKDAY],
                     .wild = star[MINUTE] || star[HOUR]};
    if (spawn_cron_after(&c, 0) < 0)
        return refuse(&f, "it never comes: no month of it has such a day of "
                          "month");
    *ret = c;
    return 0;
}
