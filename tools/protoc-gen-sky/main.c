/*
 * protoc-gen-sky: a protoc plugin that writes C for messages, services and events. See README.md.
 *
 * protoc sends a CodeGeneratorRequest on standard input and takes a CodeGeneratorResponse from standard output.
 * Messages are left to protoc-gen-c, which gets a rewritten request; the rest is ours.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sky/codec/message.h>

#include "child.h"
#include "emit.h"
#include "names.h"
#include "rewrite.h"

enum { MAX_REQUEST_BYTES = 256 << 20, READ_BYTES = 64 * 1024, FILES_PER_PROTO = 6 };
static const size_t arena_budget = (size_t)4 << 30;

/* CodeGeneratorResponse.Feature.FEATURE_PROTO3_OPTIONAL */
enum { FEATURE_PROTO3_OPTIONAL = 1 };

typedef void (*Emitter)(Model *model, File *file, SkyBuf *out);
static const struct {
  const char *suffix;
  Emitter emit;
} emitters[FILES_PER_PROTO] = {
    {".sky.h", sky_emit_message_header}, {".sky.c", sky_emit_message_source}, {".rpc.h", sky_emit_rpc_header},
    {".rpc.c", sky_emit_rpc_source},     {".event.h", sky_emit_event_header}, {".event.c", sky_emit_event_source},
};

static SkyStatus read_input(SkyBuf *input) {
  for (;;) {
    uint8_t *room = sky_buf_reserve(input, READ_BYTES);
    if (room == NULL)
      return sky_buf_status(input);
    const ssize_t size = read(STDIN_FILENO, room, READ_BYTES);
    if (size < 0 && errno == EINTR)
      continue;
    if (size < 0)
      return SKY_INTERNAL("standard input: %s", strerror(errno));
    if (size == 0)
      return SKY_OK;
    sky_buf_commit(input, (size_t)size);
  }
}

static SkyStatus unpack_request(SkyStr wire, SkyArena *arena, PluginRequest **ret) {
  ProtobufCMessage *message;
  SKY_TRY(sky_message_unpack(&google__protobuf__compiler__code_generator_request__descriptor, wire, arena, &message));
  *ret = (PluginRequest *)message;
  return SKY_OK;
}

static SkyStatus run_protoc_gen_c(const Model *model, SkyStr wire, PluginResponse **ret) {
  const char *program = getenv("PROTOC_GEN_C");
  SkyBuf request_wire, response_wire;
  PluginRequest *request;
  SKY_TRY(unpack_request(wire, model->arena, &request));
  sky_rewrite_request(model, request);
  sky_buf_init(&request_wire, MAX_REQUEST_BYTES);
  sky_buf_init(&response_wire, MAX_REQUEST_BYTES);
  request->parameter = NULL;
  SkyStatus status = sky_message_pack((const ProtobufCMessage *)request, &request_wire);
  if (status == SKY_OK)
    status = sky_child_filter(program == NULL ? "protoc-gen-c" : program, sky_buf_str(&request_wire), &response_wire);
  ProtobufCMessage *response = NULL;
  if (status == SKY_OK)
    status = sky_message_unpack(&google__protobuf__compiler__code_generator_response__descriptor,
                                sky_buf_str(&response_wire), model->arena, &response);
  if (status == SKY_OK)
    *ret = (PluginResponse *)response;
  sky_buf_finish(&request_wire);
  sky_buf_finish(&response_wire);
  return status;
}

static void add_file(PluginResponse *response, SkyArena *arena, const char *name, const char *content) {
  PluginFile *file = sky_gen_alloc(arena, sizeof(*file));
  google__protobuf__compiler__code_generator_response__file__init(file);
  file->name = (char *)(uintptr_t)name;
  file->content = (char *)(uintptr_t)content;
  response->file[response->n_file++] = file;
}

