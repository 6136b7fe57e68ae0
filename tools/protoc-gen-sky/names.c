#include "names.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>

#include <sky/core/str.h>

/* Reserved words of C and C++: the list of protoc-gen-c, which puts an underscore behind them, and what C17 adds to it.
 */
static const char *const reserved_words[] = {
    "and",
    "and_eq",
    "asm",
    "auto",
    "bitand",
    "bitor",
    "bool",
    "break",
    "case",
    "catch",
    "char",
    "class",
    "compl",
    "const",
    "const_cast",
    "continue",
    "default",
    "delete",
    "do",
    "double",
    "dynamic_cast",
    "else",
    "enum",
    "explicit",
    "extern",
    "false",
    "float",
    "for",
    "friend",
    "goto",
    "if",
    "inline",
    "int",
    "long",
    "mutable",
    "namespace",
    "new",
    "not",
    "not_eq",
    "operator",
    "or",
    "or_eq",
    "private",
    "protected",
    "public",
    "register",
    "reinterpret_cast",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "static_cast",
    "struct",
    "switch",
    "template",
    "this",
    "throw",
    "true",
    "try",
    "typedef",
    "typeid",
    "typename",
    "union",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
    "wchar_t",
    "while",
    "xor",
    "xor_eq",
};

/* Words that protoc-gen-c does not know as reserved or as macros, so that its output would not compile. */
static const char *const macros[] = {"restrict", "typeof", "linux",  "unix",   "errno",
                                     "stdin",    "stdout", "stderr", "assert", "offsetof"};

static noreturn void out_of_memory(void) {
  fputs("protoc-gen-sky: out of memory\n", stderr);
  exit(EXIT_FAILURE);
}

void *sky_gen_alloc(SkyArena *arena, size_t size) {
  void *memory = sky_arena_alloc(arena, size);
  if (memory == NULL)
    out_of_memory();
  return memory;
}

char *sky_gen_printf(SkyArena *arena, const char *format, ...) {
  char *text = NULL;
  va_list values;
  va_start(values, format);
  const int size = vasprintf(&text, format, values);
  va_end(values);
  if (size < 0)
    out_of_memory();
  char *copy = sky_gen_alloc(arena, (size_t)size + 1);
  memcpy(copy, text, (size_t)size);
  free(text);
  return copy;
}

/* One component of a name, as protoc-gen-c's CamelToLower() and CamelToUpper(): an underscore where a run of capitals
 * begins. */
static char *append_split(char *to, SkyStr part, bool upper) {
  bool was_upper = true;
  for (size_t i = 0; i < part.size; i++) {
    const int c = (unsigned char)part.data[i];
    if (isupper(c) && !was_upper)
      *to++ = '_';
    was_upper = isupper(c);
    *to++ = (char)(upper ? toupper(c) : tolower(c));
  }
  return to;
}

static char *append_camel(char *to, SkyStr part) {
  bool next_is_upper = true;
  for (size_t i = 0; i < part.size; i++) {
    const int c = (unsigned char)part.data[i];
    if (c == '_') {
      next_is_upper = true;
      continue;
    }
    *to++ = (char)(next_is_upper ? toupper(c) : c);
    next_is_upper = false;
  }
  return to;
}

typedef enum Style { LOWER, UPPER, CAMEL } Style;

static char *convert(SkyArena *arena, const char *full_name, Style style) {
  SkyStr rest = sky_str(full_name);
  char *const text = sky_gen_alloc(arena, rest.size * 2 + 1);
  char *to = text;
  for (bool more = true; more;) {
    SkyStr part = rest;
    more = sky_str_cut(&rest, '.', &part);
    if (part.size == 0)
      continue;
    if (to != text) {
      *to++ = '_';
      *to++ = '_';
    }
    to = style == CAMEL ? append_camel(to, part) : append_split(to, part, style == UPPER);
  }
  return text;
}

char *sky_names_c_type(SkyArena *arena, const char *full_name) {
  return convert(arena, full_name, CAMEL);
}

char *sky_names_c_lower(SkyArena *arena, const char *full_name) {
  return convert(arena, full_name, LOWER);
}

char *sky_names_c_upper(SkyArena *arena, const char *full_name) {
  return convert(arena, full_name, UPPER);
}

char *sky_names_camel(SkyArena *arena, const char *name) {
  return convert(arena, name, CAMEL);
}

static bool is_in(const char *word, const char *const *list, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (strcmp(word, list[i]) == 0)
      return true;
  }
  return false;
}

static bool is_reserved(const char *word) {
  return is_in(word, reserved_words, sizeof(reserved_words) / sizeof(reserved_words[0]));
}

bool sky_names_is_macro(const char *member) {
  return is_in(member, macros, sizeof(macros) / sizeof(macros[0]));
}

char *sky_names_lower(SkyArena *arena, const char *name) {
  char *text = sky_gen_printf(arena, "%s", name);
  for (char *c = text; *c != '\0'; c++)
    *c = (char)tolower((unsigned char)*c);
  return text;
}

char *sky_names_c_member(SkyArena *arena, const char *name) {
  char *member = sky_names_lower(arena, name);
  return is_reserved(member) ? sky_gen_printf(arena, "%s_", member) : member;
}

/* An underscore before a capital that follows a small letter or digit, or that begins a word after capitals
 * ("HTTPGet"). */
char *sky_names_snake(SkyArena *arena, const char *name) {
  char *const text = sky_gen_alloc(arena, strlen(name) * 2 + 1);
  char *to = text;
  for (size_t i = 0; name[i] != '\0'; i++) {
    const bool starts_word = i > 0 && isupper((unsigned char)name[i]) && name[i - 1] != '_' &&
                             (!isupper((unsigned char)name[i - 1]) || islower((unsigned char)name[i + 1]));
    if (starts_word)
      *to++ = '_';
    *to++ = (char)tolower((unsigned char)name[i]);
  }
  return text;
}

/* "v1", "v2beta3", "v1p1alpha1": what buf's PACKAGE_VERSION_SUFFIX takes for a version. */
static bool is_version(SkyStr part) {
  if (part.size < 2 || part.data[0] != 'v' || !isdigit((unsigned char)part.data[1]))
    return false;
  for (size_t i = 1; i < part.size; i++) {
    if (!isdigit((unsigned char)part.data[i]) && !islower((unsigned char)part.data[i]))
      return false;
  }
  return true;
}

char *sky_names_default_prefix(SkyArena *arena, const char *package) {
  SkyStr rest = sky_str(package), name = {"", 0}, version = {"", 0};
  for (bool more = rest.size > 0; more;) {
    SkyStr part = rest;
    more = sky_str_cut(&rest, '.', &part);
    if (is_version(part)) {
      version = part;
    } else {
      name = part;
      version = (SkyStr){"", 0};
    }
  }
  return sky_gen_printf(arena, "%.*s%s%.*s", SKY_STR_ARGS(name), name.size > 0 && version.size > 0 ? "_" : "",
                        SKY_STR_ARGS(version));
}

bool sky_names_is_identifier(const char *name) {
  if (!isalpha((unsigned char)name[0]) && name[0] != '_')
    return false;
  for (const char *c = name; *c != '\0'; c++) {
    if (!isalnum((unsigned char)*c) && *c != '_')
      return false;
  }
  return !is_reserved(name);
}
