/* <stem>.rpc.h: handler tables, bindings and typed clients of services. */
#include "service.h"

#include "names.h"

/* ---- names ---- */

static void take(Model *model, const File *file, const char *stem, const char *suffix) {
  sky_model_take_symbol(model, file, sky_gen_printf(model->arena, "%s%s", stem, suffix), stem);
}

static void take_method(Model *model, const File *file, const Method *method) {
  static const char *const common[] = {"", "_method"};
  enum { MAX_SUFFIXES = 12 };
  static const char *const of_kind[][MAX_SUFFIXES] = {
      [UNARY] = {"_async", "_done"},
      [SERVER_STREAMING] = {"_write", "_write_blocking", "_open", "_on_message", "_handler", "_reader_open",
                            "_reader_next"},
      [CLIENT_STREAMING] = {"_read", "_read_blocking", "_on_request", "_open", "_on_message", "_write", "_handler",
                            "_reader_open", "_reader_write", "_reader_finish"},
      [BIDI_STREAMING] = {"_read", "_read_blocking", "_on_request", "_send", "_send_blocking", "_write", "_open",
                          "_on_message", "_handler", "_reader_open", "_reader_write", "_reader_next"},
  };
  const char *stem = sky_gen_printf(model->arena, "%s_%s", method->service, method->name);
  for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++)
    take(model, file, stem, common[i]);
  for (size_t i = 0; i < MAX_SUFFIXES && of_kind[method->kind][i] != NULL; i++)
    take(model, file, stem, of_kind[method->kind][i]);
}

