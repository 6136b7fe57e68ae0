/*
 * CSV rows: the records of a CSV file (RFC 4180) as JSON objects. The first record names the fields by their path in
 * the JSON, in any order: ownerId,pickupLocation.latitude,…,packageInfo.weightKg. An empty cell is a field that is not
 * set; true and false are booleans; all else is text, for numbers may be text in protobuf's JSON. Spaces around a cell
 * do not count.
 *
 * Errors are INVALID_ARGUMENT with the line on which the record begins; after one nothing more may be fed.
 */
#pragma once

#include <stddef.h>

#include <sky/core/status.h>

#include "skyctl/rows.h"

typedef struct CsvRows CsvRows;

/* Records are added to the rows, which must outlive it. */
SKY_MUST_USE SkyStatus csv_rows_create(Rows *rows, CsvRows **ret);
/* A line of the file with its newline; a record may go on over several when a cell in quotes does. */
SKY_MUST_USE SkyStatus csv_rows_feed(CsvRows *csv, const char *line, size_t size, size_t number);
/* The last record may do without a newline. */
SKY_MUST_USE SkyStatus csv_rows_end(CsvRows *csv);
void csv_rows_destroy(CsvRows *csv); /* NULL-safe */
