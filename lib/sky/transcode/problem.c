/* Problems: the HTTP status of an error, and its body without anything internal. */
#include <sky/transcode/problem.h>

#include <string.h>

#include "descriptor.h"
#include "number.h"

enum { MAX_PATH_BYTES = 64 * 1024 };

/* ---- HTTP status ---- */

static const struct {
  const char *reason;
  uint32_t http_status;
} status_of_reason[] = {
    {SKY_REASON_NO_ROUTE, 404},
    {SKY_REASON_NOT_ALLOWED, 405},
    {SKY_REASON_NOT_ACCEPTABLE, 406},
    {SKY_REASON_TIMEOUT, 408},
    {SKY_REASON_GONE, 410},
    {SKY_REASON_ETAG, 412},
    {SKY_REASON_TOO_LARGE, 413},
    {SKY_REASON_URI_TOO_LONG, 414},
    {SKY_REASON_MEDIA_TYPE, 415},
    {SKY_REASON_PRECONDITION, 428},
    {SKY_REASON_HEADERS_TOO_LARGE, 431},
};

static const uint32_t status_of_code[] = {
    [SKY_CODE_OK] = 200,
    [SKY_CODE_CANCELLED] = 499,
    [SKY_CODE_UNKNOWN] = 500,
    [SKY_CODE_INVALID_ARGUMENT] = 400,
    [SKY_CODE_DEADLINE_EXCEEDED] = 504,
    [SKY_CODE_NOT_FOUND] = 404,
    [SKY_CODE_ALREADY_EXISTS] = 409,
    [SKY_CODE_PERMISSION_DENIED] = 403,
    [SKY_CODE_RESOURCE_EXHAUSTED] = 429,
    [SKY_CODE_FAILED_PRECONDITION] = 409,
    [SKY_CODE_ABORTED] = 409,
    [SKY_CODE_OUT_OF_RANGE] = 400,
    [SKY_CODE_UNIMPLEMENTED] = 501,
    [SKY_CODE_INTERNAL] = 500,
    [SKY_CODE_UNAVAILABLE] = 503,
    [SKY_CODE_DATA_LOSS] = 500,
    [SKY_CODE_UNAUTHENTICATED] = 401,
};

uint32_t sky_problem_http_status(const SkyError *status) {
  const char *reason = sky_status_reason(status);
  for (size_t i = 0; reason != NULL && i < sizeof(status_of_reason) / sizeof(*status_of_reason); i++)
    if (strcmp(reason, status_of_reason[i].reason) == 0)
      return status_of_reason[i].http_status;
  const size_t code = (size_t)sky_status_code(status);
  return code < sizeof(status_of_code) / sizeof(*status_of_code) ? status_of_code[code] : 500;
}

static const struct {
  uint32_t http_status;
  const char *title;
} titles[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
};

const char *sky_http_status_title(uint32_t http_status) {
  for (size_t i = 0; i < sizeof(titles) / sizeof(*titles); i++)
    if (titles[i].http_status == http_status)
      return titles[i].title;
  return "";
}

uint32_t sky_problem_retry_after_s(const SkyError *status) {
  const int64_t after_ms = sky_status_retry_after_ms(status);
  const uint32_t http_status = sky_problem_http_status(status);
  if (after_ms < 0)
    return http_status == 503 || http_status == 429 ? 1 : 0;
  const int64_t seconds = after_ms / 1000 + (after_ms % 1000 != 0);
  if (seconds < 1)
    return 1;
  return seconds > 86400 ? 86400 : (uint32_t)seconds;
}

/* ---- the body ---- */

static const char *public_detail(const SkyError *status) {
  const bool meant_for_readers = sky_status_reason(status) != NULL;
  switch (sky_status_code(status)) {
  case SKY_CODE_UNKNOWN:
  case SKY_CODE_INTERNAL:
  case SKY_CODE_DATA_LOSS:
    return "Something went wrong on our side. Tell us the trace id if it happens again.";
  case SKY_CODE_UNAVAILABLE:
    return meant_for_readers ? sky_status_message(status) : "The service cannot answer just now. Try again soon.";
  case SKY_CODE_DEADLINE_EXCEEDED:
    return meant_for_readers ? sky_status_message(status) : "The service did not answer in time.";
  case SKY_CODE_CANCELLED:
    return meant_for_readers ? sky_status_message(status) : "The request was cancelled.";
  default:
    return sky_status_message(status);
  }
}

static void add_text(SkyBuf *out, const char *key, SkyStr value) {
  if (value.size == 0)
    return;
  sky_buf_append_text(out, ",\"");
  sky_buf_append_text(out, key);
  sky_buf_append_text(out, "\":");
  sky_buf_append_json_string(out, value.data, value.size);
}

static SkyStr name_part(SkyStr *path) {
  SkyStr part = *path;
  if (!sky_str_cut(path, '.', &part)) {
    part = *path;
    path->size = 0;
  }
  return part;
}

