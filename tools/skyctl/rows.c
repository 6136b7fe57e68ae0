#include "skyctl/rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sky/core/str.h>

#include "skyctl/csv_rows.h"

SkyStatus rows_add(Rows *rows, const char *json, size_t size, size_t line) {
  if (rows->count == ROWS_MAX)
    return SKY_RESOURCE_EXHAUSTED("more than %d rows", ROWS_MAX);
  if ((rows->count & (rows->count + 1)) == 0) { /* room for the next power of two */
    Row *more = realloc(rows->rows, (rows->count + 1) * 2 * sizeof(*more));
    if (more == NULL)
      return sky_status_no_memory();
    rows->rows = more;
  }
  Row *row = &rows->rows[rows->count];
  row->json = malloc(size + 1);
  if (row->json == NULL)
    return sky_status_no_memory();
  memcpy(row->json, json, size);
  row->json[size] = '\0';
  row->line = line;
  rows->count++;
  return SKY_OK;
}

void rows_finish(Rows *rows) {
  for (size_t i = 0; i < rows->count; i++)
    free(rows->rows[i].json);
  free(rows->rows);
  *rows = (Rows){0};
}

/* ---- lines ---- */

typedef struct Line {
  char text[ROWS_MAX_BYTES + 1]; /* with its newline, unless it is the last and has none */
  size_t size;                   /* 0: the file has ended */
  size_t number;
} Line;

static SkyStatus read_line(FILE *file, Line *line) {
  line->number++;
  line->size = 0;
  for (int c; (c = getc_unlocked(file)) != EOF;) {
    if (c == '\0')
      return SKY_INVALID_ARGUMENT("line %zu: holds a NUL byte", line->number);
    if (line->size == sizeof(line->text))
      return SKY_INVALID_ARGUMENT("line %zu: longer than %d bytes", line->number, ROWS_MAX_BYTES);
    line->text[line->size++] = (char)c;
    if (c == '\n')
      return SKY_OK;
  }
  return ferror(file) ? SKY_DATA_LOSS("reading failed: %s", strerror(errno)) : SKY_OK;
}

/* What some programs write first into a file in UTF-8. */
static SkyStr without_byte_order_mark(const Line *line) {
  const SkyStr text = {line->text, line->size};
  const bool marked = line->number == 1 && sky_str_starts_with(text, SKY_STR("\xef\xbb\xbf"));
  return marked ? (SkyStr){text.data + 3, text.size - 3} : text;
}

static SkyStr trimmed(SkyStr text) {
  while (text.size > 0 && strchr("\r\n\t ", text.data[text.size - 1]) != NULL)
    text.size--;
  return text;
}

static SkyStatus take_json(SkyStr text, size_t number, Rows *rows) {
  const SkyStr json = trimmed(text);
  return json.size == 0 ? SKY_OK : rows_add(rows, json.data, json.size, number);
}

/* csv: NULL for JSON lines. */
static SkyStatus load_lines(FILE *file, CsvRows *csv, Rows *rows) {
  Line line = {.number = 0};
  for (;;) {
    SKY_TRY(read_line(file, &line));
    if (line.size == 0)
      return csv == NULL ? SKY_OK : csv_rows_end(csv);
    const SkyStr text = without_byte_order_mark(&line);
    if (csv == NULL)
      SKY_TRY(take_json(text, line.number, rows));
    else
      SKY_TRY(csv_rows_feed(csv, text.data, text.size, line.number));
  }
}

static SkyStatus load(FILE *file, bool is_csv, Rows *rows) {
  CsvRows *csv = NULL;
  if (is_csv)
    SKY_TRY(csv_rows_create(rows, &csv));
  const SkyStatus status = load_lines(file, csv, rows);
  csv_rows_destroy(csv);
  return status;
}

SkyStatus rows_load(const char *path, Rows *ret) {
  const bool is_stdin = strcmp(path, "-") == 0;
  FILE *file = is_stdin ? stdin : fopen(path, "re");
  if (file == NULL)
    return SKY_NOT_FOUND("cannot open %s: %s", path, strerror(errno));
  Rows rows = {0};
  SkyStatus status = load(file, sky_str_ends_with(sky_str(path), SKY_STR(".csv")), &rows);
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
