#include "skyctl/csv_rows.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <csv.h>

#include <sky/core/buf.h>

enum { MAX_COLUMNS = 64 };

typedef struct Column {
  char *name;
  size_t position; /* in a record */
} Column;

struct CsvRows {
  struct csv_parser parser;
  Rows *rows;
  Column columns[MAX_COLUMNS]; /* by name: what belongs into one object is side by side */
  size_t column_count;         /* 0: the header has not come yet */
  /* The record that is being read. */
  bool is_open;
  size_t line, bytes;
  SkyBuf text; /* its cells, each with a NUL at its end */
  size_t cells[MAX_COLUMNS];
  size_t cell_count;
  SkyBuf json;
  SkyStatus status; /* what went wrong in a callback */
};

/* ---- the header ---- */

/* A dot comes before all else, so that "a", "a.b" and "a-b" stand in this order. */
static int compare_names(const char *a, const char *b) {
  while (*a != '\0' && *a == *b) {
    a++;
    b++;
  }
  const int rank_a = *a == '.' ? 1 : *a == '\0' ? 0 : (unsigned char)*a + 1;
  const int rank_b = *b == '.' ? 1 : *b == '\0' ? 0 : (unsigned char)*b + 1;
  return rank_a - rank_b;
}

static int compare_columns(const void *a, const void *b) {
  return compare_names(((const Column *)a)->name, ((const Column *)b)->name);
}

static const char *cell_at(const CsvRows *csv, size_t position) {
  return (const char *)csv->text.data + csv->cells[position];
}

static bool has_empty_part(const char *name) {
  return *name == '\0' || *name == '.' || name[strlen(name) - 1] == '.' || strstr(name, "..") != NULL;
}

static bool is_inside(const char *name, const char *object) {
  const size_t size = strlen(object);
  return strncmp(name, object, size) == 0 && name[size] == '.';
}

static SkyStatus check_columns(const CsvRows *csv) {
  for (size_t i = 1; i < csv->column_count; i++) {
    const char *before = csv->columns[i - 1].name, *name = csv->columns[i].name;
    if (strcmp(before, name) == 0)
      return SKY_INVALID_ARGUMENT("line %zu: two columns are named \"%s\"", csv->line, name);
    if (is_inside(name, before))
      return SKY_INVALID_ARGUMENT("line %zu: \"%s\" cannot be a column beside \"%s\"", csv->line, before, name);
  }
  return SKY_OK;
}

static SkyStatus take_header(CsvRows *csv) {
  for (size_t i = 0; i < csv->cell_count; i++) {
    if (has_empty_part(cell_at(csv, i)))
      return SKY_INVALID_ARGUMENT("line %zu: \"%s\" (column %zu) is not the name of a field", csv->line,
                                  cell_at(csv, i), i + 1);
    char *name = strdup(cell_at(csv, i));
    if (name == NULL)
      return sky_status_no_memory();
    csv->columns[csv->column_count++] = (Column){name, i};
  }
  qsort(csv->columns, csv->column_count, sizeof(*csv->columns), compare_columns);
  return check_columns(csv);
}

/* ---- a record ---- */

/* How much of the two names are the same objects. */
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
static void write_key(SkyBuf *json, const char *previous, const char *name) {
  const size_t shared = common_prefix(previous, name);
  close_objects(json, previous, shared);
  if (*previous != '\0')
    sky_buf_append_text(json, ",");
  const char *part = name + shared;
  for (const char *dot; (dot = strchr(part, '.')) != NULL; part = dot + 1) {
    sky_buf_append_json_string(json, part, (size_t)(dot - part));
    sky_buf_append_text(json, ":{");
  }
  sky_buf_append_json_string(json, part, strlen(part));
  sky_buf_append_text(json, ":");
}

static void write_cell(SkyBuf *json, SkyStr cell) {
  if (sky_str_is(cell, "true") || sky_str_is(cell, "false"))
    sky_buf_append_str(json, cell);
  else
    sky_buf_append_json_string(json, cell.data, cell.size);
}