/* "items[2]" is the field "items" and "[2]". */
static SkyStr cut_index(SkyStr *part) {
  const char *bracket = memchr(part->data, '[', part->size);
  if (bracket == NULL)
    return SKY_STR("");
  const SkyStr index = {.data = bracket, .size = (size_t)(part->data + part->size - bracket)};
  part->size -= index.size;
  return index;
}

/*
 * A backend's "order.pickup_location.latitude" as the client wrote it: "pickupLocation.latitude" when the body is the
 * field "order", and "body" for the field itself. Parts that are no fields stay as they are.
 */
static void json_path(const SkyRoute *route, SkyStr path, SkyBuf *out) {
  const SkyBinding *binding = route->binding;
  const SkyMessageType *type = binding->entry->method.request;
  for (bool at_start = true; path.size > 0;) {
    SkyStr part = name_part(&path);
    const SkyStr index = cut_index(&part);
    const SkyField *field = type == NULL ? NULL : message_field_by_name(type, part, 0);
    type = field == NULL ? NULL : field->message;
    const bool is_body = field != NULL && field == binding->body && at_start && index.size == 0;
    at_start = false;
    if (is_body && path.size > 0)
      continue;
    if (out->size > 0)
      sky_buf_append_byte(out, '.');
    sky_buf_append_str(out, is_body ? SKY_STR("body") : field == NULL ? part : field->json_name);
    sky_buf_append_str(out, index);
  }
}

/* The violation's field as the client knows it. */
static void append_field(SkyBuf *out, const SkyFieldViolation *violation, const SkyRoute *route) {
  const size_t before = out->size;
  if (route != NULL && route->binding != NULL)
    json_path(route, sky_str(violation->field), out);
  if (out->size == before)
    sky_buf_append_text(out, violation->field);
}

static void add_violation_field(SkyBuf *out, const SkyFieldViolation *violation, const SkyRoute *route) {
  SkyBuf path;
  sky_buf_init(&path, MAX_PATH_BYTES);
  append_field(&path, violation, route);
  sky_buf_append_json_string(out, (const char *)path.data, path.size);
  sky_buf_finish(&path);
}

/* What tells of the first violation names its field as the violations do. */
static void add_detail(SkyBuf *out, const SkyError *status, const SkyRoute *route) {
  const char *detail = public_detail(status);
  if (detail != sky_status_message(status) || !sky_status_is_its_first_violation(status)) {
    add_text(out, "detail", sky_str(detail));
    return;
  }
  const SkyFieldViolation *violation = sky_status_violation(status, 0);
  SkyBuf text;
  sky_buf_init(&text, MAX_PATH_BYTES);
  append_field(&text, violation, route);
  sky_buf_append_text(&text, ": ");
  sky_buf_append_text(&text, violation->description);
  add_text(out, "detail", sky_buf_str(&text));
  sky_buf_finish(&text);
}

static void add_violations(SkyBuf *out, const SkyError *status, const SkyRoute *route) {
  const size_t count = sky_status_violation_count(status);
  for (size_t i = 0; i < count; i++) {
    const SkyFieldViolation *violation = sky_status_violation(status, i);
    sky_buf_append_text(out, i == 0 ? ",\"violations\":[{\"field\":" : ",{\"field\":");
    add_violation_field(out, violation, route);
    add_text(out, "description", sky_str(violation->description));
    sky_buf_append_byte(out, '}');
  }
  if (count > 0)
    sky_buf_append_byte(out, ']');
}

static void add_type(SkyBuf *out, const char *reason, SkyStr type_base) {
  sky_buf_append_text(out, "{\"type\":\"");
  if (reason == NULL || type_base.size == 0) {
    sky_buf_append_text(out, "about:blank\"");
    return;
  }
  sky_buf_append_str(out, type_base); /* from the configuration */
  for (const char *c = reason; *c != '\0'; c++)
    sky_buf_append_byte(out, (uint8_t)((*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ? *c : '_'));
  sky_buf_append_byte(out, '"');
}

void sky_problem_write(const SkyError *status, const SkyProblemContext *context, SkyBuf *ret_body) {
  static const SkyProblemContext nothing = {.route = NULL};
  char number[NUMBER_TEXT_SIZE];
  if (context == NULL)
    context = &nothing;
  const uint32_t http_status = sky_problem_http_status(status);
  const char *reason = sky_status_reason(status);
  add_type(ret_body, reason, context->type_base);
  add_text(ret_body, "title", sky_str(sky_http_status_title(http_status)));
  sky_buf_append_text(ret_body, ",\"status\":");
  sky_buf_append(ret_body, number, number_write_uint64(http_status, number));
  add_detail(ret_body, status, context->route);
  add_text(ret_body, "instance", context->instance);
  add_text(ret_body, "code", sky_str(sky_code_name(sky_status_code(status))));
  add_text(ret_body, "reason", sky_str(reason));
  add_violations(ret_body, status, context->route);
  add_text(ret_body, "traceId", context->trace_id);
  sky_buf_append_byte(ret_body, '}');
}
