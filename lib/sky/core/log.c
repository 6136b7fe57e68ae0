#include <sky/core/log.h>

#include <sky/core/buf.h>

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAX_LINE = 16 * 1024, MAX_BODY = 6 * 1024, MAX_TEXT = 4 * 1024, MAX_SERVICE_NAME = 64 };

/* What a line ends with when something was left out, and when not. The buffer keeps room for the longer one. */
static const char cut_tail[] = "\"log.truncated\":true}}\n", tail[] = "}}\n";

static struct {
  char service_name[MAX_SERVICE_NAME];
  atomic_int least;
  int fd;
} settings = {"unknown_service", SKY_INFO, STDERR_FILENO};

static const struct {
  SkySeverity severity;
  const char *name, *label;
} severities[] = {
    {SKY_TRACE, "trace", "TRACE"}, {SKY_DEBUG, "debug", "DEBUG"}, {SKY_INFO, "info", "INFO"},
    {SKY_WARN, "warn", "WARN"},    {SKY_ERROR, "error", "ERROR"}, {SKY_FATAL, "fatal", "FATAL"},
};
enum { SEVERITY_COUNT = sizeof(severities) / sizeof(severities[0]) };

void sky_log_init(const char *service_name, SkySeverity least, int fd) {
  snprintf(settings.service_name, sizeof(settings.service_name), "%s", service_name);
  settings.least = (int)least;
  settings.fd = fd;
}

bool sky_log_enabled(SkySeverity severity) {
  return (int)severity >= atomic_load_explicit(&settings.least, memory_order_relaxed);
}

bool sky_severity_from_name(const char *name, SkySeverity *ret) {
  for (size_t i = 0; i < SEVERITY_COUNT; i++) {
    if (strcmp(name, severities[i].name) == 0) {
      *ret = severities[i].severity;
      return true;
    }
  }
  return false;
}

static const char *severity_label(SkySeverity severity) {
  for (size_t i = 0; i < SEVERITY_COUNT; i++) {
    if (severities[i].severity == severity)
      return severities[i].label;
  }
  return "UNSPECIFIED";
}

/* Goes back to where the line still was whole. */
static void roll_back(SkyBuf *line, size_t size) {
  line->size = size;
  line->failed = false;
}

/* Appends a JSON string of at most max_bytes; a longer one is cut. Returns false when it was cut. */
static bool append_string(SkyBuf *line, const char *text, size_t size, size_t max_bytes) {
  const size_t from = line->size;
  const size_t whole = size;
  while (!line->failed) {
    sky_buf_append_json_string(line, text, size);
    if (size == 0 || (!line->failed && line->size - from <= max_bytes))
      return size == whole;
    roll_back(line, from);
    /* Escapes make a text up to six times as long: first what may fit, then ever less. */
    size = sky_utf8_cut(text, size, size > max_bytes ? max_bytes - 2 : size - size / 4 - 1);
  }
  return false;
}

static bool append_body(SkyBuf *line, const char *format, va_list values) SKY_PRINTF(2, 0);
static bool append_body(SkyBuf *line, const char *format, va_list values) {
  char body[MAX_BODY];
  const int length = vsnprintf(body, sizeof(body), format, values);
  const size_t size = length < 0 ? 0 : (size_t)length;
  /* vsnprintf() may have cut the last character in two: sky_utf8_cut() sees only what is there, so give it one byte
   * less. */
  const size_t kept = size < sizeof(body) ? size : sky_utf8_cut(body, sizeof(body) - 1, sizeof(body) - 4);
  return append_string(line, body, kept, MAX_BODY) && kept == size;
}

static void append_trace(SkyBuf *line, const SkyTrace *trace) {
  char text[SKY_TRACEPARENT_SIZE];
  sky_trace_format(trace, text); /* 00-<32>-<16>-<2> */
  sky_buf_printf(line, ",\"trace_id\":\"%.32s\",\"span_id\":\"%.16s\",\"trace_flags\":\"%.2s\"", text + 3, text + 36,
                 text + 53);
}

