/* The cases of gRPC's interoperability tests: each returns SKY_OK when it has passed, else what was wrong. */
#pragma once

#include "testing.rpc.h"

typedef struct Interop {
  SkyRpc *rpc;
  SkyClientOptions options; /* for further clients like this one */
  SkyClient *client;
  SkyArena arena; /* reset before each case */
} Interop;

typedef SkyStatus (*InteropCase)(Interop *interop);

enum { LARGE_REQUEST = 271828, LARGE_RESPONSE = 314159, CALL_TIMEOUT_MS = 30000 };

/* A case fails with these words unless the condition holds. */
#define EXPECT(condition, ...)                                                                                         \
  do {                                                                                                                 \
    if (!(condition))                                                                                                  \
      return SKY_DATA_LOSS(__VA_ARGS__);                                                                               \
  } while (0)

/* SKY_OK when the status, which is freed, has this code; else an error that tells both. */
SKY_MUST_USE SkyStatus expect_code(SkyStatus status, SkyCode code);

SkyContext call_context(void); /* with the deadline that no case may miss */
/* The body of a payload: so many zeros. */
testing_Payload payload_of(size_t size);
SKY_MUST_USE SkyStatus call_large_unary(Interop *interop, SkyClient *client);

/* cases_unary.c */
SkyStatus empty_unary(Interop *interop);
SkyStatus large_unary(Interop *interop);
SkyStatus client_compressed_unary(Interop *interop);
SkyStatus server_compressed_unary(Interop *interop);
SkyStatus status_code_and_message(Interop *interop);
SkyStatus special_status_message(Interop *interop);
SkyStatus unimplemented_method(Interop *interop);
SkyStatus unimplemented_service(Interop *interop);

/* cases_metadata.c */
SkyStatus custom_metadata(Interop *interop);

/* cases_stream.c */
SkyStatus client_streaming(Interop *interop);
SkyStatus client_compressed_streaming(Interop *interop);
SkyStatus server_streaming(Interop *interop);
SkyStatus server_compressed_streaming(Interop *interop);
SkyStatus ping_pong(Interop *interop);
SkyStatus empty_stream(Interop *interop);
SkyStatus cancel_after_begin(Interop *interop);
SkyStatus cancel_after_first_response(Interop *interop);
SkyStatus timeout_on_sleeping_server(Interop *interop);

/* cases_load.c */
SkyStatus concurrent_large_unary(Interop *interop);
SkyStatus rpc_soak(Interop *interop);
SkyStatus channel_soak(Interop *interop);
