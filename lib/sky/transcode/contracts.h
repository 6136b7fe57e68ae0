/*
 * Contracts: what the transcoder knows of an API, loaded at run time from a FileDescriptorSet
 * (protoc --include_imports --descriptor_set_out=…; with --include_source_info errors also name the line).
 *
 * A pool of message and enum types, the methods of all services with their options (sky.options.v1, google.api.http),
 * and the routes compiled into a trie. Immutable after loading, so any number of threads may share it; everything
 * handed out here lives as long as the contracts. Safe on hostile input: sizes, counts and depth are bounded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sky/core/status.h>
#include <sky/core/str.h>

typedef struct SkyContracts SkyContracts;
typedef struct SkyMessageType SkyMessageType;
typedef struct SkyBinding SkyBinding; /* one HttpRule of one method, compiled */

typedef struct SkyContractsOptions {
  /* Routes are made for methods with AUDIENCE_PUBLIC only; true: for every method that has a google.api.http rule. */
  bool route_internal;
  size_t max_bytes; /* of the descriptor set; 0: 64 MiB */
} SkyContractsOptions;

/* What a client of a method must know; options of sky.options.v1.MethodOptions with their defaults filled in. */
typedef struct SkyMethod {
  SkyStr full_name; /* "fabrikam.delivery.v1.DeliveryService.GetDelivery" */
  SkyStr grpc_path; /* "/fabrikam.delivery.v1.DeliveryService/GetDelivery" */
  const SkyMessageType *request;
  const SkyMessageType *response;
  bool client_streaming;
  bool server_streaming;
  bool is_public;       /* AUDIENCE_PUBLIC */
  bool no_side_effects; /* idempotency_level NO_SIDE_EFFECTS */
  bool idempotent;      /* idempotency_level IDEMPOTENT or NO_SIDE_EFFECTS */
  bool deprecated;      /* standard option */
  int64_t deadline_ms;  /* of a unary call; 5,000 when the contract says nothing */
  bool anonymous;       /* public, and needs neither principal nor scope */
  SkyStr scope;         /* empty: none needed */
  uint32_t http_status; /* of success: 200, 201, 202, 204 … */
  /* Whether the method takes these headers (SkyHttpRequest) and gives these (SkyHttpAnswer). */
  bool takes_idempotency_key;
  bool takes_if_match;
  bool takes_last_event_id;
  bool gives_etag;
  bool gives_event_id;
} SkyMethod;

/*
 * Loads a serialised FileDescriptorSet; the bytes are not needed afterwards. options may be NULL. INVALID_ARGUMENT
 * names the file (with its line where known), the method and what is wrong: a missing import, a path variable that is
 * not a field, two routes that match the same paths, an unknown field in a Location template. RESOURCE_EXHAUSTED past a
 * limit.
 */
SKY_MUST_USE SkyStatus sky_contracts_load(const void *data, size_t size, const SkyContractsOptions *options,
                                          SkyContracts **ret_contracts);
/* The same from a file; the message names it. */
SKY_MUST_USE SkyStatus sky_contracts_load_file(const char *path, const SkyContractsOptions *options,
                                               SkyContracts **ret_contracts);
void sky_contracts_destroy(SkyContracts *contracts); /* NULL is accepted */

/* Look-ups by full name without a leading dot. NULL when absent. */
const SkyMessageType *sky_contracts_message(const SkyContracts *contracts, SkyStr full_name);
const SkyMethod *sky_contracts_method(const SkyContracts *contracts, SkyStr full_name);
/* By the path of a gRPC request, "/package.Service/Method". */
const SkyMethod *sky_contracts_method_by_path(const SkyContracts *contracts, SkyStr grpc_path);

/* All methods in the order of the files. */
size_t sky_contracts_method_count(const SkyContracts *contracts);
const SkyMethod *sky_contracts_method_at(const SkyContracts *contracts, size_t index);

/* One line per route for people ("GET /api/v1/deliveries/{id} -> fabrikam…GetDelivery"): false past the end. */
bool sky_contracts_route_at(const SkyContracts *contracts, size_t index, SkyStr *ret_http_method, SkyStr *ret_template,
                            const SkyMethod **ret_method);

/* Full name, without a leading dot; lives as long as the contracts. */
SkyStr sky_message_type_name(const SkyMessageType *type);
