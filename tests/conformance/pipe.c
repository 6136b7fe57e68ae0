#include "pipe.h"

#include <stdio.h>

static bool request_parse(const SkyBuf *bytes, Request *ret) {
  SkyWireReader reader = sky_wire_reader(bytes->data, bytes->size);
  SkyWireField field;
  *ret = (Request){.payload = SKY_STR(""), .type = SKY_STR("")};
  while (!sky_wire_at_end(&reader)) {
    if (!sky_wire_next(&reader, &field))
      return false;
    if (field.number == REQUEST_OUTPUT)
      ret->output = field.scalar;
    else if (field.number == REQUEST_TYPE)
      ret->type = field.bytes;
    else if (field.number == REQUEST_CATEGORY)
      ret->category = field.scalar;
    else if (field.type == SKY_WIRE_BYTES && field.number != 6) {
      ret->payload = field.bytes;
      ret->payload_kind = field.number;
    }
  }
  return true;
}

void answer_error(SkyBuf *out, uint32_t field, SkyStatus status) {
  answer(out, field, sky_str(sky_status_message(status)));
  sky_status_free(status);
}

static bool read_exactly(void *to, size_t size) {
  return fread(to, 1, size, stdin) == size;
}

/* False at the end of the input. */
static bool serve_one(Respond respond, void *user, SkyBuf *in, SkyBuf *out) {
  uint8_t size_bytes[4];
  uint32_t size = 0;
  if (!read_exactly(size_bytes, sizeof(size_bytes)))
    return false;
  SkyWireReader reader = sky_wire_reader(size_bytes, sizeof(size_bytes));
  (void)sky_wire_read_fixed32(&reader, &size);
  sky_buf_clear(in);
  uint8_t *room = sky_buf_reserve(in, size);
  if (room == NULL || !read_exactly(room, size))
    return false;
  sky_buf_commit(in, size);
  sky_buf_clear(out);
  Request request;
  if (!request_parse(in, &request))
    return false;
  if (sky_str_is(request.type, "conformance.FailureSet")) /* the first question: which failures are expected */
    answer(out, RESPONSE_PROTOBUF, SKY_STR(""));
  else
    respond(user, &request, out);
  const uint32_t written = (uint32_t)out->size;
  const uint8_t header[4] = {(uint8_t)written, (uint8_t)(written >> 8), (uint8_t)(written >> 16),
                             (uint8_t)(written >> 24)};
  return fwrite(header, 1, 4, stdout) == 4 && fwrite(out->data, 1, written, stdout) == written && fflush(stdout) == 0;
}

void serve(Respond respond, void *user) {
  SkyBuf in, out;
  sky_buf_init(&in, MAX_MESSAGE);
  sky_buf_init(&out, MAX_MESSAGE);
  while (serve_one(respond, user, &in, &out))
    continue;
  sky_buf_finish(&out);
  sky_buf_finish(&in);
}
