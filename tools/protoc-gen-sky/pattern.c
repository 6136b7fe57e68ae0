#include "pattern.h"

#include <ctype.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <sky/core/buf.h>

#include "names.h"

enum { MAX_EXPRESSION = 1 << 14 };

/* The rest of a character after its first byte; no character begins with these. */
#define CONTINUATION "\x80-\xbf"

typedef struct Translation {
  const char *at;
  SkyBuf out;
  SkyStatus status;
} Translation;

static void fail(Translation *t, const char *what, const char *at) {
  if (t->status == SKY_OK)
    t->status = SKY_INVALID_ARGUMENT("%s (at \"%.16s\") is not supported in patterns", what, at);
}

/* \d, \w, \s and their opposites as the inside of a bracket; NULL for other letters. */
static const char *class_of(char letter) {
  switch (tolower((unsigned char)letter)) {
  case 'd':
    return "0-9";
  case 'w':
    return "0-9A-Za-z_";
  case 's':
    return "\t\n\f\r ";
  default:
    return NULL;
  }
}

static const char *control_of(char letter) {
  switch (letter) {
  case 't':
    return "\t";
  case 'n':
    return "\n";
  case 'r':
    return "\r";
  case 'f':
    return "\f";
  default:
    return NULL;
  }
}

static void append_bracket(SkyBuf *out, bool negated, const char *inside, const char *dash) {
  if (negated)
    sky_buf_printf(out, "([^%s" CONTINUATION "%s][" CONTINUATION "]*)", inside, dash);
  else
    sky_buf_printf(out, "[%s%s]", inside, dash);
}

static void translate_escape(Translation *t) {
  const char letter = t->at[1];
  const char *inside = class_of(letter);
  if (inside != NULL)
    append_bracket(&t->out, isupper((unsigned char)letter), inside, "");
  else if (control_of(letter) != NULL)
    sky_buf_append_text(&t->out, control_of(letter));
  else if (letter == 'A' || letter == 'z')
    sky_buf_append_byte(&t->out, letter == 'A' ? '^' : '$');
  else if (letter != '\0' && ispunct((unsigned char)letter))
    sky_buf_printf(&t->out, "\\%c", letter);
  else
    fail(t, "this escape", t->at);
  t->at += letter == '\0' ? 1 : 2;
}

/* Inside a POSIX bracket a backslash is no escape: "]" must come first, "^" not first and "-" last. */
typedef struct Bracket {
  bool negated, has_close, has_caret, has_dash;
  SkyBuf others;
} Bracket;

static void bracket_add(Bracket *bracket, char c, bool is_range) {
  if (c == ']' && !is_range)
    bracket->has_close = true;
  else if (c == '^' && !is_range)
    bracket->has_caret = true;
  else if (c == '-' && !is_range)
    bracket->has_dash = true;
  else
    sky_buf_append_byte(&bracket->others, (uint8_t)c);
}

static void translate_bracket_escape(Translation *t, Bracket *bracket) {
  const char letter = t->at[1];
  const char *inside = class_of(letter);
  if (inside != NULL && islower((unsigned char)letter))
    sky_buf_append_text(&bracket->others, inside);
  else if (control_of(letter) != NULL)
    sky_buf_append_text(&bracket->others, control_of(letter));
  else if (letter != '\0' && ispunct((unsigned char)letter))
    bracket_add(bracket, letter, false);
  else
    fail(t, "this escape", t->at);
  t->at += letter == '\0' ? 1 : 2;
}

static bool is_range_here(const char *at) {
  return at[0] != '\\' && at[1] == '-' && at[2] != ']' && at[2] != '\0' && at[2] != '\\';
}

