#include "pub_ack.h"

#include <stdlib.h>
#include <string.h>

/*
 * The numbers of server/errors.json in nats-server. A full stream answers STREAM_STORE_FAILED, like a broken disk, with
 * another text.
 */
enum {
  CLUSTER_NOT_AVAILABLE = 10008,
  INSUFFICIENT_RESOURCES = 10023,
  MEMORY_EXCEEDED = 10028,
  STORAGE_EXCEEDED = 10047,
  MESSAGE_TOO_BIG = 10054,
  WRONG_LAST_SEQUENCE = 10071,
  STREAM_STORE_FAILED = 10077,
};

static const char *value_of(const char *json, const char *key) {
  const char *at = strstr(json, key);
  return at == NULL ? NULL : at + strlen(key);
}

static long error_code(const char *json) {
  const char *text = value_of(json, "\"err_code\":");
  return text == NULL ? 0 : strtol(text, NULL, 10);
}

static SkyStatus error_status(const char *json) {
  const long code = error_code(json);
  const char *text = value_of(json, "\"description\":\"");
  int length = text == NULL ? 0 : (int)strcspn(text, "\"");
  bool is_limit = length > 0 && strncmp(text, "maximum", strlen("maximum")) == 0;
  switch (code) {
  case STREAM_STORE_FAILED:
    if (!is_limit)
      break;
    /* fall through */
  case INSUFFICIENT_RESOURCES:
  case MEMORY_EXCEEDED:
  case STORAGE_EXCEEDED:
    return sky_status_with_retry_after_ms(SKY_RESOURCE_EXHAUSTED("the stream is full: %.*s", length, text ? text : ""),
                                          1000);
  case MESSAGE_TOO_BIG:
    return SKY_INVALID_ARGUMENT("the broker refuses the message: %.*s", length, text ? text : "");
  case CLUSTER_NOT_AVAILABLE:
  default:
    break;
  }
  return sky_status_with_retry_after_ms(
      SKY_UNAVAILABLE("the broker could not store the message: %.*s (%ld)", length, text ? text : "", code), 1000);
}

SkyStatus pub_ack_parse(SkyStr reply, SkyConfirmation *ret) {
  char json[1024];
  size_t size = reply.size < sizeof(json) - 1 ? reply.size : sizeof(json) - 1;
  memcpy(json, reply.data, size);
  json[size] = '\0';
  if (strstr(json, "\"error\":") != NULL && error_code(json) == WRONG_LAST_SEQUENCE) {
    /* Asked for by a first of its subject only: there is one already. */
    const char *last = value_of(json, "wrong last sequence: ");
    *ret = (SkyConfirmation){.sequence = last == NULL ? 0 : strtoull(last, NULL, 10), .duplicate = true};
    return SKY_OK;
  }
  if (strstr(json, "\"error\":") != NULL)
    return error_status(json);
  const char *sequence = value_of(json, "\"seq\":");
  if (sequence == NULL)
    return SKY_DATA_LOSS("the broker's reply to a publication is not an acknowledgement");
  /* Both layouts occur: with and without a blank after the colon. */
  const char *duplicate = value_of(json, "\"duplicate\":");
  *ret =
      (SkyConfirmation){.sequence = strtoull(sequence, NULL, 10),
                        .duplicate = duplicate != NULL && strncmp(duplicate + strspn(duplicate, " "), "true", 4) == 0};
  return SKY_OK;
}
