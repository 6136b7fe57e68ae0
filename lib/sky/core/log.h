/*
 * Log: one JSON object per line on a file descriptor (stderr by default), in OpenTelemetry's log data model
 * (telemetry.md): timestamp, severity_text, severity_number, body, event_name, trace_id, span_id, trace_flags,
 * service.name, attributes.
 *
 * Only the edge logs: services and runtime loops. Libraries return a status. Thread-safe; a line is written with one
 * write(). Every text is escaped. A line longer than 16 KiB is cut.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sky/core/context.h>
#include <sky/core/status.h>

typedef enum SkySeverity {
  SKY_TRACE = 1,
  SKY_DEBUG = 5,
  SKY_INFO = 9,
  SKY_WARN = 13,
  SKY_ERROR = 17,
  SKY_FATAL = 21
} SkySeverity;

void sky_log_init(const char *service_name, SkySeverity least,
                  int fd); /* before threads start; service_name is copied */
bool sky_log_enabled(SkySeverity severity);
bool sky_severity_from_name(const char *name, SkySeverity *ret); /* "debug", "info", … */

/* One attribute; build with the macros. */
typedef struct SkyLogField {
  const char *key;
  enum { SKY_LOG_END, SKY_LOG_TEXT, SKY_LOG_INT, SKY_LOG_DOUBLE, SKY_LOG_BOOL } kind;
  union {
    const char *text;
    int64_t integer;
    double number;
    bool boolean;
  } value;
} SkyLogField;

#define SKY_F_TEXT(name, v) ((SkyLogField){.key = (name), .kind = SKY_LOG_TEXT, .value.text = (v)})
#define SKY_F_INT(name, v) ((SkyLogField){.key = (name), .kind = SKY_LOG_INT, .value.integer = (v)})
#define SKY_F_DOUBLE(name, v) ((SkyLogField){.key = (name), .kind = SKY_LOG_DOUBLE, .value.number = (v)})
#define SKY_F_BOOL(name, v) ((SkyLogField){.key = (name), .kind = SKY_LOG_BOOL, .value.boolean = (v)})

/* For the macros below: fields end with SKY_LOG_END, context may be NULL. */
void sky_log_write(SkySeverity severity, const SkyContext *context, const char *event_name, const SkyLogField *fields,
                   const char *format, ...) SKY_PRINTF(5, 6);

/*
 * sky_log(SKY_INFO, context, "delivery.completed", SKY_FIELDS(SKY_F_TEXT("skyhook.delivery.id", id)), "delivery %s
 * completed", id); context and fields may be NULL. Arguments are not evaluated when the severity is off.
 */
#define SKY_FIELDS(...) ((const SkyLogField[]){__VA_ARGS__, {.kind = SKY_LOG_END}})
#define sky_log(severity, context, event_name, fields, ...)                                                            \
  do {                                                                                                                 \
    if (sky_log_enabled(severity))                                                                                     \
      sky_log_write((severity), (context), (event_name), (fields), __VA_ARGS__);                                       \
  } while (0)

/* Logs the error with its code, reason and message as attributes and frees it: where an error ends. SKY_OK logs
 * nothing. */
void sky_log_status(SkySeverity severity, const SkyContext *context, const char *event_name, SkyStatus status,
                    const char *what);
