/* SPDX-License-Identifier: Apache-2.0 */
/* Text of strangers in the log: nothing that a terminal or a reader of lines
 * obeys gets through, and people's languages do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_escape.h"

static const char *escaped(const char *from, size_t length)
{
    static char to[256];
    size_t used;

    assert_int_equal(spawn_escape(from, length, to, sizeof(to) - 1, &used),
                     length);
    to[used] = '\0';
    return to;
}

#define BECOMES(from, to)                                                      \
    assert_string_equal(escaped(from, sizeof(from) - 1), to)

static void plain_text_stays(void **state)
{
    (void)state;
    BECOMES("", "");
    BECOMES("a plain \"line\" ~", "a plain \"line\" ~");
    BECOMES("Gr\xc3\xbc\xc3\x9f"
            "e, \xe4\xbd\xa0\xe5\xa5\xbd, \xf0\x9f\x90\xab",
            "Gr\xc3\xbc\xc3\x9f"
            "e, \xe4\xbd\xa0\xe5\xa5\xbd, \xf0\x9f\x90\xab");
    BECOMES("\xc2\xa0\xef\xbf\xbf\xf4\x8f\xbf\xbf",
            "\xc2\xa0\xef\xbf\xbf\xf4\x8f\xbf\xbf");
}

static void control_characters_are_escaped_as_in_httpd(void **state)
{
    (void)state;
    BECOMES("a\nb\tc\rd\be\vf\\", "a\\nb\\tc\\rd\\be\\vf\\\\");
    BECOMES("\0\x01\x1b[31m\x7f", "\\x00\\x01\\x1b[31m\\x7f");
}

static void c1_is_escaped_as_bytes_and_as_characters(void **state)
{
    (void)state;
    BECOMES("\x80\x9b"
            "31m\x9f",
            "\\x80\\x9b31m\\x9f");
    BECOMES("\xc2\x80\xc2\x9b\xc2\x9f", "\\xc2\\x80\\xc2\\x9b\\xc2\\x9f");
}

static void what_is_no_utf8_is_escaped(void **state)
{
    (void)state;
    BECOMES("\xe4", "\\xe4");
    BECOMES("\xc3(", "\\xc3(");
    BECOMES("\xc0\x8a\xc1\xbf", "\\xc0\\x8a\\xc1\\xbf"); /* overlong */
    BECOMES("\xe0\x9f\xbf\xf0\x8f\xbf\xbf",
            "\\xe0\\x9f\\xbf\\xf0\\x8f\\xbf\\xbf"); /* overlong */
    BECOMES("\xed\xa0\x80", "\\xed\\xa0\\x80");     /* surrogate */
    BECOMES("\xf4\x90\x80\x80\xff", "\\xf4\\x90\\x80\\x80\\xff");
}

static void lines_and_directions_are_escaped(void **state)
{
    (void)state;
    BECOMES("\xe2\x80\xa8\xe2\x80\xae", "\\xe2\\x80\\xa8\\xe2\\x80\\xae");
    BECOMES("\xe2\x81\xa6", "\\xe2\\x81\\xa6");
    BECOMES("\xe2\x80\x9c\xe2\x80\xa7", "\xe2\x80\x9c\xe2\x80\xa7");
}

static void only_whole_characters_are_taken(void **state)
{
    char to[8];
    size_t used;

    (void)state;
    assert_int_equal(spawn_escape("ab\x01\x02", 4, to, 7, &used), 3);
    assert_int_equal(used, 6);
    assert_int_equal(spawn_escape("abc\xf0\x9f\x90\xab", 7, to, 6, &used), 3);
    assert_int_equal(used, 3);
}

static void a_cut_character_is_left_for_the_next_piece(void **state)
{
    (void)state;
    assert_int_equal(spawn_escape_whole("abc", 3), 3);
    assert_int_equal(spawn_escape_whole("ab\xc3", 3), 2);
    assert_int_equal(spawn_escape_whole("a\xf0\x9f\x90", 4), 1);
    assert_int_equal(spawn_escape_whole("\xf0\x9f\x90\xab", 4), 4);
    assert_int_equal(spawn_escape_whole("ab\xc3\xbc", 4), 4);
    assert_int_equal(spawn_escape_whole("\x80\x80\x80\x80\x80", 5), 5);
    assert_int_equal(spawn_escape_whole("", 0), 0);
}

static void the_first_and_last_of_each_length_stay(void **state)
{
    (void)state;
    BECOMES("\xdf\xbf\xe0\xa0\x80", "\xdf\xbf\xe0\xa0\x80");
    BECOMES("\xf0\x90\x80\x80", "\xf0\x90\x80\x80");
    BECOMES("\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80");
    BECOMES("\xe2\x80\xaf\xe2\x81\xa5", "\xe2\x80\xaf\xe2\x81\xa5");
    BECOMES("\xe2\x81\xaa", "\xe2\x81\xaa");
    BECOMES("\xe2\x81\xa9", "\\xe2\\x81\\xa9");
    BECOMES("\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80");
}

static void what_just_has_room_is_taken(void **state)
{
    char to[8];
    size_t used;

    (void)state;
    assert_int_equal(spawn_escape("abc", 3, to, 3, &used), 3);
    assert_int_equal(used, 3);
    assert_int_equal(spawn_escape("abc", 3, to, 2, &used), 2);
    assert_int_equal(spawn_escape("\1", 1, to, 3, &used), 0);
    assert_int_equal(used, 0);
}

/* Neither before the text nor behind it. */
static void nothing_beside_the_text_is_looked_at(void **state)
{
    static const char text[] = "\xf0\x9f\x90\x80";
    char to[64];
    size_t used, n;

    (void)state;
    for (n = 1; n <= 4; n++) {
        const char *first = (const char *)at_the_end(text, n);
        const char *last = (const char *)at_the_start(text + 4 - n, n);

        assert_int_equal(spawn_escape(first, n, to, sizeof(to), &used), n);
        assert_int_equal(spawn_escape_whole(first, n), n == 4 ? 4 : 0);
        assert_int_equal(spawn_escape_whole(last, n), n);
    }
    assert_int_equal(spawn_escape_whole("a\xf5", 2), 2);
    assert_int_equal(spawn_escape_whole("a\xf4", 2), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_stays),
        cmocka_unit_test(control_characters_are_escaped_as_in_httpd),
        cmocka_unit_test(c1_is_escaped_as_bytes_and_as_characters),
        cmocka_unit_test(what_is_no_utf8_is_escaped),
        cmocka_unit_test(lines_and_directions_are_escaped),
        cmocka_unit_test(the_first_and_last_of_each_length_stay),
        cmocka_unit_test(what_just_has_room_is_taken),
        cmocka_unit_test(nothing_beside_the_text_is_looked_at),
        cmocka_unit_test(only_whole_characters_are_taken),
        cmocka_unit_test(a_cut_character_is_left_for_the_next_piece),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    (void)alarm(60); /* nothing here takes that long */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
