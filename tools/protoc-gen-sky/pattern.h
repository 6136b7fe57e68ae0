/*
 * Pattern: RE2 expressions, as contracts write them, to POSIX extended ones for regcomp() in the C locale, where text
 * is bytes: what means one character there is made to match one whole UTF-8 sequence.
 */
#pragma once

#include <sky/core/arena.h>
#include <sky/core/status.h>

/* INVALID_ARGUMENT names the construct that has no counterpart, or regcomp()'s complaint. */
SKY_MUST_USE SkyStatus sky_pattern_to_posix(SkyArena *arena, const char *expression, const char **ret);
