/*
 * Status: the one error vocabulary, from store to wire. Codes are gRPC's; details are those of google.rpc
 * (error_details.proto).
 *
 * SkyStatus is a pointer: SKY_OK (NULL) is success, anything else an error that the receiver owns and must pass on or
 * free with sky_status_free(). A status that is dropped leaks, so the leak checker finds every swallowed error.
 * Creating one never fails: without memory a static RESOURCE_EXHAUSTED is returned, which may be freed like any other.
 *
 *     SkyStatus status = sky_store_get(...);
 *     if (status != SKY_OK)
 *       return status;                                        (or SKY_TRY(sky_store_get(...));)
 *
 * Not thread-safe: one owner at a time.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sky/core/str.h>

/* https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
typedef enum SkyCode {
  SKY_CODE_OK = 0,
  SKY_CODE_CANCELLED = 1,
  SKY_CODE_UNKNOWN = 2,
  SKY_CODE_INVALID_ARGUMENT = 3,
  SKY_CODE_DEADLINE_EXCEEDED = 4,
  SKY_CODE_NOT_FOUND = 5,
  SKY_CODE_ALREADY_EXISTS = 6,
  SKY_CODE_PERMISSION_DENIED = 7,
  SKY_CODE_RESOURCE_EXHAUSTED = 8,
  SKY_CODE_FAILED_PRECONDITION = 9,
  SKY_CODE_ABORTED = 10,
  SKY_CODE_OUT_OF_RANGE = 11,
  SKY_CODE_UNIMPLEMENTED = 12,
  SKY_CODE_INTERNAL = 13,
  SKY_CODE_UNAVAILABLE = 14,
  SKY_CODE_DATA_LOSS = 15,
  SKY_CODE_UNAUTHENTICATED = 16,
} SkyCode;

typedef struct SkyError SkyError;
typedef SkyError *SkyStatus;

#define SKY_OK ((SkyStatus)NULL)
#define SKY_PRINTF(format_at, values_at) __attribute__((format(printf, format_at, values_at)))
#define SKY_MUST_USE __attribute__((warn_unused_result))
#define SKY_NEVER_OK __attribute__((returns_nonnull)) /* lets the compiler see that an error path returns */

/* One entry of google.rpc.BadRequest: which field (dotted path, "pickup_location.latitude") and what is wrong with it.
 */
typedef struct SkyFieldViolation {
  const char *field;
  const char *description;
} SkyFieldViolation;

/* A message is cut at 2 KiB, so that it always fits into a trailer. A code that is no error code becomes UNKNOWN. */
SKY_MUST_USE SKY_NEVER_OK SkyStatus sky_status_new(SkyCode code, const char *format, ...) SKY_PRINTF(2, 3);
SKY_MUST_USE SKY_NEVER_OK SkyStatus sky_status_newv(SkyCode code, const char *format, va_list values) SKY_PRINTF(2, 0);

/* Frees an error; SKY_OK is accepted. */
void sky_status_free(SkyStatus status);

/* A second, independent copy (to hand one failure to several waiters). SKY_OK gives SKY_OK. */
SKY_MUST_USE SkyStatus sky_status_copy(const SkyError *status);

SkyCode sky_status_code(const SkyError *status);         /* SKY_CODE_OK for SKY_OK */
const char *sky_status_message(const SkyError *status);  /* "" for SKY_OK; lives as long as the status */
const char *sky_code_name(SkyCode code);                 /* "NOT_FOUND"; "UNKNOWN" for a number that is no code */
bool sky_code_from_name(const char *name, SkyCode *ret); /* exact match */

/* True for UNAVAILABLE, ABORTED, RESOURCE_EXHAUSTED and DEADLINE_EXCEEDED: the same call may succeed later. */
bool sky_status_is_retryable(const SkyError *status);

/* Frees the status and returns true when it has this code; otherwise leaves it alone and returns false. */
bool sky_status_take(SkyStatus *status, SkyCode code);

/*
 * Details. Each returns the status it was given, so that calls nest:
 *     return sky_status_with_reason(SKY_FAILED_PRECONDITION("delivery %s is on its way", id),
 * "DELIVERY_ALREADY_PICKED_UP"); A detail that cannot be stored for lack of memory, or past 16 metadata keys or 32
 * violations, is left out; the code and the message stay. A reason or a metadata key that is set again is replaced.
 */
SKY_MUST_USE SkyStatus sky_status_with_reason(SkyStatus status, const char *reason); /* google.rpc.ErrorInfo.reason */
SKY_MUST_USE SkyStatus sky_status_with_metadata(SkyStatus status, const char *key,
                                                const char *value); /* ErrorInfo.metadata */
SKY_MUST_USE SkyStatus sky_status_with_retry_after_ms(SkyStatus status,
                                                      int64_t retry_after_ms); /* google.rpc.RetryInfo */
SKY_MUST_USE SkyStatus sky_status_with_violation(SkyStatus status, const char *field, const char *format, ...)
    SKY_PRINTF(3, 4);
/* Prefixes the message with more context ("drone-7: "); code and details stay. */
SKY_MUST_USE SkyStatus sky_status_annotate(SkyStatus status, const char *format, ...) SKY_PRINTF(2, 3);