static void take_names(Model *model, const File *file) {
  static const char *const suffixes[] = {"_descriptor", "_methods", "Handlers", "_bind"};
  for (size_t s = 0; s < file->proto->n_service; s++) {
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
      take(model, file, sky_service_name(model, file, file->proto->service[s]), suffixes[i]);
    for (size_t m = 0; m < file->proto->service[s]->n_method; m++) {
      const Method method = sky_method_at(model, file, s, m);
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
  const char *write = method->kind == BIDI_STREAMING ? "send" : "write";
  if (method->kind == SERVER_STREAMING || method->kind == BIDI_STREAMING)
    sky_buf_printf(out,
                   "/* For handlers: sends one message; see sky_call_write(). */\n"
                   "SKY_MUST_USE static inline SkyStatus %s_%s_%s(SkyCall *call, const %s *message) {\n"
                   "  return sky_call_write(call, (const ProtobufCMessage *)message);\n"
                   "}\n"
                   "/* For handlers that block: waits for room. */\n"
                   "SKY_MUST_USE static inline SkyStatus %s_%s_%s_blocking(SkyCall *call, const %s *message) {\n"
                   "  return sky_call_write_blocking(call, (const ProtobufCMessage *)message);\n"
                   "}\n",
                   s, n, write, method->response->short_name, s, n, write, method->response->short_name);
  if (method->kind == CLIENT_STREAMING || method->kind == BIDI_STREAMING)
    sky_buf_printf(out,
                   "/* For handlers: asks for the next message; see sky_call_read(). */\n"
                   "typedef void (*%s_%s_on_request)(void *user, SkyCall *call, SkyStatus status, const %s *message);\n"
                   "void %s_%s_read(SkyCall *call, %s_%s_on_request on_message, void *user);\n"
                   "/* For handlers that block: the next message; *ret is NULL at its end. */\n"
                   "SKY_MUST_USE static inline SkyStatus %s_%s_read_blocking(SkyCall *call, const %s **ret) {\n"
                   "  const ProtobufCMessage *message_;\n"
                   "  SKY_TRY(sky_call_read_blocking(call, &message_));\n"
                   "  *ret = (const %s *)message_;\n"
                   "  return SKY_OK;\n"
                   "}\n",
                   s, n, method->request->short_name, s, n, s, n, s, n, method->request->short_name,
                   method->request->short_name);
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

/* The stream for threads that block. */
static void emit_reader(const Method *method, SkyBuf *out) {
  const char *s = method->service, *n = method->name;
  const bool has_request = method->kind == SERVER_STREAMING;
  sky_buf_printf(
      out,
      "/* Blocking; see SkyClientReader. */\n"
      "SKY_MUST_USE static inline SkyStatus %s_%s_reader_open(SkyClient *client, const SkyContext *context,\n"
      "    %s%s%sSkyClientReader **ret) {\n"
      "  return sky_client_reader_open(client, %s_%s_method, context, %s, ret);\n"
      "}\n",
      s, n, has_request ? "const " : "", has_request ? method->request->short_name : "",
      has_request ? " *request, " : "", s, n, has_request ? "(const ProtobufCMessage *)request" : "NULL");
  if (!has_request)
    sky_buf_printf(
        out,
        "SKY_MUST_USE static inline SkyStatus %s_%s_reader_write(SkyClientReader *reader, const %s *message) {\n"
        "  return sky_client_reader_write(reader, (const ProtobufCMessage *)message);\n"
        "}\n",
        s, n, method->request->short_name);
  sky_buf_printf(out,
                 "/* %s */\n"
                 "SKY_MUST_USE SkyStatus %s_%s_reader_%s(SkyClientReader *reader, SkyArena *arena, %s **ret);\n",
                 method->kind == CLIENT_STREAMING ? "Half-closes, waits for response and status, closes."
                                                  : "*ret is NULL at the regular end.",
                 s, n, method->kind == CLIENT_STREAMING ? "finish" : "next", method->response->short_name);
}

static void emit_method_header(const Model *model, const Method *method, SkyBuf *out) {
  sky_buf_printf(out, "/* ---- %s ---- */\n", method->proto->name);
  emit_server_stream(model, method, out);
  if (method->kind == UNARY)
    emit_unary_client(method, out);
  else
    emit_stream_client(method, out);
  if (method->kind != UNARY)
    emit_reader(method, out);
  sky_buf_append_byte(out, '\n');
}

static void emit_service_header(const Model *model, const File *file, size_t index, SkyBuf *out) {
  const ServiceProto *service = file->proto->service[index];
  const int32_t path[] = {PATH_SERVICE, (int32_t)index};
  const char *s = sky_service_name(model, file, service);
  sky_buf_printf(out, "/* ======== %s ======== */\n\n", service->name);
  sky_buf_printf(out, "extern const SkyServiceDescriptor %s_descriptor;\n", s);
  if (service->n_method > 0)
    sky_buf_printf(out, "extern const SkyMethodDescriptor %s_methods[%zu];\n", s, service->n_method);
  sky_for_each_method(model, file, index, emit_method_macro, out);
  sky_buf_append_byte(out, '\n');
  sky_emit_comment(sky_model_comment(file, path, 2), "", out);
  sky_buf_append_text(out, "/* Server: one function per method; NULL answers UNIMPLEMENTED. response is initialised "
                           "and lives in the call's arena. */\n");
  sky_buf_printf(out, "typedef struct %sHandlers {\n", s);
  sky_for_each_method(model, file, index, emit_handler_member, out);
  if (service->n_method == 0)
    sky_buf_append_text(out, "  char no_methods;\n");
  sky_buf_printf(out, "} %sHandlers;\n", s);
  sky_buf_printf(
      out,
      "/* For sky_server_add(). handlers must outlive the server; self is every handler's first argument. */\n"
      "SkyServiceBinding %s_bind(const %sHandlers *handlers, void *self);\n\n",
      s, s);
  sky_for_each_method(model, file, index, emit_method_header, out);
}

/* ---- the file ---- */

/* Headers of the request and response types that other files declare. */
static void emit_includes(const Model *model, const File *file, SkyBuf *out) {
  bool *needed = sky_gen_alloc(model->arena, sizeof(needed[0]) * model->file_count);
  needed[file - model->files] = true;
  for (size_t s = 0; s < file->proto->n_service; s++) {
    for (size_t m = 0; m < file->proto->service[s]->n_method; m++) {
      const Method method = sky_method_at(model, file, s, m);
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
