/* <stem>.rpc.c: descriptors, bindings, clients, and what reflection shows. */
#include "service.h"

#include <inttypes.h>
#include <string.h>

#include <sky/codec/message.h>

#include "names.h"
#include "options.h"

enum { DEFAULT_DEADLINE_MS = 5000, MS_PER_S = 1000, NS_PER_MS = 1000000, BYTES_PER_LINE = 24 };

/* sky.options.v1.MethodOptions */
enum {
  OPTION_DEADLINE = 1,
  OPTION_AUDIENCE = 2,
  OPTION_SCOPE = 3,
  OPTION_INLINE = 4,
  OPTION_CALLERS = 6,
  OPTION_ANONYMOUS = 7
};
enum { AUDIENCE_PUBLIC = 2 };

static const char *const kind_names[] = {"SKY_UNARY", "SKY_SERVER_STREAMING", "SKY_CLIENT_STREAMING",
                                         "SKY_BIDI_STREAMING"};

static void emit_callers(const Model *model, const Method *method, SkyStr options, SkyBuf *out) {
  SkyWireReader reader = sky_wire_reader(options.data, options.size);
  SkyWireField field;
  sky_buf_printf(out, "static const char *const %s_%s_callers[] = {", method->service, method->name);
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
    if (field.number != OPTION_CALLERS || field.type != SKY_WIRE_BYTES)
      continue;
    sky_emit_string(field.bytes, out);
    sky_buf_append_text(out, ", ");
  }
  sky_buf_append_text(out, "NULL};\n");
}

static SkyStr method_options(const Model *model, const Method *method) {
  return sky_options_extension(model->arena, (const ProtobufCMessage *)method->proto->options, EXTENSION_SKY);
}

static void emit_method_callers(const Model *model, const Method *method, SkyBuf *out) {
  emit_callers(model, method, method_options(model, method), out);
}

static int64_t deadline_ms(const Model *model, const Method *method, SkyStr options) {
  uint64_t seconds = 0, nanos = 0;
  if (method->kind != UNARY)
    return 0;
  const SkyStr deadline = sky_options_message(model->arena, options, OPTION_DEADLINE, NULL);
  (void)sky_options_scalar(deadline, 1, &seconds);
  (void)sky_options_scalar(deadline, 2, &nanos);
  const int64_t ms = (int64_t)seconds * MS_PER_S + (int64_t)nanos / NS_PER_MS;
  return ms > 0 ? ms : DEFAULT_DEADLINE_MS;
}

static const char *truth(SkyStr options, uint32_t number, uint64_t expected) {
  uint64_t value = 0;
  return sky_options_scalar(options, number, &value) && value == expected ? "true" : "false";
}

static void emit_message_type(const Model *model, const char *member, const Message *message, SkyBuf *out) {
  sky_buf_printf(out, "     .%s = {&%s__descriptor, %s},\n", member, message->c_lower,
                 sky_emit_rules_of(model, message));
}

static void emit_method_descriptor(const Model *model, const Method *method, SkyBuf *out) {
  static const char *const idempotency[] = {"SKY_IDEMPOTENCY_UNKNOWN", "SKY_NO_SIDE_EFFECTS", "SKY_IDEMPOTENT"};
  const SkyStr options = method_options(model, method);
  const unsigned level = method->proto->options == NULL ? 0 : (unsigned)method->proto->options->idempotency_level;
  sky_buf_printf(out, "    {.name = \"%s\",\n     .path = %s_PATH \"%s\",\n     .kind = %s,\n", method->proto->name,
                 method->service, method->proto->name, kind_names[method->kind]);
  emit_message_type(model, "request", method->request, out);
  emit_message_type(model, "response", method->response, out);
  sky_buf_printf(out, "     .idempotency = %s,\n     .deadline_ms = %" PRId64 ",\n", idempotency[level < 3 ? level : 0],
                 deadline_ms(model, method, options));
  sky_buf_printf(out, "     .inline_handler = %s,\n     .is_public = %s,\n     .is_anonymous = %s,\n     .scope = ",
                 truth(options, OPTION_INLINE, 1), truth(options, OPTION_AUDIENCE, AUDIENCE_PUBLIC),
                 truth(options, OPTION_ANONYMOUS, 1));
  sky_emit_string(sky_str(sky_options_text(model->arena, options, OPTION_SCOPE)), out);
  sky_buf_printf(out, ",\n     .callers = %s_%s_callers},\n", method->service, method->name);
}

static void emit_invoke(const Model *model, const Method *method, SkyBuf *out) {
  const char *s = method->service, *n = method->name;
  sky_buf_printf(out,
                 "static SkyStatus %s_%s_invoke(const void *handlers, void *self, SkyCall *call, const "
                 "ProtobufCMessage *request,\n"
                 "    ProtobufCMessage *response) {\n"
                 "  const %sHandlers *table = handlers;\n"
                 "  if (table->%s == NULL)\n"
                 "    return SKY_UNIMPLEMENTED(\"%%s is not implemented here\", %s_%s_method->path);\n"
                 "  return table->%s(self, call",
                 s, n, s, method->member, s, n, method->member);
  if (method->kind == UNARY || method->kind == SERVER_STREAMING)
    sky_buf_printf(out, ", (const %s *)request", method->request->short_name);
  if (method->kind == UNARY || method->kind == CLIENT_STREAMING)
    sky_buf_printf(out, ", (%s *)response", method->response->short_name);
  sky_buf_append_text(out, ");\n}\n\n");
}

