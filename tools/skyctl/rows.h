/*
 * Rows: delivery requests from a file in UTF-8, one JSON object each: JSON lines (.jsonl, .json), or CSV (csv_rows.h).
 * Bounded: 1,000,000 rows, 64 KiB each.
 */
#pragma once

#include <stddef.h>

#include <sky/core/status.h>

enum { ROWS_MAX = 1000000, ROWS_MAX_BYTES = 64 * 1024 };

typedef struct Row {
  char *json;
  size_t line; /* in the file, from 1 */
} Row;

typedef struct Rows {
  Row *rows;
  size_t count;
} Rows;

/* path "-": standard input, JSON lines. INVALID_ARGUMENT names the line that cannot be read. */
SKY_MUST_USE SkyStatus rows_load(const char *path, Rows *ret);
/* Copies the text. RESOURCE_EXHAUSTED when there are too many. */
SKY_MUST_USE SkyStatus rows_add(Rows *rows, const char *json, size_t size, size_t line);
void rows_finish(Rows *rows);
