/* Requests: which kind of body it is, and the order in which headers, path, query and body are bound. */
#include <sky/transcode/request.h>

#include <string.h>
#include <strings.h>

#include <sky/transcode/problem.h>

#include "bind.h"
#include "json_reader.h"

enum { DEFAULT_MAX_BODY = 1 << 20, MAX_MASK_BYTES = 1 << 16, HTTP_BODY_CONTENT_TYPE = 1, HTTP_BODY_DATA = 2 };

typedef enum BodyKind { BODY_NONE, BODY_JSON, BODY_FORM, BODY_RAW, BODY_MISNAMED, BODY_UNSUPPORTED } BodyKind;

/* ---- which kind of body ---- */

static const SkyMessageType *body_type(const SkyBinding *binding) {
  if (binding->body_is_request)
    return binding->entry->method.request;
  return binding->body == NULL || binding->body->repeated ? NULL : binding->body->message;
}

static SkyStr trim(SkyStr text) {
  while (text.size > 0 && (*text.data == ' ' || *text.data == '\t')) {
    text.data++;
    text.size--;
  }
  while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
    text.size--;
  return text;
}

static bool is_text(SkyStr text, const char *wanted) {
  return text.size == strlen(wanted) && strncasecmp(text.data, wanted, text.size) == 0;
}

/* Only UTF-8 may be named. */
static bool charset_is_utf8(SkyStr parameters) {
  for (bool more = parameters.size > 0; more;) {
    SkyStr parameter = parameters;
    more = sky_str_cut(&parameters, ';', &parameter);
    if (!more)
      parameter = parameters;
    SkyStr value = trim(parameter);
    SkyStr name = value;
    if (sky_str_cut(&value, '=', &name) && is_text(name, "charset") && !is_text(value, "utf-8") &&
        !is_text(value, "\"utf-8\""))
      return false;
  }
  return true;
}

static BodyKind kind_of_media_type(SkyStr content_type) {
  SkyStr parameters = content_type;
  SkyStr type = content_type;
  if (!sky_str_cut(&parameters, ';', &type)) {
    type = content_type;
    parameters.size = 0;
  }
  type = trim(type);
  if (!charset_is_utf8(parameters))
    return BODY_UNSUPPORTED;
  if (type.size == 0 || is_text(type, "application/json"))
    return BODY_JSON;
  if (type.size > 5 && is_text((SkyStr){.data = type.data + type.size - 5, .size = 5}, "+json"))
    return BODY_JSON;
  return is_text(type, "application/x-www-form-urlencoded") ? BODY_FORM : BODY_UNSUPPORTED;
}

/* curl, for one, calls everything a form unless it is told; no name of a field begins like this. */
static bool looks_like_json(SkyStr body) {
  while (body.size > 0 && strchr(" \t\r\n", *body.data) != NULL && *body.data != '\0') {
    body.data++;
    body.size--;
  }
  return body.size > 0 && (*body.data == '{' || *body.data == '[');
}

static BodyKind kind_of_body(const SkyBinding *binding, const SkyHttpRequest *request) {
  const SkyMessageType *type = body_type(binding);
  if (type != NULL && type->is_http_body)
    return BODY_RAW;
  if (request->body.size == 0)
    return BODY_NONE;
  const BodyKind kind = kind_of_media_type(request->content_type);
  return kind == BODY_FORM && looks_like_json(request->body) ? BODY_MISNAMED : kind;
}

/* ---- reading it ---- */

static void put_http_body(SkyBuf *out, const SkyHttpRequest *request) {
  if (request->content_type.size > 0)
    sky_wire_append_bytes(out, HTTP_BODY_CONTENT_TYPE, request->content_type);
  if (request->body.size > 0)
    sky_wire_append_bytes(out, HTTP_BODY_DATA, request->body);
}

static void read_raw(Binder *binder, const SkyHttpRequest *request) {
  SkyBuf *out = binder->reader->out;
  const SkyField *field = binder->binding->body;
  if (field == NULL) {
    put_http_body(out, request);
    return;
  }
  put_tag(out, field);
  const size_t start = sky_wire_begin_bytes(out);
  put_http_body(out, request);
  sky_wire_end_bytes(out, start);
}

static bool read_json(Binder *binder, SkyStr json) {
  Reader *reader = binder->reader;
  const SkyBinding *binding = binder->binding;
  Bound *bound = binding->body == NULL ? &binder->root : bound_find(&binder->root, binding->body);
  const Place root = {.index = -1, .bound = bound, .masked = reader->mask != NULL};
  reader->scan.start = reader->scan.at = json.data;
  reader->scan.end = json.data + json.size;
  reader->text_mode = false;
  if (binding->body_is_request) {
    const bool done = read_root(reader, binding->entry->method.request, &root);
    for (Bound *child = binder->root.children; child != NULL; child = child->next)
      child->emitted = true; /* read_root() has written them */
    return done;
  }
  if (bound != NULL)
    bound->emitted = true;
  return read_root_field(reader, binding->body, &root);
}

