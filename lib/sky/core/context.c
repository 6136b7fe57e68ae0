#include <sky/core/context.h>

#include <sky/core/id.h>

#include <string.h>

static bool is_zero(const uint8_t *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (bytes[i] != 0)
      return false;
  }
  return true;
}

bool sky_trace_is_valid(const SkyTrace *trace) {
  return !is_zero(trace->trace_id, sizeof(trace->trace_id)) && !is_zero(trace->span_id, sizeof(trace->span_id));
}

/* Value of a hexadecimal digit plus one; 0 of anything else. Lower-case only, as the recommendation demands. */
static const uint8_t hex_digits[256] = {
    ['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16};

/* By table: it reads three dozen digits in every call. */
static bool parse_hex(const char *text, uint8_t *bytes, size_t size) {
  bool valid = true;
  for (size_t i = 0; i < size; i++) {
    const unsigned high = hex_digits[(uint8_t)text[2 * i]], low = hex_digits[(uint8_t)text[2 * i + 1]];
    valid &= high != 0 && low != 0;
    bytes[i] = (uint8_t)((high - 1) << 4 | ((low - 1) & 15));
  }
  return valid;
}

static char *format_hex(const uint8_t *bytes, size_t size, char *text) {
  for (size_t i = 0; i < size; i++) {
    *text++ = "0123456789abcdef"[bytes[i] >> 4];
    *text++ = "0123456789abcdef"[bytes[i] & 15];
  }
  return text;
}

/* A later version may be longer than 55 characters, but then goes on with a dash. */
static bool has_traceparent_shape(SkyStr text, uint8_t version) {
  const size_t size = SKY_TRACEPARENT_SIZE - 1;
  const bool fits = version == 0 ? text.size == size : text.size == size || text.data[size] == '-';
  return version != 0xff && fits && text.data[2] == '-' && text.data[35] == '-' && text.data[52] == '-';
}

bool sky_trace_parse(SkyStr traceparent, SkyTrace *ret) {
  uint8_t version;
  SkyTrace trace;
  if (traceparent.size < SKY_TRACEPARENT_SIZE - 1 || !parse_hex(traceparent.data, &version, 1) ||
      !has_traceparent_shape(traceparent, version))
    return false;
  if (!parse_hex(traceparent.data + 3, trace.trace_id, sizeof(trace.trace_id)) ||
      !parse_hex(traceparent.data + 36, trace.span_id, sizeof(trace.span_id)) ||
      !parse_hex(traceparent.data + 53, &trace.flags, 1) || !sky_trace_is_valid(&trace))
    return false;
  trace.flags &= 1; /* the others mean nothing in the version that we write */
  *ret = trace;
  return true;
}

void sky_trace_format(const SkyTrace *trace, char text[SKY_TRACEPARENT_SIZE]) {
  memcpy(text, "00-", 3);
  char *at = format_hex(trace->trace_id, sizeof(trace->trace_id), text + 3);
  *at++ = '-';
  at = format_hex(trace->span_id, sizeof(trace->span_id), at);
  *at++ = '-';
  *format_hex(&trace->flags, 1, at) = '\0';
}

SkyTrace sky_trace_child(const SkyTrace *parent) {
  const SkyRandom *random = sky_random_system_borrow();
  SkyTrace child = {.flags = 1};
  if (parent != NULL && sky_trace_is_valid(parent))
    child = *parent;
  else
    random->fill(random->self, child.trace_id, sizeof(child.trace_id));
  random->fill(random->self, child.span_id, sizeof(child.span_id));
  return child;
}

static int64_t now_ns(void) {
  return sky_clock_monotonic_ns(sky_clock_system_borrow());
}

SkyContext sky_context_background(void) {
  return (SkyContext){.deadline_ns = SKY_NO_DEADLINE, .trace = sky_trace_child(NULL)};
}

SkyContext sky_context_with_timeout_ms(const SkyContext *parent, int64_t timeout_ms) {
  SkyContext context = *parent;
  int64_t deadline_ns;
  if (timeout_ms < 0)
    timeout_ms = 0;
  if (!__builtin_mul_overflow(timeout_ms, SKY_NS_PER_MS, &deadline_ns) &&
      !__builtin_add_overflow(deadline_ns, now_ns(), &deadline_ns) && deadline_ns < parent->deadline_ns)
    context.deadline_ns = deadline_ns;
  return context;
}

SkyContext sky_context_child(const SkyContext *parent) {
  SkyContext context = *parent;
  context.trace = sky_trace_child(&parent->trace);
  context.call_options = NULL;
  return context;
}

int64_t sky_context_remaining_ms(const SkyContext *context) {
  if (context->deadline_ns == SKY_NO_DEADLINE)
    return INT64_MAX;
  const int64_t left_ns = context->deadline_ns - now_ns();
  return left_ns <= 0 ? 0 : left_ns / SKY_NS_PER_MS + (left_ns % SKY_NS_PER_MS != 0);
}

SkyStatus sky_context_check(const SkyContext *context) {
  if (context->cancel != NULL && sky_cancel_is_set(context->cancel))
    return SKY_CANCELLED("cancelled by the caller");
  if (sky_context_remaining_ms(context) == 0)
    return SKY_DEADLINE_EXCEEDED("deadline exceeded");
  return SKY_OK;
}