static void emit_file(Model *model, File *file, PluginResponse *response) {
  for (size_t i = 0; i < FILES_PER_PROTO; i++) {
    SkyBuf out;
    sky_buf_init(&out, MAX_FILE_BYTES);
    emitters[i].emit(model, file, &out);
    if (out.failed)
      sky_model_error(model, file, "", "its generated code is too large");
    add_file(response, model->arena, sky_gen_printf(model->arena, "%s%s", file->stem, emitters[i].suffix),
             sky_gen_printf(model->arena, "%.*s", SKY_STR_ARGS(sky_buf_str(&out))));
    sky_buf_finish(&out);
  }
}

static void emit_all(Model *model, PluginResponse *response) {
  response->file =
      sky_gen_alloc(model->arena, sizeof(response->file[0]) * FILES_PER_PROTO * model->request->n_file_to_generate);
  sky_rules_prepare(model);
  for (size_t i = 0; i < model->file_count; i++) {
    if (model->files[i].generate)
      emit_file(model, &model->files[i], response);
  }
}

static SkyStatus respond(SkyStr wire, SkyArena *arena, PluginResponse *response) {
  PluginRequest *request;
  PluginResponse *from_c = NULL;
  Model model;
  SKY_TRY(unpack_request(wire, arena, &request));
  sky_model_init(&model, arena, request);
  emit_all(&model, response);
  if (model.errors.size > 0) {
    /* Contracts with errors are not shown to protoc-gen-c: its words for them are less clear. */
    response->error = sky_gen_printf(arena, "%.*s", SKY_STR_ARGS(sky_buf_str(&model.errors)));
    response->n_file = 0;
    sky_model_finish(&model);
    return SKY_OK;
  }
  const SkyStatus status = run_protoc_gen_c(&model, wire, &from_c);
  if (status == SKY_OK && from_c->error != NULL) {
    response->error = sky_gen_printf(arena, "protoc-gen-c: %s", from_c->error);
    response->n_file = 0;
  } else if (status == SKY_OK) {
    PluginFile **files = sky_gen_alloc(arena, sizeof(files[0]) * (response->n_file + from_c->n_file));
    memcpy(files, from_c->file, sizeof(files[0]) * from_c->n_file);
    memcpy(files + from_c->n_file, response->file, sizeof(files[0]) * response->n_file);
    response->file = files;
    response->n_file += from_c->n_file;
  }
  sky_model_finish(&model);
  return status;
}

static SkyStatus write_response(const PluginResponse *response) {
  SkyBuf wire;
  sky_buf_init(&wire, MAX_REQUEST_BYTES);
  SkyStatus status = sky_message_pack((const ProtobufCMessage *)response, &wire);
  if (status == SKY_OK && (fwrite(wire.data, 1, wire.size, stdout) != wire.size || fflush(stdout) != 0))
    status = SKY_INTERNAL("standard output: %s", strerror(errno));
  sky_buf_finish(&wire);
  return status;
}

int main(int argc, char **argv) {
  if (argc > 1) {
    fprintf(stderr, "usage: protoc --plugin=%s --sky_out=DIR FILE.proto\n", argv[0]);
    return EXIT_FAILURE;
  }
  SkyArena arena;
  SkyBuf input;
  PluginResponse response;
  sky_arena_init(&arena, arena_budget);
  sky_buf_init(&input, MAX_REQUEST_BYTES);
  google__protobuf__compiler__code_generator_response__init(&response);
  response.has_supported_features = 1;
  response.supported_features = FEATURE_PROTO3_OPTIONAL;
  SkyStatus status = read_input(&input);
  if (status == SKY_OK)
    status = respond(sky_buf_str(&input), &arena, &response);
  if (status == SKY_OK)
    status = write_response(&response);
  const bool ok = status == SKY_OK;
  if (!ok)
    fprintf(stderr, "protoc-gen-sky: %s\n", sky_status_message(status));
  sky_status_free(status);
  sky_buf_finish(&input);
  sky_arena_finish(&arena);
  return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
