/* Documents and checks that the store's tests share. */
#pragma once

#include <check.h>

#include <sky/core/context.h>
#include <sky/core/status.h>
#include <sky/store/store.h>

#include "document.pb-c.h"

typedef Storetest__Document Document;

#define DOC(document) (&(document)->base)

/* Indexes: by_owner (owner_id, create_time), by_stage (stage, number), by_flags (expedited, eta.name), by_eta
 * (eta.time), by_reference unique. */
extern const SkyCollection documents;
/* The same without the unique index. */
extern const SkyCollection loose_documents;

/* Fails the test unless the status is of this code; frees it. */
#define assert_ok(expression)                                                                                          \
  do {                                                                                                                 \
    SkyStatus status_ = (expression);                                                                                  \
    ck_assert_msg(status_ == SKY_OK, "%s: %s: %s", #expression, sky_code_name(sky_status_code(status_)),               \
                  sky_status_message(status_));                                                                        \
  } while (0)
#define assert_code(expression, wanted)                                                                                \
  do {                                                                                                                 \
    SkyStatus status_ = (expression);                                                                                  \
    ck_assert_msg(sky_status_code(status_) == (wanted), "%s gives %s (%s), not %s", #expression,                       \
                  sky_code_name(sky_status_code(status_)), sky_status_message(status_), sky_code_name(wanted));        \
    sky_status_free(status_);                                                                                          \
  } while (0)

/* A document with every field set, to an extreme where there is one; in the arena. */
Document *full_document(SkyArena *arena, const char *id);
/* A document with an id and a reference of its own; in the arena. */
Document *small_document(SkyArena *arena, const char *id);
Google__Protobuf__Timestamp *timestamp(SkyArena *arena, int64_t seconds, int32_t nanos);
/* Checks that two messages have the same bytes. */
void assert_same_message(const ProtobufCMessage *a, const ProtobufCMessage *b);
/* printf into the arena. */
char *format(SkyArena *arena, const char *pattern, ...) SKY_PRINTF(2, 3);
/* Five seconds from now, or as said. */
SkyContext soon(void);
SkyContext within_ms(int64_t ms);
