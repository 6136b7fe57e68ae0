/*
 * Number: decimal text of numbers and back, exactly and independent of the locale. Private to the transcoder.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sky/core/str.h>

enum { NUMBER_TEXT_SIZE = 32 }; /* room for any text written here */

/* Each returns the number of characters; no NUL is written. */
size_t number_write_uint64(uint64_t value, char *text);
size_t number_write_int64(int64_t value, char *text);

/*
 * The shortest text that reads back as the same number, laid out as ECMAScript does (0.1, 1e+21, 1e-7, -0). Finite
 * numbers only. Schubfach: R. Giulietti, "The Schubfach way to render doubles", 2020.
 */
size_t number_write_double(double value, char *text);
size_t number_write_float(float value, char *text);

/*
 * Whole text as an integer: digits, or any JSON number whose value is one ("1e3", "2.0"). False when it is none or out
 * of range of 64 bits.
 */
bool number_read_int64(SkyStr text, int64_t *ret);
bool number_read_uint64(SkyStr text, uint64_t *ret);
/* Whole text, in JSON's grammar, as the nearest double. False on other text and on overflow. */
bool number_read_double(SkyStr text, double *ret);
