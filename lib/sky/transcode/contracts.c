#include <sky/transcode/contracts.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum { SET_FILE = 1, DEFAULT_MAX_BYTES = 64 << 20, ARENA_PER_BYTE = 64, ARENA_MIN = 1 << 20 };

static SkyContracts *contracts_create(const SkyContractsOptions *options, size_t size) {
  SkyContracts *contracts = calloc(1, sizeof(*contracts));
  if (contracts == NULL)
    return NULL;
  if (options != NULL)
    contracts->options = *options;
  sky_arena_init(&contracts->arena, ARENA_MIN + size * ARENA_PER_BYTE);
  contracts->messages = sky_map_create(LOAD_MAX_TYPES);
  contracts->enums = sky_map_create(LOAD_MAX_TYPES);
  contracts->methods = sky_map_create(2 * LOAD_MAX_METHODS); /* by name and by path */
  if (contracts->messages != NULL && contracts->enums != NULL && contracts->methods != NULL)
    return contracts;
  sky_contracts_destroy(contracts);
  return NULL;
}

void sky_contracts_destroy(SkyContracts *contracts) {
  if (contracts == NULL)
    return;
  sky_map_destroy(contracts->messages);
  sky_map_destroy(contracts->enums);
  sky_map_destroy(contracts->methods);
  sky_arena_finish(&contracts->arena);
  free(contracts);
}

/* One step of loading over all files: types may refer to any file of the set, so each step ends before the next begins.
 */
static SkyStatus each_file(SkyContracts *contracts, SkyStr set, SkyStatus (*step)(LoadFile *file)) {
  SkyWireReader reader = sky_wire_reader(set.data, set.size);
  SkyWireField field;
  for (bool done = false;;) {
    SKY_TRY(load_next(&reader, &field, &done));
    if (done)
      return SKY_OK;
    if (field.number != SET_FILE || field.type != SKY_WIRE_BYTES)
      continue;
    LoadFile file;
    SKY_TRY(load_file_open(contracts, field.bytes, &file));
    SKY_TRY(step(&file));
  }
}

static SkyStatus load_set(SkyContracts *contracts, SkyStr set) {
  SKY_TRY(each_file(contracts, set, load_declare_types));
  SKY_TRY(each_file(contracts, set, load_declare_extensions));
  SKY_TRY(each_file(contracts, set, load_resolve_types));
  SKY_TRY(each_file(contracts, set, load_services));
  if (sky_map_size(contracts->messages) == 0)
    return SKY_INVALID_ARGUMENT("the descriptor set holds no message");
  return SKY_OK;
}

static size_t max_bytes_of(const SkyContractsOptions *options) {
  return options != NULL && options->max_bytes != 0 ? options->max_bytes : DEFAULT_MAX_BYTES;
}

SkyStatus sky_contracts_load(const void *data, size_t size, const SkyContractsOptions *options,
                             SkyContracts **ret_contracts) {
  if (size > max_bytes_of(options))
    return SKY_RESOURCE_EXHAUSTED("the descriptor set has %zu bytes; %zu are allowed", size, max_bytes_of(options));
  SkyContracts *contracts = contracts_create(options, size);
  if (contracts == NULL)
    return sky_status_no_memory();
  SkyStatus status = load_set(contracts, (SkyStr){.data = data, .size = size});
  if (status != SKY_OK) {
    sky_contracts_destroy(contracts);
    return status;
  }
  *ret_contracts = contracts;
  return SKY_OK;
}

static SkyStatus read_file(FILE *file, size_t max_bytes, SkyBuf *ret) {
  for (;;) {
    enum { STEP = 1 << 16 };
    uint8_t *room = sky_buf_reserve(ret, STEP);
    if (room == NULL)
      return SKY_RESOURCE_EXHAUSTED("it is larger than %zu bytes", max_bytes);
    const size_t got = fread(room, 1, STEP, file);
    sky_buf_commit(ret, got);
    if (ferror(file))
      return SKY_INVALID_ARGUMENT("cannot read it: %s", strerror(errno));
    if (got == 0)
      return SKY_OK;
  }
}

SkyStatus sky_contracts_load_file(const char *path, const SkyContractsOptions *options, SkyContracts **ret_contracts) {
  FILE *file = fopen(path, "rbe");
  if (file == NULL)
    return SKY_INVALID_ARGUMENT("%s: %s", path, strerror(errno));
  SkyBuf bytes;
  sky_buf_init(&bytes, max_bytes_of(options) + (1 << 17));
  SkyStatus status = read_file(file, max_bytes_of(options), &bytes);
  fclose(file);
  if (status == SKY_OK)
    status = sky_contracts_load(bytes.data, bytes.size, options, ret_contracts);
  sky_buf_finish(&bytes);
  return status == SKY_OK ? SKY_OK : sky_status_annotate(status, "%s: ", path);
}

const SkyMessageType *sky_contracts_message(const SkyContracts *contracts, SkyStr full_name) {
  return sky_map_get(contracts->messages, full_name);
}

const SkyMethod *sky_contracts_method(const SkyContracts *contracts, SkyStr full_name) {
  const MethodEntry *entry = sky_map_get(contracts->methods, full_name);
  return entry == NULL || sky_str_starts_with(full_name, SKY_STR("/")) ? NULL : &entry->method;
}

const SkyMethod *sky_contracts_method_by_path(const SkyContracts *contracts, SkyStr grpc_path) {
  const MethodEntry *entry = sky_map_get(contracts->methods, grpc_path);
  return entry == NULL || !sky_str_starts_with(grpc_path, SKY_STR("/")) ? NULL : &entry->method;
}

size_t sky_contracts_method_count(const SkyContracts *contracts) {
  return contracts->method_count;
}

const SkyMethod *sky_contracts_method_at(const SkyContracts *contracts, size_t index) {
  return index < contracts->method_count ? &contracts->method_list[index]->method : NULL;
}

bool sky_contracts_route_at(const SkyContracts *contracts, size_t index, SkyStr *ret_http_method, SkyStr *ret_template,
                            const SkyMethod **ret_method) {
  if (index >= contracts->binding_count)
    return false;
  const SkyBinding *binding = contracts->binding_list[index];
  *ret_http_method = binding->http_method;
  *ret_template = binding->template.text;
  *ret_method = &binding->entry->method;
  return true;
}

SkyStr sky_message_type_name(const SkyMessageType *type) {
  return type->full_name;
}