const char *sky_status_reason(const SkyError *status);                    /* NULL when none */
const char *sky_status_metadata(const SkyError *status, const char *key); /* NULL when none */
/* Walks the metadata: false past the end. */
bool sky_status_metadata_at(const SkyError *status, size_t index, const char **ret_key, const char **ret_value);
int64_t sky_status_retry_after_ms(const SkyError *status); /* -1 when none */
size_t sky_status_violation_count(const SkyError *status);
const SkyFieldViolation *sky_status_violation(const SkyError *status, size_t index);

/*
 * More details, under the same rules: each returns the status it was given; past the bounds (32 preconditions, one
 * resource, 8 others of 4096 bytes in all) they are left out. Reading gives false past the end; what is read lives as
 * long as the status.
 */
/* google.rpc.ErrorInfo.domain: whose reason it is ("delivery.example.com"). */
SKY_MUST_USE SkyStatus sky_status_with_domain(SkyStatus status, const char *domain);
const char *sky_status_domain(const SkyError *status); /* NULL when none */

/* One entry of google.rpc.PreconditionFailure. */
typedef struct SkyPrecondition {
  const char *type;        /* "TOS" */
  const char *subject;     /* what it is about: "accounts/corner-shop" */
  const char *description; /* "the terms of service are not accepted" */
} SkyPrecondition;
SKY_MUST_USE SkyStatus sky_status_with_precondition(SkyStatus status, SkyPrecondition precondition);
bool sky_status_precondition_at(const SkyError *status, size_t index, SkyPrecondition *ret);

/* google.rpc.ResourceInfo; texts that do not apply are "". */
typedef struct SkyResourceInfo {
  const char *type;  /* "delivery" or the message's full name */
  const char *name;  /* "deliveries/42" */
  const char *owner; /* "user:ada" */
  const char *description;
} SkyResourceInfo;
SKY_MUST_USE SkyStatus sky_status_with_resource(SkyStatus status, SkyResourceInfo resource);
bool sky_status_resource(const SkyError *status, SkyResourceInfo *ret);

/* Any other message: its full name and its wire bytes. For generated messages: sky/codec/detail.h. */
SKY_MUST_USE SkyStatus sky_status_with_detail(SkyStatus status, const char *type_name, SkyStr bytes);
bool sky_status_detail_at(const SkyError *status, size_t index, const char **ret_type_name, SkyStr *ret_bytes);

/*
 * Builds up the violations of one message. Starts as SKY_OK; the first violation turns it into INVALID_ARGUMENT whose
 * message names the first bad field. At most 32 violations are kept.
 */
void sky_violations_add(SkyStatus *status, const char *field, const char *format, ...) SKY_PRINTF(3, 4);
/* Does the message say no more than the first violation, "field: description"? */
bool sky_status_is_its_first_violation(const SkyError *status);

#define SKY_CANCELLED(...) sky_status_new(SKY_CODE_CANCELLED, __VA_ARGS__)
#define SKY_UNKNOWN(...) sky_status_new(SKY_CODE_UNKNOWN, __VA_ARGS__)
#define SKY_INVALID_ARGUMENT(...) sky_status_new(SKY_CODE_INVALID_ARGUMENT, __VA_ARGS__)
#define SKY_DEADLINE_EXCEEDED(...) sky_status_new(SKY_CODE_DEADLINE_EXCEEDED, __VA_ARGS__)
#define SKY_NOT_FOUND(...) sky_status_new(SKY_CODE_NOT_FOUND, __VA_ARGS__)
#define SKY_ALREADY_EXISTS(...) sky_status_new(SKY_CODE_ALREADY_EXISTS, __VA_ARGS__)
#define SKY_PERMISSION_DENIED(...) sky_status_new(SKY_CODE_PERMISSION_DENIED, __VA_ARGS__)
#define SKY_RESOURCE_EXHAUSTED(...) sky_status_new(SKY_CODE_RESOURCE_EXHAUSTED, __VA_ARGS__)
#define SKY_FAILED_PRECONDITION(...) sky_status_new(SKY_CODE_FAILED_PRECONDITION, __VA_ARGS__)
#define SKY_ABORTED(...) sky_status_new(SKY_CODE_ABORTED, __VA_ARGS__)
#define SKY_OUT_OF_RANGE(...) sky_status_new(SKY_CODE_OUT_OF_RANGE, __VA_ARGS__)
#define SKY_UNIMPLEMENTED(...) sky_status_new(SKY_CODE_UNIMPLEMENTED, __VA_ARGS__)
#define SKY_INTERNAL(...) sky_status_new(SKY_CODE_INTERNAL, __VA_ARGS__)
#define SKY_UNAVAILABLE(...) sky_status_new(SKY_CODE_UNAVAILABLE, __VA_ARGS__)
#define SKY_DATA_LOSS(...) sky_status_new(SKY_CODE_DATA_LOSS, __VA_ARGS__)
#define SKY_UNAUTHENTICATED(...) sky_status_new(SKY_CODE_UNAUTHENTICATED, __VA_ARGS__)

/* Out of memory, without allocating. */
SKY_MUST_USE SKY_NEVER_OK SkyStatus sky_status_no_memory(void);

#define SKY_TRY(expression)                                                                                            \
  do {                                                                                                                 \
    SkyStatus sky_try_status_ = (expression);                                                                          \
    if (sky_try_status_ != SKY_OK)                                                                                     \
      return sky_try_status_;                                                                                          \
  } while (0)
