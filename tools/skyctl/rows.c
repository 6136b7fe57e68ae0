#include "skyctl/rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sky/core/buf.h>

enum { MAX_ROWS = 1000000, MAX_ROW_BYTES = 64 * 1024, MAX_COLUMNS = 64 };

static SkyStatus add_row(Rows *rows, const char *json, size_t size, size_t line) {
  if (rows->count == MAX_ROWS)
    return SKY_RESOURCE_EXHAUSTED("more than %d rows", MAX_ROWS);
  if ((rows->count & (rows->count + 1)) == 0 || rows->rows == NULL) { /* room for the next power of two */
    Row *more = realloc(rows->rows, (rows->count + 1) * 2 * sizeof(*more));
    if (more == NULL)
      return sky_status_no_memory();
    rows->rows = more;
  }
  char *copy = strndup(json, size);
  if (copy == NULL)
    return sky_status_no_memory();
  rows->rows[rows->count++] = (Row){copy, line};
  return SKY_OK;
}

void rows_finish(Rows *rows) {
  for (size_t i = 0; i < rows->count; i++)
    free(rows->rows[i].json);
  free(rows->rows);
  *rows = (Rows){0};
}

/* ---- CSV (RFC 4180) to JSON ---- */

typedef struct Columns {
  char *names[MAX_COLUMNS];
  size_t count;
} Columns;

/* Cuts the next cell off a line; a quoted one may hold commas and doubled quotes. */
static bool next_cell(const char **at, SkyBuf *cell) {
  const char *p = *at;
  if (p == NULL)
    return false;
  sky_buf_clear(cell);
  const bool quoted = *p == '"';
  p += quoted;
  for (; *p != '\0'; p++) {
    if (quoted && *p == '"' && p[1] == '"')
      p++;
    else if (quoted ? *p == '"' : *p == ',')
      break;
    sky_buf_append_byte(cell, (uint8_t)*p);
  }
  p += quoted && *p == '"';
  *at = *p == ',' ? p + 1 : NULL;
  return true;
}

static SkyStatus read_header(const char *line, Columns *columns) {
  SkyBuf cell;
  SkyStatus status = SKY_OK;
  sky_buf_init(&cell, MAX_ROW_BYTES);
  while (next_cell(&line, &cell)) {
    if (columns->count == MAX_COLUMNS) {
      status = SKY_INVALID_ARGUMENT("line 1: more than %d columns", MAX_COLUMNS);
      break;
    }
    columns->names[columns->count++] = strndup(cell.data == NULL ? "" : (const char *)cell.data, cell.size);
  }
  sky_buf_finish(&cell);
  return status;
}

static void columns_finish(Columns *columns) {
  for (size_t i = 0; i < columns->count; i++)
    free(columns->names[i]);
}

static size_t common_prefix(const char *a, const char *b) {
  size_t prefix = 0;
  for (size_t i = 0; a[i] != '\0' && a[i] == b[i]; i++)
    if (a[i] == '.')
      prefix = i + 1;
  return prefix;
}

static void close_objects(SkyBuf *json, const char *name, size_t from) {
  for (const char *p = name + from; (p = strchr(p, '.')) != NULL; p++)
    sky_buf_append_text(json, "}");
}

/* Opens the objects of a dotted name that the one before did not have open, and writes its last part as key. */
static void write_key(SkyBuf *json, const char *previous, const char *name, bool *first) {
  const size_t shared = common_prefix(previous, name);
  close_objects(json, previous, shared);
  if (!*first)
    sky_buf_append_text(json, ",");
  const char *part = name + shared;
  for (const char *dot; (dot = strchr(part, '.')) != NULL; part = dot + 1) {
    sky_buf_append_json_string(json, part, (size_t)(dot - part));
    sky_buf_append_text(json, ":{");
  }
  sky_buf_append_json_string(json, part, strlen(part));
  sky_buf_append_text(json, ":");
  *first = false;
}

/* true and false are bools; numbers may stand in quotes in protobuf's JSON, so all else is text. An empty cell is an
 * unset field. */
static void write_cell(SkyBuf *json, SkyStr cell) {
  if (sky_str_is(cell, "true") || sky_str_is(cell, "false"))
    sky_buf_append_str(json, cell);
  else
    sky_buf_append_json_string(json, cell.data, cell.size);
}

static SkyStatus csv_row(const Columns *columns, const char *line, size_t number, Rows *rows) {
  SkyBuf json, cell;
  const char *previous = "";
  bool first = true;
  size_t i = 0;
  sky_buf_init(&json, 4 * MAX_ROW_BYTES);
  sky_buf_init(&cell, MAX_ROW_BYTES);
  sky_buf_append_text(&json, "{");
  for (; i < columns->count && next_cell(&line, &cell); i++) {
    if (cell.size == 0)
      continue;
    write_key(&json, previous, columns->names[i], &first);
    write_cell(&json, sky_buf_str(&cell));
    previous = columns->names[i];
  }
  close_objects(&json, previous, 0);
  sky_buf_append_text(&json, "}");
  SkyStatus status = SKY_OK;
  if (i < columns->count || line != NULL)
    status =
        SKY_INVALID_ARGUMENT("line %zu: not as many cells as the header has columns (%zu)", number, columns->count);
  else if (json.failed || cell.failed)
    status = SKY_RESOURCE_EXHAUSTED("line %zu: longer than %d bytes", number, MAX_ROW_BYTES);
  else
    status = add_row(rows, (const char *)json.data, json.size, number);
  sky_buf_finish(&json);
  sky_buf_finish(&cell);
  return status;
}

/* ---- files ---- */

static size_t trimmed(const char *line, size_t size) {
  while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r' || line[size - 1] == ' '))
    size--;
  return size;
}

static SkyStatus load_lines(FILE *file, bool csv, Rows *rows) {
  char *line = NULL;
  size_t capacity = 0;
  Columns columns = {0};
  SkyStatus status = SKY_OK;
  ssize_t got;
  for (size_t number = 1; status == SKY_OK && (got = getline(&line, &capacity, file)) > 0; number++) {
    const size_t size = trimmed(line, (size_t)got);
    line[size] = '\0';
    if (size == 0)
      continue;
    if (size > MAX_ROW_BYTES)
      status = SKY_INVALID_ARGUMENT("line %zu: longer than %d bytes", number, MAX_ROW_BYTES);
    else if (!csv)
      status = add_row(rows, line, size, number);
    else if (columns.count == 0)
      status = read_header(line, &columns);
    else
      status = csv_row(&columns, line, number, rows);
  }
  if (status == SKY_OK && ferror(file))
    status = SKY_DATA_LOSS("reading failed: %s", strerror(errno));
  columns_finish(&columns);
  free(line);
  return status;
}

SkyStatus rows_load(const char *path, Rows *ret) {
  const bool is_stdin = strcmp(path, "-") == 0;
  const bool csv = sky_str_ends_with(sky_str(path), SKY_STR(".csv"));
  FILE *file = is_stdin ? stdin : fopen(path, "re");
  if (file == NULL)
    return SKY_NOT_FOUND("cannot open %s: %s", path, strerror(errno));
  Rows rows = {0};
  SkyStatus status = load_lines(file, csv, &rows);
  if (!is_stdin)
    fclose(file);
  if (status == SKY_OK && rows.count == 0)
    status = SKY_INVALID_ARGUMENT("there are no delivery requests in it");
  if (status != SKY_OK)
    rows_finish(&rows);
  else
    *ret = rows;
  return status == SKY_OK ? SKY_OK : sky_status_annotate(status, "%s: ", path);
}