static void emit_invoke_name(const Model *model, const Method *method, SkyBuf *out) {
  sky_buf_printf(out, "%s_%s_invoke, ", method->service, method->name);
}

static void emit_read_source(const Method *method, SkyBuf *out) {
  const char *s = method->service, *n = method->name;
  sky_buf_printf(
      out,
      "static void %s_%s_invoke_on_request(SkyFunction on_message, void *user, SkyCall *call, SkyStatus status,\n"
      "    const ProtobufCMessage *message) {\n"
      "  ((%s_%s_on_request)on_message)(user, call, status, (const %s *)message);\n"
      "}\n\n",
      s, n, s, n, method->request->short_name);
  sky_buf_printf(out,
                 "void %s_%s_read(SkyCall *call, %s_%s_on_request on_message, void *user) {\n"
                 "  sky_call_read_typed(call, %s_%s_invoke_on_request, (SkyFunction)on_message, user);\n"
                 "}\n\n",
                 s, n, s, n, s, n);
}

static void emit_unary_source(const Method *method, SkyBuf *out) {
  const char *s = method->service, *n = method->name;
  sky_buf_printf(out,
                 "SkyStatus %s_%s(SkyClient *client, const SkyContext *context, const %s *request, SkyArena *arena,\n"
                 "    %s **ret) {\n"
                 "  ProtobufCMessage *response;\n"
                 "  SKY_TRY(sky_client_call(client, %s_%s_method, context, (const ProtobufCMessage *)request, arena, "
                 "&response));\n"
                 "  *ret = (%s *)response;\n"
                 "  return SKY_OK;\n"
                 "}\n\n",
                 s, n, method->request->short_name, method->response->short_name, s, n, method->response->short_name);
  sky_buf_printf(out,
                 "static void %s_%s_invoke_done(SkyFunction done, void *user, SkyStatus status, const ProtobufCMessage "
                 "*response) {\n"
                 "  ((%s_%s_done)done)(user, status, (const %s *)response);\n"
                 "}\n\n",
                 s, n, s, n, method->response->short_name);
  sky_buf_printf(out,
                 "void %s_%s_async(SkyClient *client, const SkyContext *context, const %s *request, %s_%s_done done, "
                 "void *user) {\n"
                 "  sky_client_call_async_typed(client, %s_%s_method, context, (const ProtobufCMessage *)request, "
                 "%s_%s_invoke_done,\n"
                 "      (SkyFunction)done, user);\n"
                 "}\n\n",
                 s, n, method->request->short_name, s, n, s, n, s, n);
}

static void emit_open_source(const Method *method, SkyBuf *out) {
  const char *s = method->service, *n = method->name;
  const bool has_request = method->kind == SERVER_STREAMING;
  sky_buf_printf(
      out,
      "static void %s_%s_invoke_on_message(void *user, SkyClientStream *stream, const ProtobufCMessage *message) {\n"
      "  const SkyFunction on_message = sky_client_stream_typed_on_message(stream);\n"
      "  ((%s_%s_on_message)on_message)(user, stream, (const %s *)message);\n"
      "}\n\n",
      s, n, s, n, method->response->short_name);
  sky_buf_printf(out, "SkyStatus %s_%s_open(SkyClient *client, const SkyContext *context, ", s, n);
  if (has_request)
    sky_buf_printf(out, "const %s *request, ", method->request->short_name);
  sky_buf_printf(out,
                 "%s_%s_handler handler,\n    SkyClientStream **ret) {\n"
                 "  const SkyClientStreamHandler untyped = {\n"
                 "      .on_message = %s_%s_invoke_on_message,\n"
                 "      .on_done = handler.on_done,\n"
                 "      .on_writable = handler.on_writable,\n"
                 "      .user = handler.user,\n"
                 "      .typed_on_message = (SkyFunction)handler.on_message,\n"
                 "  };\n"
                 "  return sky_client_stream_open(client, %s_%s_method, context, %s, untyped, ret);\n"
                 "}\n\n",
                 s, n, s, n, s, n, has_request ? "(const ProtobufCMessage *)request" : "NULL");
}

static void emit_reader_source(const Method *method, SkyBuf *out) {
  const char *s = method->service, *n = method->name;
  const char *verb = method->kind == CLIENT_STREAMING ? "finish" : "next";
  sky_buf_printf(out,
                 "SkyStatus %s_%s_reader_%s(SkyClientReader *reader, SkyArena *arena, %s **ret) {\n"
                 "  ProtobufCMessage *message;\n"
                 "  SKY_TRY(sky_client_reader_%s(reader, arena, &message));\n"
                 "  *ret = (%s *)message;\n"
                 "  return SKY_OK;\n"
                 "}\n\n",
                 s, n, verb, method->response->short_name, verb, method->response->short_name);
}

