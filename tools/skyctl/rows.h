/*
 * Rows: delivery requests from a file, one JSON object each: JSON lines (.jsonl, .json), or CSV whose header names the
 * fields by their path in the JSON: ownerId,pickupLocation.latitude,…,packageInfo.weightKg. Bounded: 1,000,000 rows, 64
 * KiB each.
 */
#pragma once

#include <sky/core/status.h>

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
void rows_finish(Rows *rows);
