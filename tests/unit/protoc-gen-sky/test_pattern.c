/* Expressions of RE2 behave the same when translated for regexec(). */
#include "sky_check.h"

#include <regex.h>
#include <string.h>

#include "pattern.h"

typedef struct Case {
  const char *expression, *text;
  bool matches;
} Case;

static const Case cases[] = {
    {"^[a-z]+$", "abc", true},
    {"^[a-z]+$", "aBc", false},
    {"^\\d{3}-\\w+$", "123-a_9", true},
    {"^\\d{3}-\\w+$", "12x-a", false},
    {"^[\\w.-]+$", "a.b-c", true},
    {"^[\\w.-]+$", "a b", false},
    {"^[\\d\\-x]+$", "1-x", true},
    {"^[\\d\\-x]+$", "1.x", false},
    {"^[]x]+$", "]x", true},
    {"^[\\]x]+$", "]x", true},
    {"^[\\^x]+$", "^x", true},
    {"^[^/]+$", "köln", true},
    {"^[^/]+$", "a/b", false},
    {"^[^a-]+$", "b-", false},
    {"^[^a-]+$", "bc", true},
    {"^[^]-]+$", "a]", false},
    {"^.{4}$", "köln", true},
    {"^.{4}$", "koeln", false},
    {"^.{2,3}$", "€€€", true},
    {"^.{2,3}$", "€", false}, /* one character of three bytes */
    {"^.$", "\n", false},
    {"^é+$", "ééé", true},
    {"^é+$", "é\xa9", false},
    {"^(?:ab|cd)+$", "abcd", true},
    {"^(?:ab|cd)+$", "abc", false},
    {"^a+?b*?$", "aab", true},
    {"^\\S+$", "a b", false},
    {"^\\S+$", "äb", true},
    {"\\Aab\\z", "ab", true},
    {"a\\.b", "xaxb", false},
    {"a\\.b", "xa.bx", true},
    {"^\\(\\+\\)$", "(+)", true},
    {"^\\t$", "\t", true},
    {"", "anything", true},
};

static const char *translated(SkyArena *arena, const char *expression) {
  const char *posix = NULL;
  SkyStatus status = sky_pattern_to_posix(arena, expression, &posix);
  ck_assert_msg(status == SKY_OK, "%s: %s", expression, sky_status_message(status));
  return posix;
}

START_TEST(each_case) {
  SkyArena arena;
  sky_arena_init(&arena, 1 << 20);
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    const char *posix = translated(&arena, cases[i].expression);
    regex_t compiled;
    ck_assert_int_eq(regcomp(&compiled, posix, REG_EXTENDED | REG_NOSUB), 0);
    const bool matches = regexec(&compiled, cases[i].text, 0, NULL, 0) == 0;
    regfree(&compiled);
    ck_assert_msg(matches == cases[i].matches, "%s (as %s) on \"%s\"", cases[i].expression, posix, cases[i].text);
  }
  sky_arena_finish(&arena);
}
END_TEST

START_TEST(what_has_no_counterpart_is_refused) {
  static const char *const bad[] = {"\\bword\\b", "(?i)x", "\\pL",  "[[:alpha:]]", "[é]", "[abc",  "(a",
                                    "a\\",        "[^",    "[\\S]", "[\\",         "*a(", "a{2,1}"};
  SkyArena arena;
  sky_arena_init(&arena, 1 << 20);
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    const char *posix = NULL;
    SkyStatus status = sky_pattern_to_posix(&arena, bad[i], &posix);
    ck_assert_msg(status != SKY_OK, "%s became %s", bad[i], posix);
    ck_assert_ptr_null(posix);
    sky_status_free(status);
  }
  sky_arena_finish(&arena);
}
END_TEST

SKY_CHECK_MAIN("protoc-gen-sky/pattern", each_case, what_has_no_counterpart_is_refused)