static SkyStatus take_record(CsvRows *csv) {
  const char *previous = "";
  if (csv->cell_count != csv->column_count)
    return SKY_INVALID_ARGUMENT("line %zu: %zu cells, but the header has %zu", csv->line, csv->cell_count,
                                csv->column_count);
  sky_buf_clear(&csv->json);
  sky_buf_append_text(&csv->json, "{");
  for (size_t i = 0; i < csv->column_count; i++) {
    const SkyStr cell = sky_str(cell_at(csv, csv->columns[i].position));
    if (cell.size == 0)
      continue;
    write_key(&csv->json, previous, csv->columns[i].name);
    write_cell(&csv->json, cell);
    previous = csv->columns[i].name;
  }
  close_objects(&csv->json, previous, 0);
  sky_buf_append_text(&csv->json, "}");
  SKY_TRY(sky_buf_status(&csv->json));
  return rows_add(csv->rows, (const char *)csv->json.data, csv->json.size, csv->line);
}

/* ---- reading ---- */

static void on_cell(void *cell, size_t size, void *user) {
  CsvRows *csv = user;
  if (csv->status != SKY_OK)
    return;
  if (csv->cell_count == MAX_COLUMNS) {
    csv->status = SKY_INVALID_ARGUMENT("line %zu: more than %d cells", csv->line, MAX_COLUMNS);
    return;
  }
  csv->cells[csv->cell_count++] = csv->text.size;
  sky_buf_append(&csv->text, cell, size);
  sky_buf_append_byte(&csv->text, '\0');
  csv->status = sky_buf_status(&csv->text);
}

static void on_record(int end, void *user) {
  CsvRows *csv = user;
  if (csv->status == SKY_OK)
    csv->status = csv->column_count == 0 ? take_header(csv) : take_record(csv);
  csv->is_open = false;
}

static SkyStatus parse_error(const CsvRows *csv) {
  if (csv_error((struct csv_parser *)&csv->parser) != CSV_EPARSE)
    return sky_status_no_memory();
  return SKY_INVALID_ARGUMENT("line %zu: a quote where none may be: a cell with quotes is put into quotes as a whole, "
                              "and each of its own is doubled",
                              csv->line);
}

static SkyStatus take_status(CsvRows *csv) {
  SkyStatus status = csv->status;
  csv->status = SKY_OK;
  return status;
}

static bool is_blank(const char *line, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (!isspace((unsigned char)line[i]))
      return false;
  return true;
}

static void open_record(CsvRows *csv, size_t number) {
  csv->is_open = true;
  csv->line = number;
  csv->bytes = csv->cell_count = 0;
  sky_buf_clear(&csv->text);
}

SkyStatus csv_rows_create(Rows *rows, CsvRows **ret) {
  CsvRows *csv = calloc(1, sizeof(*csv));
  if (csv == NULL || csv_init(&csv->parser, CSV_STRICT | CSV_STRICT_FINI | CSV_APPEND_NULL) != 0) {
    free(csv);
    return sky_status_no_memory();
  }
  csv->rows = rows;
  sky_buf_init(&csv->text, ROWS_MAX_BYTES + MAX_COLUMNS);
  sky_buf_init(&csv->json, 8 * ROWS_MAX_BYTES); /* a byte may become six, and names come to it */
  *ret = csv;
  return SKY_OK;
}

SkyStatus csv_rows_feed(CsvRows *csv, const char *line, size_t size, size_t number) {
  if (!csv->is_open) {
    if (is_blank(line, size))
      return SKY_OK;
    open_record(csv, number);
  }
  csv->bytes += size;
  if (csv->bytes > ROWS_MAX_BYTES)
    return SKY_INVALID_ARGUMENT("line %zu: longer than %d bytes", csv->line, ROWS_MAX_BYTES);
  const size_t parsed = csv_parse(&csv->parser, line, size, on_cell, on_record, csv);
  SKY_TRY(take_status(csv));
  return parsed == size ? SKY_OK : parse_error(csv);
}

SkyStatus csv_rows_end(CsvRows *csv) {
  const int failed = csv_fini(&csv->parser, on_cell, on_record, csv);
  SKY_TRY(take_status(csv));
  return failed == 0 ? SKY_OK : SKY_INVALID_ARGUMENT("line %zu: a cell in quotes does not end", csv->line);
}

void csv_rows_destroy(CsvRows *csv) {
  if (csv == NULL)
    return;
  for (size_t i = 0; i < csv->column_count; i++)
    free(csv->columns[i].name);
  csv_free(&csv->parser);
  sky_buf_finish(&csv->text);
  sky_buf_finish(&csv->json);
  free(csv);
}
