#include <sky/store/mongo.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sky/core/id.h>

enum {
  AWAY_MS = 500, /* calls fail at once for so long after no server was found */
  FIRST_BACK_OFF_MS = 10,
  LONGEST_BACK_OFF_MS = 2000,
};

/* ---- the server's codes: https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml ---- */

typedef struct CodeRow {
  int server_code;
  SkyCode code;
} CodeRow;

static const CodeRow rows[] = {
    {11000, SKY_CODE_ALREADY_EXISTS},     /* DuplicateKey */
    {11001, SKY_CODE_ALREADY_EXISTS},     /* the same, of old servers */
    {12582, SKY_CODE_ALREADY_EXISTS},     /* the same, through a shard router */
    {24, SKY_CODE_DEADLINE_EXCEEDED},     /* LockTimeout */
    {50, SKY_CODE_DEADLINE_EXCEEDED},     /* MaxTimeMSExpired */
    {64, SKY_CODE_DEADLINE_EXCEEDED},     /* WriteConcernFailed: not replicated in time */
    {202, SKY_CODE_DEADLINE_EXCEEDED},    /* NetworkInterfaceExceededTimeLimit */
    {262, SKY_CODE_DEADLINE_EXCEEDED},    /* ExceededTimeLimit */
    {429, SKY_CODE_UNAVAILABLE},          /* Cosmos DB: too many requests */
    {16500, SKY_CODE_UNAVAILABLE},        /* Cosmos DB: the same */
    {6, SKY_CODE_UNAVAILABLE},            /* HostUnreachable */
    {7, SKY_CODE_UNAVAILABLE},            /* HostNotFound */
    {89, SKY_CODE_UNAVAILABLE},           /* NetworkTimeout */
    {91, SKY_CODE_UNAVAILABLE},           /* ShutdownInProgress */
    {112, SKY_CODE_UNAVAILABLE},          /* WriteConflict */
    {133, SKY_CODE_UNAVAILABLE},          /* FailedToSatisfyReadPreference */
    {134, SKY_CODE_UNAVAILABLE},          /* ReadConcernMajorityNotAvailableYet */
    {189, SKY_CODE_UNAVAILABLE},          /* PrimarySteppedDown */
    {9001, SKY_CODE_UNAVAILABLE},         /* SocketException */
    {10058, SKY_CODE_UNAVAILABLE},        /* not primary, of old servers */
    {10107, SKY_CODE_UNAVAILABLE},        /* NotWritablePrimary */
    {11600, SKY_CODE_UNAVAILABLE},        /* InterruptedAtShutdown */
    {11602, SKY_CODE_UNAVAILABLE},        /* InterruptedDueToReplStateChange */
    {13435, SKY_CODE_UNAVAILABLE},        /* NotPrimaryNoSecondaryOk */
    {13436, SKY_CODE_UNAVAILABLE},        /* NotPrimaryOrSecondary */
    {14031, SKY_CODE_RESOURCE_EXHAUSTED}, /* OutOfDiskSpace */
    {39, SKY_CODE_RESOURCE_EXHAUSTED},    /* FileStreamFailed: disk */
    {10334, SKY_CODE_INVALID_ARGUMENT},   /* BSONObjectTooLarge */
    {17419, SKY_CODE_INVALID_ARGUMENT},   /* the document is larger than may be */
    {17280, SKY_CODE_INVALID_ARGUMENT},   /* KeyTooLong */
};

static SkyCode code_of(int server_code) {
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    if (rows[i].server_code == server_code)
      return rows[i].code;
  }
  return SKY_CODE_INTERNAL; /* also wrong credentials: that is the operator's to mend, not the caller's */
}

SkyStatus sky_mongo_server_status(int code, const char *message, const char *what) {
  int64_t wait_ms;
  SkyStatus status = sky_status_new(code_of(code), "%s: %s (%d)", what, message, code);
  if (sky_mongo_is_throttled(code, message, &wait_ms))
    return sky_status_with_retry_after_ms(status, wait_ms < 0 ? LONGEST_BACK_OFF_MS : wait_ms);
  return status;
}

static SkyStatus away(SkyMongo *mongo, const bson_error_t *error, const char *what) {
  mongo->away_until_ns = sky_clock_monotonic_ns(sky_clock_system_borrow()) + (int64_t)AWAY_MS * SKY_NS_PER_MS;
  return sky_status_with_retry_after_ms(SKY_UNAVAILABLE("%s: %s", what, error->message), AWAY_MS);
}

static SkyStatus server_status(const SkyContext *context, const bson_error_t *error, const char *what) {
  if (code_of((int)error->code) == SKY_CODE_INTERNAL && context != NULL && sky_context_remaining_ms(context) <= 0)
    return SKY_DEADLINE_EXCEEDED("%s: %s (%u)", what, error->message, error->code);
  return sky_mongo_server_status((int)error->code, error->message, what);
}

SkyStatus sky_mongo_status(SkyMongo *mongo, const SkyContext *context, const bson_error_t *error, const char *what) {
  switch (error->domain) {
  case MONGOC_ERROR_SERVER:
  case MONGOC_ERROR_WRITE_CONCERN:
    return server_status(context, error, what);
  case MONGOC_ERROR_SERVER_SELECTION:
    return away(mongo, error, what);
  case MONGOC_ERROR_STREAM:
  case MONGOC_ERROR_PROTOCOL:
    return sky_status_with_retry_after_ms(SKY_UNAVAILABLE("%s: %s", what, error->message), AWAY_MS);
  case MONGOC_ERROR_BSON:
    return SKY_INVALID_ARGUMENT("%s: %s", what, error->message);
  default:
    return SKY_INTERNAL("%s: %s (%u.%u)", what, error->message, error->domain, error->code);
  }
}

/* ---- throttling ---- */

bool sky_mongo_is_throttled(int code, const char *message, int64_t *ret_wait_ms) {
  *ret_wait_ms = -1;
  if (code != 16500 && code != 429)
    return false;
  /* Cosmos DB: "... Error=16500, RetryAfterMs=34, Details='...". */
  static const char name[] = "RetryAfterMs=";
  const char *at = strstr(message, name);
  if (at != NULL) {
    const long wait_ms = strtol(at + sizeof(name) - 1, NULL, 10);
    *ret_wait_ms = wait_ms < 0 ? 0 : wait_ms;
  }
  return true;
}

bool sky_mongo_back_off(const SkyContext *context, unsigned attempt, int64_t asked_ms) {
  int64_t wait_ms = asked_ms;
  if (asked_ms < 0) {
    const int64_t most = attempt > 7 ? LONGEST_BACK_OFF_MS : (int64_t)FIRST_BACK_OFF_MS << attempt;
    wait_ms = 1 + (int64_t)(sky_random_unit(sky_random_system_borrow()) * (double)most); /* full jitter */
  }
  if (wait_ms >= sky_context_remaining_ms(context))
    return false;
  const struct timespec pause = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * SKY_NS_PER_MS};
  nanosleep(&pause, NULL);
  return true;
}