static void read_bracket(Translation *t, Bracket *bracket) {
  const char *start = t->at++;
  bracket->negated = *t->at == '^';
  t->at += bracket->negated;
  for (bool first = true; *t->at != '\0' && (*t->at != ']' || first) && t->status == SKY_OK; first = false) {
    if (t->at[0] == '[' && t->at[1] == ':') {
      fail(t, "a named class", t->at);
    } else if ((unsigned char)*t->at >= 0x80) {
      fail(t, "a character outside ASCII in brackets", t->at);
    } else if (*t->at == '\\') {
      translate_bracket_escape(t, bracket);
    } else if (is_range_here(t->at)) {
      sky_buf_append(&bracket->others, t->at, 3);
      t->at += 3;
    } else {
      bracket_add(bracket, *t->at++, false);
    }
  }
  if (*t->at != ']')
    fail(t, "an open bracket", start);
  else
    t->at++;
}

static void translate_bracket(Translation *t) {
  Bracket bracket = {0};
  sky_buf_init(&bracket.others, MAX_EXPRESSION);
  read_bracket(t, &bracket);
  sky_buf_append_byte(&bracket.others, '\0');
  const char *others = (const char *)bracket.others.data;
  char inside[512] = "";
  if (bracket.has_caret && !bracket.has_close && *others == '\0' && !bracket.negated)
    fail(t, "a bracket of a caret alone", "[^");
  else if ((size_t)snprintf(inside, sizeof(inside), "%s%s%s", bracket.has_close ? "]" : "", others,
                            bracket.has_caret ? "^" : "") >= sizeof(inside))
    fail(t, "a bracket this long", "[");
  append_bracket(&t->out, bracket.negated, inside, bracket.has_dash ? "-" : "");
  sky_buf_finish(&bracket.others);
}

/* A literal outside ASCII, as a group so that a quantifier takes all of it. */
static void translate_sequence(Translation *t) {
  sky_buf_append_byte(&t->out, '(');
  do
    sky_buf_append_byte(&t->out, (uint8_t)*t->at++);
  while (((unsigned char)*t->at & 0xc0) == 0x80);
  sky_buf_append_byte(&t->out, ')');
}

static void translate_group(Translation *t) {
  sky_buf_append_byte(&t->out, '(');
  if (t->at[1] != '?') {
    t->at++;
  } else if (t->at[2] == ':') {
    t->at += 3;
  } else {
    fail(t, "this kind of group", t->at);
    t->at++;
  }
}

static void translate_one(Translation *t) {
  if (*t->at == '\\') {
    translate_escape(t);
  } else if (*t->at == '[') {
    translate_bracket(t);
  } else if (*t->at == '(') {
    translate_group(t);
  } else if (*t->at == '.') {
    append_bracket(&t->out, true, "\n", "");
    t->at++;
  } else if ((unsigned char)*t->at >= 0x80) {
    translate_sequence(t);
  } else {
    const char c = *t->at++;
    sky_buf_append_byte(&t->out, (uint8_t)c);
    if (strchr("*+?}", c) != NULL && *t->at == '?')
      t->at++; /* as few as possible: makes no difference to whether a text matches */
  }
}

static SkyStatus check(const char *posix) {
  regex_t compiled;
  const int error = regcomp(&compiled, posix, REG_EXTENDED | REG_NOSUB);
  if (error != 0) {
    char text[128];
    regerror(error, &compiled, text, sizeof(text));
    return SKY_INVALID_ARGUMENT("the pattern is not a regular expression: %s", text);
  }
  regfree(&compiled);
  return SKY_OK;
}

SkyStatus sky_pattern_to_posix(SkyArena *arena, const char *expression, const char **ret) {
  Translation t = {.at = expression, .status = SKY_OK};
  sky_buf_init(&t.out, MAX_EXPRESSION);
  while (*t.at != '\0' && t.status == SKY_OK)
    translate_one(&t);
  if (t.status == SKY_OK)
    t.status = sky_buf_status(&t.out);
  const char *posix = sky_gen_printf(arena, "%.*s", SKY_STR_ARGS(sky_buf_str(&t.out)));
  sky_buf_finish(&t.out);
  if (t.status == SKY_OK)
    t.status = check(posix);
  if (t.status == SKY_OK)
    *ret = posix;
  return t.status;
}