static bool read_body(Binder *binder, const SkyHttpRequest *request, BodyKind kind) {
  switch (kind) {
  case BODY_FORM:
    return bind_query(binder, request->body, true);
  case BODY_JSON:
    return read_json(binder, request->body);
  case BODY_RAW:
    read_raw(binder, request);
    return true;
  case BODY_NONE:
  case BODY_MISNAMED:
  case BODY_UNSUPPORTED:
    break;
  }
  return true;
}

/* The mask that the body implies, unless the client gave one. */
static void put_mask(const Binder *binder) {
  Reader *reader = binder->reader;
  const SkyField *field = binder->binding->entry->update_mask;
  if (reader->mask != NULL && reader->mask->failed)
    (void)reader_no_memory(reader); /* half a mask would change half of what was asked for */
  if (reader->mask == NULL || reader->mask_given || reader->mask->size == 0 ||
      bound_find((Bound *)&binder->root, field) != NULL)
    return;
  put_tag(reader->out, field);
  const size_t start = sky_wire_begin_bytes(reader->out);
  out_str(reader->out, sky_buf_str(reader->mask));
  sky_wire_end_bytes(reader->out, start);
}

static void read_request(Binder *binder, const SkyRoute *route, const SkyHttpRequest *request, BodyKind kind) {
  if (!bind_headers(binder, request) || !bind_path(binder, route) || !bind_query(binder, request->query, false))
    return;
  if (!read_body(binder, request, kind))
    return;
  bound_emit(&binder->root, binder->reader->out);
  put_mask(binder);
}

/* ---- the calls ---- */

static SkyStatus check_body(const SkyBinding *binding, const SkyHttpRequest *request, const SkyRequestOptions *options,
                            BodyKind kind) {
  const size_t max_bytes = options->max_body_bytes == 0 ? DEFAULT_MAX_BODY : options->max_body_bytes;
  SkyStatus status = SKY_OK;
  if (request->body.size > max_bytes)
    return sky_status_with_reason(SKY_RESOURCE_EXHAUSTED("the body has more than %zu bytes", max_bytes),
                                  SKY_REASON_TOO_LARGE);
  const bool takes_body = binding->body_is_request || binding->body != NULL;
  if (!takes_body && request->body.size > 0 && !options->ignore_unexpected_body) {
    sky_violations_add(&status, "body", "is not taken by this method");
    return status;
  }
  if (!takes_body || (kind != BODY_UNSUPPORTED && kind != BODY_MISNAMED))
    return SKY_OK;
  sky_violations_add(&status, "Content-Type",
                     kind == BODY_MISNAMED ? "says that the body is a form, but it is JSON: must be application/json"
                                           : "must be application/json in UTF-8");
  return sky_status_with_reason(status, SKY_REASON_MEDIA_TYPE);
}

/* Running out of what a request may use is the request's size, not a shortage of ours. */
static SkyStatus finish(Reader *reader, size_t before) {
  SkyStatus status = reader_status(reader);
  if (status == SKY_OK)
    return SKY_OK;
  reader->out->size = before;
  reader->out->failed = false;
  if (sky_status_code(status) == SKY_CODE_RESOURCE_EXHAUSTED)
    status = sky_status_with_reason(status, SKY_REASON_TOO_LARGE);
  return status;
}

SkyStatus sky_transcode_request(const SkyContracts *contracts, const SkyRoute *route, const SkyHttpRequest *request,
                                const SkyRequestOptions *options, SkyArena *arena, SkyBuf *ret_wire) {
  static const SkyRequestOptions strict = {.max_body_bytes = 0};
  const SkyBinding *binding = route->binding;
  const size_t before = ret_wire->size;
  if (options == NULL)
    options = &strict;
  const BodyKind kind = kind_of_body(binding, request);
  SKY_TRY(check_body(binding, request, options, kind));
  const bool takes_body = binding->body_is_request || binding->body != NULL;
  Reader reader;
  reader_init(&reader, contracts, SKY_STR(""), &options->json, arena, ret_wire);
  reader.text_mode = true;
  Binder binder = {.binding = binding, .reader = &reader, .ignore_unknown = options->ignore_unknown_query};
  SkyBuf mask;
  sky_buf_init(&mask, MAX_MASK_BYTES);
  if (binding->implies_mask) {
    reader.mask = &mask;
    reader.mask_field = binding->body_is_request ? binding->entry->update_mask : NULL;
  }
  read_request(&binder, route, request, takes_body ? kind : BODY_NONE);
  sky_buf_finish(&mask);
  return finish(&reader, before);
}

SkyStatus sky_transcode_request_message(const SkyContracts *contracts, const SkyRoute *route, SkyStr json,
                                        const SkyRequestOptions *options, SkyArena *arena, SkyBuf *ret_wire) {
  const SkyHttpRequest request = {.query = SKY_STR(""), .body = json};
  return sky_transcode_request(contracts, route, &request, options, arena, ret_wire);
}
