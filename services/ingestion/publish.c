#include "ingestion/handlers.h"

enum { RETRY_AFTER_MS = 1000 };

/* Whatever kept the broker from confirming, the request may be sent again: ids make it the same one. */
SkyStatus ingestion_queue_error(SkyStatus status) {
  if (!sky_status_is_retryable(status))
    return status;
  const bool full = sky_status_code(status) == SKY_CODE_RESOURCE_EXHAUSTED;
  sky_status_free(status);
  if (full)
    return sky_status_with_retry_after_ms(
        sky_status_with_reason(SKY_RESOURCE_EXHAUSTED("too many requests are waiting"), "QUEUE_FULL"), RETRY_AFTER_MS);
  return sky_status_with_retry_after_ms(
      sky_status_with_reason(SKY_UNAVAILABLE("requests cannot be taken at the moment"), "QUEUE_UNAVAILABLE"),
      RETRY_AFTER_MS);
}
