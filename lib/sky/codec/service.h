/*
 * Service descriptors: what a contract says of a service, as constant tables written by protoc-gen-sky. The runtimes of
 * rpc/ and bus/ work on these; they know no service by name.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include <sky/codec/rules.h>
#include <sky/core/str.h>

/* Any function, to be cast back to its true type before it is called (C17 6.3.2.3 p8): how generated code hands typed
 * callbacks through. */
typedef void (*SkyFunction)(void);

typedef struct SkyPayloadType {
  const ProtobufCMessageDescriptor *descriptor;
  const SkyMessageRules *rules; /* NULL: nothing to check */
} SkyPayloadType;

typedef enum SkyCallKind {
  SKY_UNARY = 0,
  SKY_SERVER_STREAMING = 1,
  SKY_CLIENT_STREAMING = 2,
  SKY_BIDI_STREAMING = 3,
} SkyCallKind;

/* google.protobuf.MethodOptions.IdempotencyLevel */
typedef enum SkyIdempotency { SKY_IDEMPOTENCY_UNKNOWN = 0, SKY_NO_SIDE_EFFECTS = 1, SKY_IDEMPOTENT = 2 } SkyIdempotency;

typedef struct SkyMethodDescriptor {
  const char *name; /* "GetDelivery" */
  const char *path; /* "/fabrikam.delivery.v1.DeliveryService/GetDelivery" */
  SkyCallKind kind;
  SkyPayloadType request;
  SkyPayloadType response;
  SkyIdempotency idempotency;
  int64_t deadline_ms; /* of a call that brings none, and the longest allowed; streams: 0, none */
  bool inline_handler; /* the handler never blocks: run on the I/O thread */
  bool is_public;
  bool is_anonymous;          /* public, and needs no principal: it checks a secret of its own */
  const char *scope;          /* "" when none is needed */
  const char *const *callers; /* NULL-terminated service names; empty: any */
} SkyMethodDescriptor;

typedef struct SkyServiceDescriptor {
  const char *name; /* "fabrikam.delivery.v1.DeliveryService" */
  const SkyMethodDescriptor *methods;
  size_t method_count;
  SkyStr
      file_descriptor_set; /* serialized FileDescriptorSet of the file and its imports, for reflection; may be empty */
} SkyServiceDescriptor;

/* An event: a message published under `subject` "." aggregate id. From sky.options.v1.EventOptions. */
typedef struct SkyEventType {
  const char *name;    /* "fabrikam.events.v1.DeliveryRequested" */
  const char *subject; /* "fab.ingestion.delivery_requested.v1" */
  const char *stream;  /* JetStream stream; "" for a core subject */
  const char *aggregate_id_field;
  const char *event_id_field;
  SkyPayloadType message;
} SkyEventType;
