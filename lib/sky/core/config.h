/*
 * Config: a process's settings as one table: name, environment variable, default, meaning. Flags (--listen=…) go before
 * the environment (SKY_LISTEN), which goes before the default. The table also prints --help. A wrong value is an error
 * that names the setting; nothing is guessed. An empty variable counts as not set. Read once at start; afterwards
 * immutable, so thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sky/core/status.h>

typedef enum SkySettingKind {
  SKY_SETTING_TEXT,     /* const char *; points into argv, the environment or the table */
  SKY_SETTING_INT,      /* int64_t, checked against min and max */
  SKY_SETTING_DOUBLE,   /* double, checked against min and max */
  SKY_SETTING_BOOL,     /* bool: true, false, 1, 0, yes, no */
  SKY_SETTING_DURATION, /* int64_t ns: "250ms", "5s", "2m"; min and max in ns */
} SkySettingKind;

typedef struct SkySetting {
  const char *flag;        /* "listen" for --listen */
  const char *environment; /* "SKY_LISTEN" */
  SkySettingKind kind;
  void *value;               /* where it goes */
  const char *default_value; /* NULL: required */
  const char *help;          /* one line, begins lower-case */
  double min, max;           /* both 0: no bounds */
} SkySetting;

/*
 * Fills every setting. INVALID_ARGUMENT names the flag or variable and what it must be. Unknown flags, loose arguments
 * and a flag given twice are errors. A bool flag may stand without a value: --verbose. On failure some settings may
 * already be filled. *ret_help is set when --help or -h was given (then nothing else is checked).
 */
SKY_MUST_USE SkyStatus sky_config_load(const SkySetting *settings, size_t count, int argc, char *const *argv,
                                       bool *ret_help);
/* Prints usage on stdout. */
void sky_config_print_help(const char *program, const char *summary, const SkySetting *settings, size_t count);
