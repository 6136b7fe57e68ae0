/* <stem>.rpc.h and .rpc.c: handler tables, bindings, typed clients and descriptors of services. */
#include "emit.h"

#include <inttypes.h>
#include <string.h>

#include "names.h"
#include "options.h"
#include <sky/codec/message.h>

enum {
  DEFAULT_DEADLINE_MS = 5000,
  MS_PER_S = 1000,
  NS_PER_MS = 1000000,
  BYTES_PER_LINE = 24,
  PATH_SERVICE = 6,
  PATH_METHOD = 2
};

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

typedef enum CallKind { UNARY, SERVER_STREAMING, CLIENT_STREAMING, BIDI_STREAMING } CallKind;

typedef struct Method {
  const MethodProto *proto;
  CallKind kind;
  const Message *request, *response;
  const char *service; /* delivery_DeliveryService */
  const char *name;    /* get_delivery */
  const char *member;  /* the same, usable as a C member: register_ */
  const char *comment;
  size_t index;
} Method;

static const char *const kind_names[] = {"SKY_UNARY", "SKY_SERVER_STREAMING", "SKY_CLIENT_STREAMING",
                                         "SKY_BIDI_STREAMING"};

static CallKind kind_of(const MethodProto *method) {
  return (method->server_streaming ? SERVER_STREAMING : UNARY) + (method->client_streaming ? CLIENT_STREAMING : UNARY);
}

static const char *service_name(const Model *model, const File *file, const ServiceProto *service) {
  return sky_gen_printf(model->arena, "%s%s%s", file->prefix, *file->prefix ? "_" : "", service->name);
}

static Method method_at(const Model *model, const File *file, size_t service, size_t index) {
  const ServiceProto *owner = file->proto->service[service];
  const MethodProto *proto = owner->method[index];
  const int32_t path[] = {PATH_SERVICE, (int32_t)service, PATH_METHOD, (int32_t)index};
  const char *name = sky_names_snake(model->arena, proto->name);
  return (Method){
      .proto = proto,
      .kind = kind_of(proto),
      .request = sky_model_message(model, proto->input_type),
      .response = sky_model_message(model, proto->output_type),
      .service = service_name(model, file, owner),
      .name = name,
      .member = sky_names_c_member(model->arena, name),
      .comment = sky_model_comment(file, path, sizeof(path) / sizeof(path[0])),
      .index = index,
  };
}

/* Calls the function for every method of a service. */
typedef void (*MethodEmitter)(const Model *model, const Method *method, SkyBuf *out);
static void for_each_method(const Model *model, const File *file, size_t service, MethodEmitter emit, SkyBuf *out) {
  for (size_t i = 0; i < file->proto->service[service]->n_method; i++) {
    const Method method = method_at(model, file, service, i);
    emit(model, &method, out);
  }
}

/* ---- names ---- */

static void take(Model *model, const File *file, const char *stem, const char *suffix) {
  sky_model_take_symbol(model, file, sky_gen_printf(model->arena, "%s%s", stem, suffix), stem);
}

static void take_method(Model *model, const File *file, const Method *method) {
  static const char *const common[] = {"", "_method"};
  static const char *const of_kind[][7] = {
      [UNARY] = {"_async", "_done"},
      [SERVER_STREAMING] = {"_write", "_open", "_on_message", "_reader_open", "_reader_next", "_handler"},
      [CLIENT_STREAMING] = {"_read", "_on_request", "_open", "_on_message", "_write", "_handler"},
      [BIDI_STREAMING] = {"_read", "_on_request", "_send", "_write", "_open", "_on_message", "_handler"},
  };
  const char *stem = sky_gen_printf(model->arena, "%s_%s", method->service, method->name);
  for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++)
    take(model, file, stem, common[i]);
  for (size_t i = 0; i < 7 && of_kind[method->kind][i] != NULL; i++)
    take(model, file, stem, of_kind[method->kind][i]);
}

