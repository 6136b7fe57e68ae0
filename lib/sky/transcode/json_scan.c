/* JSON token by token. */
#include "json_scan.h"

#include <string.h>

static bool fail(Scanner *scanner, const char *problem) {
  if (scanner->problem == NULL)
    scanner->problem = problem;
  return false;
}

static inline void skip_space(Scanner *scanner) {
  const char *at = scanner->at;
  while (at < scanner->end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r'))
    at++;
  scanner->at = at;
}

static bool enter(Scanner *scanner) {
  scanner->at++;
  if (++scanner->depth > scanner->max_depth)
    return fail(scanner, "it is nested too deep");
  return true;
}

static void leave(Scanner *scanner) {
  scanner->at++;
  scanner->depth--;
}

/* ---- strings ---- */

#define EVERY_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

/* Nonzero when one of eight bytes is a quote, a backslash, a control character or not ASCII. May be nonzero for others
 * behind such a one. */
static inline uint64_t special_bytes(uint64_t chunk) {
  const uint64_t quote = chunk ^ EVERY_BYTE('"');
  const uint64_t backslash = chunk ^ EVERY_BYTE('\\');
  return (((quote - EVERY_BYTE(1)) | (backslash - EVERY_BYTE(1)) | (chunk - EVERY_BYTE(0x20))) | chunk) &
         EVERY_BYTE(0x80);
}

static inline const char *skip_plain(const char *at, const char *end) {
  while (end - at >= 8) {
    uint64_t chunk = 0;
    memcpy(&chunk, at, sizeof(chunk));
    if (special_bytes(chunk) != 0)
      break;
    at += 8;
  }
  while (at < end && *at != '"' && *at != '\\' && (uint8_t)*at >= 0x20 && (uint8_t)*at < 0x80)
    at++;
  return at;
}

/* After the opening quote. */
static bool scan_string(Scanner *scanner, Token *ret) {
  *ret = (Token){.kind = TOKEN_STRING};
  const char *start = scanner->at;
  const char *at = start;
  for (;;) {
    at = skip_plain(at, scanner->end);
    scanner->at = at;
    if (at == scanner->end)
      return fail(scanner, "a string has no end");
    if (*at == '"') {
      ret->text = (SkyStr){.data = start, .size = (size_t)(at - start)};
      scanner->at = at + 1;
      return true;
    }
    if (*at == '\\') {
      ret->escaped = true;
      at += scanner->end - at >= 2 ? 2 : 1;
    } else if ((uint8_t)*at < 0x20) {
      return fail(scanner, "a control character stands in a string");
    } else {
      ret->non_ascii = true;
      at++;
    }
  }
}

/* ---- numbers and words ---- */

static bool scan_number(Scanner *scanner, Token *ret) {
  const char *start = scanner->at;
  const char *at = start;
  while (at < scanner->end &&
         ((*at >= '0' && *at <= '9') || *at == '-' || *at == '+' || *at == '.' || *at == 'e' || *at == 'E'))
    at++;
  *ret = (Token){.kind = TOKEN_NUMBER, .text = {.data = start, .size = (size_t)(at - start)}};
  /* Its grammar: [-] int [frac] [exp] */
  const char *p = start + (*start == '-');
  const char *integer = p;
  while (p < at && *p >= '0' && *p <= '9')
    p++;
  bool valid = p > integer && (p - integer == 1 || *integer != '0');
  if (p < at && *p == '.') {
    const char *fraction = ++p;
    while (p < at && *p >= '0' && *p <= '9')
      p++;
    valid = valid && p > fraction;
  }
  if (p < at && (*p == 'e' || *p == 'E')) {
    p++;
    p += p < at && (*p == '-' || *p == '+');
    const char *exponent = p;
    while (p < at && *p >= '0' && *p <= '9')
      p++;
    valid = valid && p > exponent;
  }
  if (!valid || p != at)
    return fail(scanner, "a number is malformed");
  scanner->at = at;
  return true;
}

static bool scan_word(Scanner *scanner, SkyStr word, TokenKind kind, Token *ret) {
  if ((size_t)(scanner->end - scanner->at) < word.size || memcmp(scanner->at, word.data, word.size) != 0)
    return fail(scanner, "a value is expected");
  scanner->at += word.size;
  *ret = (Token){.kind = kind};
  return true;
}

bool scan_token(Scanner *scanner, Token *ret) {
  skip_space(scanner);
  if (scanner->at == scanner->end)
    return fail(scanner, "it ends too early");
  switch (*scanner->at) {
  case '"':
    scanner->at++;
    return scan_string(scanner, ret);
  case '{':
    *ret = (Token){.kind = TOKEN_OBJECT};
    return enter(scanner);
  case '[':
    *ret = (Token){.kind = TOKEN_ARRAY};
    return enter(scanner);
  case 't':
    return scan_word(scanner, SKY_STR("true"), TOKEN_TRUE, ret);
  case 'f':
    return scan_word(scanner, SKY_STR("false"), TOKEN_FALSE, ret);
  case 'n':
    return scan_word(scanner, SKY_STR("null"), TOKEN_NULL, ret);
  default:
    if (*scanner->at == '-' || (*scanner->at >= '0' && *scanner->at <= '9'))
      return scan_number(scanner, ret);
    return fail(scanner, "a value is expected");
  }
}

/* ---- objects and arrays ---- */

/* True when another member or element follows; reads the comma before it or the closing bracket. */
static bool scan_next(Scanner *scanner, char close, bool *first, bool *ret_more) {
  skip_space(scanner);
  if (scanner->at == scanner->end)
    return fail(scanner, "it ends too early");
  *ret_more = *scanner->at != close;
  if (!*ret_more) {
    leave(scanner);
    return true;
  }
  if (!*first) {
    if (*scanner->at != ',')
      return fail(scanner, close == '}' ? "a comma or } is expected" : "a comma or ] is expected");
    scanner->at++;
  }
  *first = false;
  return true;
}

bool scan_member(Scanner *scanner, bool *first, Token *ret_key, bool *ret_more) {
  if (!scan_next(scanner, '}', first, ret_more) || !*ret_more)
    return scanner->problem == NULL;
  skip_space(scanner);
  if (scanner->at == scanner->end || *scanner->at != '"')
    return fail(scanner, "a field name in quotes is expected");
  scanner->at++;
  if (!scan_string(scanner, ret_key))
    return false;
  skip_space(scanner);
  if (scanner->at == scanner->end || *scanner->at != ':')
    return fail(scanner, "a colon is expected");
  scanner->at++;
  return true;
}

bool scan_element(Scanner *scanner, bool *first, bool *ret_more) {
  return scan_next(scanner, ']', first, ret_more);
}

static bool skip_string(Scanner *scanner, const Token *token) {
  if (token->non_ascii && !sky_utf8_valid(token->text.data, token->text.size))
    return fail(scanner, "a string is not valid UTF-8");
  return true;
}

bool scan_skip(Scanner *scanner, const Token *token) {
  Token inner;
  bool first = true;
  bool more = true;
  if (token->kind == TOKEN_STRING)
    return skip_string(scanner, token);
  if (token->kind == TOKEN_OBJECT) {
    while (scan_member(scanner, &first, &inner, &more) && more)
      if (!skip_string(scanner, &inner) || !scan_token(scanner, &inner) || !scan_skip(scanner, &inner))
        return false;
  } else if (token->kind == TOKEN_ARRAY) {
    while (scan_element(scanner, &first, &more) && more)
      if (!scan_token(scanner, &inner) || !scan_skip(scanner, &inner))
        return false;
  }
  return scanner->problem == NULL;
}

bool scan_end(Scanner *scanner) {
  skip_space(scanner);
  return scanner->at == scanner->end || fail(scanner, "something follows the value");
}

/* ---- the text of strings ---- */

static bool read_hex4(const char **at, const char *end, uint32_t *ret) {
  if (end - *at < 4)
    return false;
  uint32_t value = 0;
  for (int i = 0; i < 4; i++) {
    const char c = (*at)[i];
    const bool letter = (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (!letter && (c < '0' || c > '9'))
      return false;
    value = value << 4 | (uint32_t)(letter ? (c | 0x20) - 'a' + 10 : c - '0');
  }
  *at += 4;
  *ret = value;
  return true;
}

/* After "\u": a code point, from two escapes when the first is a high surrogate. Surrogates on their own are refused.
 */
static bool read_code_point(const char **at, const char *end, uint32_t *ret) {
  uint32_t high = 0;
  uint32_t low = 0;
  if (!read_hex4(at, end, &high))
    return false;
  if (high < 0xd800 || high > 0xdfff) {
    *ret = high;
    return true;
  }
  if (high > 0xdbff || end - *at < 2 || (*at)[0] != '\\' || (*at)[1] != 'u')
    return false;
  *at += 2;
  if (!read_hex4(at, end, &low) || low < 0xdc00 || low > 0xdfff)
    return false;
  *ret = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
  return true;
}

static size_t put_utf8(uint32_t code_point, char *to) {
  if (code_point < 0x80) {
    to[0] = (char)code_point;
    return 1;
  }
  if (code_point < 0x800) {
    to[0] = (char)(0xc0 | code_point >> 6);
    to[1] = (char)(0x80 | (code_point & 0x3f));
    return 2;
  }
  if (code_point < 0x10000) {
    to[0] = (char)(0xe0 | code_point >> 12);
    to[1] = (char)(0x80 | (code_point >> 6 & 0x3f));
    to[2] = (char)(0x80 | (code_point & 0x3f));
    return 3;
  }
  to[0] = (char)(0xf0 | code_point >> 18);
  to[1] = (char)(0x80 | (code_point >> 12 & 0x3f));
  to[2] = (char)(0x80 | (code_point >> 6 & 0x3f));
  to[3] = (char)(0x80 | (code_point & 0x3f));
  return 4;
}

/* After the backslash. Returns how many bytes were written, 0 for no escape of JSON. */
static size_t read_escape(const char **at, const char *end, char *to) {
  static const char from_chars[] = "\"\\/bfnrt";
  static const char to_chars[] = "\"\\/\b\f\n\r\t";
  if (*at == end)
    return 0;
  const char kind = *(*at)++;
  uint32_t code_point = 0;
  if (kind == 'u')
    return read_code_point(at, end, &code_point) ? put_utf8(code_point, to) : 0;
  const char *found = kind == '\0' ? NULL : strchr(from_chars, kind);
  if (found == NULL)
    return 0;
  *to = to_chars[found - from_chars];
  return 1;
}

/* An escape is never shorter than what it stands for, so the text fits into the size of its token. */
static TextOutcome unescape(SkyStr raw, SkyArena *arena, SkyStr *ret) {
  char *text = sky_arena_alloc(arena, raw.size);
  if (text == NULL)
    return TEXT_NO_MEMORY;
  size_t size = 0;
  for (const char *at = raw.data, *end = raw.data + raw.size; at < end;) {
    if (*at != '\\') {
      text[size++] = *at++;
      continue;
    }
    at++;
    const size_t written = read_escape(&at, end, text + size);
    if (written == 0)
      return TEXT_BAD_ESCAPE;
    size += written;
  }
  *ret = (SkyStr){.data = text, .size = size};
  return TEXT_OK;
}

TextOutcome scan_text(const Token *token, bool allow_nul, SkyArena *arena, SkyStr *ret) {
  if (token->non_ascii && !sky_utf8_valid(token->text.data, token->text.size))
    return TEXT_BAD_UTF8;
  if (!token->escaped) {
    *ret = token->text; /* a NUL as it is would have been refused as a control character */
    return TEXT_OK;
  }
  const TextOutcome outcome = unescape(token->text, arena, ret);
  if (outcome == TEXT_OK && !allow_nul && memchr(ret->data, '\0', ret->size) != NULL)
    return TEXT_HAS_NUL;
  return outcome;
}

void scan_position(const Scanner *scanner, size_t *ret_line, size_t *ret_column) {
  *ret_line = 1;
  *ret_column = 1;
  for (const char *at = scanner->start; at < scanner->at; at++) {
    (*ret_column)++;
    if (*at == '\n') {
      ++*ret_line;
      *ret_column = 1;
    }
  }
}
