/*
 * Scan: JSON text token by token (RFC 8259), without building anything. Private to the transcoder.
 *
 * A scanner that has failed says why and where, and is not used further.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sky/core/arena.h>
#include <sky/core/str.h>

typedef enum TokenKind {
  TOKEN_NULL,
  TOKEN_FALSE,
  TOKEN_TRUE,
  TOKEN_NUMBER,
  TOKEN_STRING,
  TOKEN_OBJECT, /* the opening bracket, which has been read */
  TOKEN_ARRAY,
} TokenKind;

typedef struct Token {
  TokenKind kind;
  SkyStr text;    /* of a number; of a string: what stands between its quotes */
  bool escaped;   /* a string with backslashes */
  bool non_ascii; /* a string with other bytes than ASCII, not yet checked */
} Token;

typedef struct Scanner {
  const char *start;
  const char *at;
  const char *end;
  uint32_t depth; /* of open objects and arrays */
  uint32_t max_depth;
  const char *problem; /* NULL while all is well */
} Scanner;

/* Reads the first token of a value. False sets `problem`. */
bool scan_token(Scanner *scanner, Token *ret);

/*
 * The next member of an object, as its key with the colon read; *ret_more false at the closing bracket. *first is true
 * before the first and is kept here.
 */
bool scan_member(Scanner *scanner, bool *first, Token *ret_key, bool *ret_more);
/* The same for the elements of an array. */
bool scan_element(Scanner *scanner, bool *first, bool *ret_more);

/* Skips what is left of a value whose first token has been read. */
bool scan_skip(Scanner *scanner, const Token *token);
/* Only white space is left. */
bool scan_end(Scanner *scanner);

typedef enum TextOutcome { TEXT_OK, TEXT_BAD_UTF8, TEXT_BAD_ESCAPE, TEXT_HAS_NUL, TEXT_NO_MEMORY } TextOutcome;
/* The text of a string token: a view when it has no escapes, else in the arena. */
TextOutcome scan_text(const Token *token, bool allow_nul, SkyArena *arena, SkyStr *ret);

/* Line and column of the cursor, counted from 1. */
void scan_position(const Scanner *scanner, size_t *ret_line, size_t *ret_column);