static bool append_value(SkyBuf *line, const SkyLogField *field) {
  switch (field->kind) {
  case SKY_LOG_TEXT:
    if (field->value.text != NULL)
      return append_string(line, field->value.text, strlen(field->value.text), MAX_TEXT);
    sky_buf_append_text(line, "null");
    break;
  case SKY_LOG_INT:
    sky_buf_printf(line, "%lld", (long long)field->value.integer);
    break;
  case SKY_LOG_DOUBLE:
    sky_buf_printf(line, isfinite(field->value.number) ? "%.15g" : "\"%g\"", field->value.number);
    break;
  case SKY_LOG_BOOL:
    sky_buf_append_text(line, field->value.boolean ? "true" : "false");
    break;
  case SKY_LOG_END:
    break;
  }
  return true;
}

/* Leaves out what finds no room. Returns false when anything was cut or left out. */
static bool append_attributes(SkyBuf *line, const SkyLogField *fields) {
  bool whole = true;
  sky_buf_append_text(line, ",\"attributes\":{");
  const size_t start = line->size;
  if (line->failed || fields == NULL)
    return true;
  for (const SkyLogField *field = fields; field->kind != SKY_LOG_END; field++) {
    const size_t from = line->size;
    if (from > start)
      sky_buf_append_byte(line, ',');
    sky_buf_append_json_string(line, field->key, strlen(field->key));
    sky_buf_append_byte(line, ':');
    whole = append_value(line, field) && whole;
    if (line->failed) {
      roll_back(line, from);
      whole = false;
    }
  }
  return whole;
}

static void append_head(SkyBuf *line, SkySeverity severity) {
  const int64_t now_us = sky_clock_wall_ns(sky_clock_system_borrow()) / 1000;
  char timestamp[SKY_RFC3339_SIZE];
  sky_time_format_rfc3339(now_us / 1000000, (int32_t)(now_us % 1000000 * 1000), timestamp);
  sky_buf_printf(line, "{\"timestamp\":\"%s\",\"severity_text\":\"%s\",\"severity_number\":%d,\"body\":", timestamp,
                 severity_label(severity), (int)severity);
}

static void append_tail(SkyBuf *line, bool whole) {
  line->max_bytes = MAX_LINE;
  if (!line->failed && !whole && line->data[line->size - 1] != '{')
    sky_buf_append_byte(line, ',');
  sky_buf_append_text(line, whole ? tail : cut_tail);
}

/* A log that cannot be written (a closed pipe, a full disk) must not stop the service: the rest is dropped. */
static void write_line(SkyStr line) {
  while (line.size > 0) {
    const ssize_t written = write(settings.fd, line.data, line.size);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return;
    line = (SkyStr){line.data + written, line.size - (size_t)written};
  }
}

void sky_log_write(SkySeverity severity, const SkyContext *context, const char *event_name, const SkyLogField *fields,
                   const char *format, ...) {
  SkyBuf line;
  sky_buf_init(&line, MAX_LINE - sizeof(cut_tail) - 1);
  append_head(&line, severity);
  va_list values;
  va_start(values, format);
  bool whole = append_body(&line, format, values);
  va_end(values);
  if (event_name != NULL) {
    sky_buf_append_text(&line, ",\"event_name\":");
    whole = append_string(&line, event_name, strlen(event_name), MAX_SERVICE_NAME) && whole;
  }
  if (context != NULL && sky_trace_is_valid(&context->trace))
    append_trace(&line, &context->trace);
  sky_buf_append_text(&line, ",\"service.name\":");
  sky_buf_append_json_string(&line, settings.service_name, strlen(settings.service_name));
  whole = append_attributes(&line, fields) && whole;
  append_tail(&line, whole);
  if (!line.failed)
    write_line(sky_buf_str(&line));
  sky_buf_finish(&line);
}

void sky_log_status(SkySeverity severity, const SkyContext *context, const char *event_name, SkyStatus status,
                    const char *what) {
  if (status == SKY_OK)
    return;
  const char *code = sky_code_name(sky_status_code(status));
  const char *message = sky_status_message(status);
  SkyLogField fields[] = {SKY_F_TEXT("error.type", code),
                          SKY_F_TEXT("error.message", message),
                          SKY_F_TEXT("error.reason", sky_status_reason(status)),
                          {.kind = SKY_LOG_END}};
  if (sky_status_reason(status) == NULL)
    fields[2].kind = SKY_LOG_END;
  sky_log(severity, context, event_name, fields, "%s: %s", what, message);
  sky_status_free(status);
}