static void take_names(Model *model, const File *file) {
  static const char *const suffixes[] = {"_descriptor", "_methods", "Handlers", "_bind"};
  for (size_t s = 0; s < file->proto->n_service; s++) {
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
      take(model, file, service_name(model, file, file->proto->service[s]), suffixes[i]);
    for (size_t m = 0; m < file->proto->service[s]->n_method; m++) {
      const Method method = method_at(model, file, s, m);
      take_method(model, file, &method);
    }
  }
}

/* ---- server, header ---- */

static void emit_handler_member(const Model *model, const Method *method, SkyBuf *out) {
  sky_emit_comment(method->comment, "  ", out);
  sky_buf_printf(out, "  SkyStatus (*%s)(void *self, SkyCall *call", method->member);
  if (method->kind == UNARY || method->kind == SERVER_STREAMING)
    sky_buf_printf(out, ", const %s *request", method->request->short_name);
  if (method->kind == UNARY || method->kind == CLIENT_STREAMING)
    sky_buf_printf(out, ", %s *response", method->response->short_name);
  sky_buf_append_text(out, ");\n");
}

static void emit_method_macro(const Model *model, const Method *method, SkyBuf *out) {
  sky_buf_printf(out, "#define %s_%s_method (&%s_methods[%zu])\n", method->service, method->name, method->service,
                 method->index);
}

/* What a handler of a stream uses to send and receive. */
static void emit_server_stream(const Model *model, const Method *method, SkyBuf *out) {
  const char *s = method->service, *n = method->name;
  if (method->kind == SERVER_STREAMING || method->kind == BIDI_STREAMING)
    sky_buf_printf(out,
                   "/* For handlers: sends one message; see sky_call_write(). */\n"
                   "SKY_MUST_USE static inline SkyStatus %s_%s_%s(SkyCall *call, const %s *message) {\n"
                   "  return sky_call_write(call, (const ProtobufCMessage *)message);\n"
                   "}\n",
                   s, n, method->kind == BIDI_STREAMING ? "send" : "write", method->response->short_name);
  if (method->kind == CLIENT_STREAMING || method->kind == BIDI_STREAMING)
    sky_buf_printf(out,
                   "/* For handlers: asks for the next message; see sky_call_read(). */\n"
                   "typedef void (*%s_%s_on_request)(void *user, SkyCall *call, SkyStatus status, const %s *message);\n"
                   "void %s_%s_read(SkyCall *call, %s_%s_on_request on_message, void *user);\n",
                   s, n, method->request->short_name, s, n, s, n);
}

/* ---- client, header ---- */

static void emit_unary_client(const Method *method, SkyBuf *out) {
  const char *s = method->service, *n = method->name;
  sky_buf_printf(
      out,
      "SKY_MUST_USE SkyStatus %s_%s(SkyClient *client, const SkyContext *context, const %s *request, SkyArena *arena,\n"
      "    %s **ret);\n",
      s, n, method->request->short_name, method->response->short_name);
  sky_buf_printf(out, "typedef void (*%s_%s_done)(void *user, SkyStatus status, const %s *response);\n", s, n,
                 method->response->short_name);
  sky_buf_printf(out,
                 "void %s_%s_async(SkyClient *client, const SkyContext *context, const %s *request, %s_%s_done done, "
                 "void *user);\n",
                 s, n, method->request->short_name, s, n);
}