static void emit_method_source(const Model *model, const Method *method, SkyBuf *out) {
  emit_invoke(model, method, out);
  if (method->kind == CLIENT_STREAMING || method->kind == BIDI_STREAMING)
    emit_read_source(method, out);
  if (method->kind == UNARY)
    emit_unary_source(method, out);
  else
    emit_open_source(method, out);
  if (method->kind != UNARY)
    emit_reader_source(method, out);
}

static void emit_service_source(const Model *model, const File *file, size_t index, SkyBuf *out) {
  const ServiceProto *service = file->proto->service[index];
  const char *s = sky_service_name(model, file, service);
  const char *package = file->proto->package == NULL ? "" : file->proto->package;
  const char *dot = *package ? "." : "";
  sky_for_each_method(model, file, index, emit_method_callers, out);
  sky_buf_printf(out, "\n#define %s_PATH \"/%s%s%s/\"\n", s, package, dot, service->name);
  if (service->n_method > 0) {
    sky_buf_printf(out, "const SkyMethodDescriptor %s_methods[%zu] = {\n", s, service->n_method);
    sky_for_each_method(model, file, index, emit_method_descriptor, out);
    sky_buf_append_text(out, "};\n\n");
  }
  sky_buf_printf(out, "const SkyServiceDescriptor %s_descriptor = {\n    .name = \"%s%s%s\",\n", s, package, dot,
                 service->name);
  if (service->n_method > 0)
    sky_buf_printf(out, "    .methods = %s_methods,\n    .method_count = %zu,\n", s, service->n_method);
  sky_buf_append_text(
      out, "    .file_descriptor_set = {(const char *)file_descriptor_set, sizeof(file_descriptor_set)},\n};\n\n");
  sky_for_each_method(model, file, index, emit_method_source, out);
  sky_buf_printf(out, "SkyServiceBinding %s_bind(const %sHandlers *handlers, void *self) {\n", s, s);
  if (service->n_method > 0) {
    sky_buf_append_text(out, "  static const SkyInvoke invoke[] = {");
    sky_for_each_method(model, file, index, emit_invoke_name, out);
    sky_buf_append_text(out, "};\n");
  }
  sky_buf_printf(out,
                 "  return (SkyServiceBinding){.service = &%s_descriptor, .handlers = handlers, .self = self, .invoke "
                 "= %s};\n}\n\n",
                 s, service->n_method > 0 ? "invoke" : "NULL");
}

/* ---- reflection ---- */

/* Marks the file and all it imports; files come with their imports before them. */
static void mark_imports(const Model *model, const File *file, bool *marks) {
  marks[file - model->files] = true;
  for (size_t i = 0; i < file->proto->n_dependency; i++) {
    const File *import = sky_model_file(model, file->proto->dependency[i]);
    if (import != NULL && !marks[import - model->files])
      mark_imports(model, import, marks);
  }
}

/* FileDescriptorSet {repeated FileDescriptorProto file = 1}, without source positions and comments. */
static void pack_descriptor_set(const Model *model, const File *file, SkyBuf *out) {
  bool *marks = sky_gen_alloc(model->arena, sizeof(marks[0]) * model->file_count);
  mark_imports(model, file, marks);
  for (size_t i = 0; i < model->file_count; i++) {
    if (!marks[i])
      continue;
    FileProto bare = *model->files[i].proto;
    bare.source_code_info = NULL;
    SkyBuf wire;
    sky_buf_init(&wire, MAX_FILE_BYTES);
    if (sky_message_pack(&bare.base, &wire) == SKY_OK)
      sky_wire_append_bytes(out, 1, sky_buf_str(&wire));
    sky_buf_finish(&wire);
  }
}

static void emit_descriptor_set(const Model *model, const File *file, SkyBuf *out) {
  SkyBuf set;
  sky_buf_init(&set, MAX_FILE_BYTES);
  pack_descriptor_set(model, file, &set);
  sky_buf_append_text(
      out, "/* A serialized google.protobuf.FileDescriptorSet of this file and its imports, for reflection. */\n"
           "static const uint8_t file_descriptor_set[] = {");
  for (size_t i = 0; i < set.size; i++)
    sky_buf_printf(out, "%s%u,", i % BYTES_PER_LINE == 0 ? "\n" : "", set.data[i]);
  sky_buf_append_text(out, "\n};\n\n");
  sky_buf_finish(&set);
}

/* ---- the file ---- */

void sky_emit_rpc_source(Model *model, File *file, SkyBuf *out) {
  sky_emit_preamble(file, false, out);
  sky_buf_printf(out, "#include \"%s.rpc.h\"\n\n", file->stem);
  if (file->proto->n_service == 0) {
    sky_buf_append_text(out, "typedef int no_services; /* ISO C wants a declaration */\n");
    return;
  }
  emit_descriptor_set(model, file, out);
  for (size_t i = 0; i < file->proto->n_service; i++)
    emit_service_source(model, file, i, out);
}