static void emit_stream_client(const Method *method, SkyBuf *out) {
  const char *s = method->service, *n = method->name;
  sky_buf_printf(out, "typedef void (*%s_%s_on_message)(void *user, SkyClientStream *stream, const %s *message);\n", s,
                 n, method->response->short_name);
  sky_buf_printf(out,
                 "/* As SkyClientStreamHandler. */\n"
                 "typedef struct %s_%s_handler {\n"
                 "  %s_%s_on_message on_message;\n"
                 "  void (*on_done)(void *user, SkyStatus status);\n"
                 "  void (*on_writable)(void *user, SkyClientStream *stream); /* may be NULL */\n"
                 "  void *user;\n"
                 "} %s_%s_handler;\n",
                 s, n, s, n, s, n);
  sky_buf_printf(out, "SKY_MUST_USE SkyStatus %s_%s_open(SkyClient *client, const SkyContext *context, ", s, n);
  if (method->kind == SERVER_STREAMING)
    sky_buf_printf(out, "const %s *request, ", method->request->short_name);
  sky_buf_printf(out, "%s_%s_handler handler,\n    SkyClientStream **ret);\n", s, n);
  if (method->kind != SERVER_STREAMING)
    sky_buf_printf(out,
                   "SKY_MUST_USE static inline SkyStatus %s_%s_write(SkyClientStream *stream, const %s *message) {\n"
                   "  return sky_client_stream_write(stream, (const ProtobufCMessage *)message);\n"
                   "}\n",
                   s, n, method->request->short_name);
}

static void emit_reader(const Method *method, SkyBuf *out) {
  const char *s = method->service, *n = method->name;
  sky_buf_printf(
      out,
      "SKY_MUST_USE static inline SkyStatus %s_%s_reader_open(SkyClient *client, const SkyContext *context,\n"
      "    const %s *request, SkyClientReader **ret) {\n"
      "  return sky_client_reader_open(client, %s_%s_method, context, (const ProtobufCMessage *)request, ret);\n"
      "}\n",
      s, n, method->request->short_name, s, n);
  sky_buf_printf(out,
                 "/* *ret is NULL at the regular end. */\n"
                 "SKY_MUST_USE SkyStatus %s_%s_reader_next(SkyClientReader *reader, SkyArena *arena, %s **ret);\n",
                 s, n, method->response->short_name);
}

static void emit_method_header(const Model *model, const Method *method, SkyBuf *out) {
  sky_buf_printf(out, "/* ---- %s ---- */\n", method->proto->name);
  emit_server_stream(model, method, out);
  if (method->kind == UNARY)
    emit_unary_client(method, out);
  else
    emit_stream_client(method, out);
  if (method->kind == SERVER_STREAMING)
    emit_reader(method, out);
  sky_buf_append_byte(out, '\n');
}

static void emit_service_header(const Model *model, const File *file, size_t index, SkyBuf *out) {
  const ServiceProto *service = file->proto->service[index];
  const int32_t path[] = {PATH_SERVICE, (int32_t)index};
  const char *s = service_name(model, file, service);
  sky_buf_printf(out, "/* ======== %s ======== */\n\n", service->name);
  sky_buf_printf(out, "extern const SkyServiceDescriptor %s_descriptor;\n", s);
  if (service->n_method > 0)
    sky_buf_printf(out, "extern const SkyMethodDescriptor %s_methods[%zu];\n", s, service->n_method);
  for_each_method(model, file, index, emit_method_macro, out);
  sky_buf_append_byte(out, '\n');
  sky_emit_comment(sky_model_comment(file, path, 2), "", out);
  sky_buf_append_text(out, "/* Server: one function per method; NULL answers UNIMPLEMENTED. response is initialised "
                           "and lives in the call's arena. */\n");
  sky_buf_printf(out, "typedef struct %sHandlers {\n", s);
  for_each_method(model, file, index, emit_handler_member, out);
  if (service->n_method == 0)
    sky_buf_append_text(out, "  char no_methods;\n");
  sky_buf_printf(out, "} %sHandlers;\n", s);
  sky_buf_printf(
      out,
      "/* For sky_server_add(). handlers must outlive the server; self is every handler's first argument. */\n"
      "SkyServiceBinding %s_bind(const %sHandlers *handlers, void *self);\n\n",
      s, s);
  for_each_method(model, file, index, emit_method_header, out);
}

/* ---- source ---- */

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
  sky_buf_printf(out,
                 "SkyStatus %s_%s_reader_next(SkyClientReader *reader, SkyArena *arena, %s **ret) {\n"
                 "  ProtobufCMessage *message;\n"
                 "  SKY_TRY(sky_client_reader_next(reader, arena, &message));\n"
                 "  *ret = (%s *)message;\n"
                 "  return SKY_OK;\n"
                 "}\n\n",
                 s, n, method->response->short_name, method->response->short_name);
}

static void emit_method_source(const Model *model, const Method *method, SkyBuf *out) {
  emit_invoke(model, method, out);
  if (method->kind == CLIENT_STREAMING || method->kind == BIDI_STREAMING)
    emit_read_source(method, out);
  if (method->kind == UNARY)
    emit_unary_source(method, out);
  else
    emit_open_source(method, out);
  if (method->kind == SERVER_STREAMING)
    emit_reader_source(method, out);
}

static void emit_service_source(const Model *model, const File *file, size_t index, SkyBuf *out) {
  const ServiceProto *service = file->proto->service[index];
  const char *s = service_name(model, file, service);
  const char *package = file->proto->package == NULL ? "" : file->proto->package;
  const char *dot = *package ? "." : "";
  for_each_method(model, file, index, emit_method_callers, out);
  sky_buf_printf(out, "\n#define %s_PATH \"/%s%s%s/\"\n", s, package, dot, service->name);
  if (service->n_method > 0) {
    sky_buf_printf(out, "const SkyMethodDescriptor %s_methods[%zu] = {\n", s, service->n_method);
    for_each_method(model, file, index, emit_method_descriptor, out);
    sky_buf_append_text(out, "};\n\n");
  }
  sky_buf_printf(out, "const SkyServiceDescriptor %s_descriptor = {\n    .name = \"%s%s%s\",\n", s, package, dot,
                 service->name);
  if (service->n_method > 0)
    sky_buf_printf(out, "    .methods = %s_methods,\n    .method_count = %zu,\n", s, service->n_method);
  sky_buf_append_text(
      out, "    .file_descriptor_set = {(const char *)file_descriptor_set, sizeof(file_descriptor_set)},\n};\n\n");
  for_each_method(model, file, index, emit_method_source, out);
  sky_buf_printf(out, "SkyServiceBinding %s_bind(const %sHandlers *handlers, void *self) {\n", s, s);
  if (service->n_method > 0) {
    sky_buf_append_text(out, "  static const SkyInvoke invoke[] = {");
    for_each_method(model, file, index, emit_invoke_name, out);
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

/* ---- the files ---- */

/* Headers of the request and response types that other files declare. */
static void emit_includes(const Model *model, const File *file, SkyBuf *out) {
  bool *needed = sky_gen_alloc(model->arena, sizeof(needed[0]) * model->file_count);
  needed[file - model->files] = true;
  for (size_t s = 0; s < file->proto->n_service; s++) {
    for (size_t m = 0; m < file->proto->service[s]->n_method; m++) {
      const Method method = method_at(model, file, s, m);
      needed[method.request->file - model->files] = true;
      needed[method.response->file - model->files] = true;
    }
  }
  for (size_t i = 0; i < model->file_count; i++) {
    if (needed[i])
      sky_buf_printf(out, "#include \"%s.sky.h\"\n", model->files[i].stem);
  }
  sky_buf_append_byte(out, '\n');
}

void sky_emit_rpc_header(Model *model, File *file, SkyBuf *out) {
  sky_emit_preamble(file, true, out);
  if (file->proto->n_service == 0) {
    sky_buf_append_text(out, "/* The contract has no services. */\n");
    return;
  }
  take_names(model, file);
  sky_buf_append_text(out, "#include <sky/rpc/call.h>\n#include <sky/rpc/client.h>\n#include <sky/rpc/server.h>\n\n");
  emit_includes(model, file, out);
  for (size_t i = 0; i < file->proto->n_service; i++)
    emit_service_header(model, file, i, out);
}

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
