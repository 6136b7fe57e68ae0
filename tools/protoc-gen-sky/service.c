#include "service.h"

#include "names.h"

static CallKind kind_of(const MethodProto *method) {
  return (method->server_streaming ? SERVER_STREAMING : UNARY) + (method->client_streaming ? CLIENT_STREAMING : UNARY);
}

const char *sky_service_name(const Model *model, const File *file, const ServiceProto *service) {
  return sky_gen_printf(model->arena, "%s%s%s", file->prefix, *file->prefix ? "_" : "", service->name);
}

Method sky_method_at(const Model *model, const File *file, size_t service, size_t index) {
  const ServiceProto *owner = file->proto->service[service];
  const MethodProto *proto = owner->method[index];
  const int32_t path[] = {PATH_SERVICE, (int32_t)service, PATH_METHOD, (int32_t)index};
  const char *name = sky_names_snake(model->arena, proto->name);
  return (Method){
      .proto = proto,
      .kind = kind_of(proto),
      .request = sky_model_message(model, proto->input_type),
      .response = sky_model_message(model, proto->output_type),
      .service = sky_service_name(model, file, owner),
      .name = name,
      .member = sky_names_c_member(model->arena, name),
      .comment = sky_model_comment(file, path, sizeof(path) / sizeof(path[0])),
      .index = index,
  };
}

void sky_for_each_method(const Model *model, const File *file, size_t service, MethodEmitter emit, SkyBuf *out) {
  for (size_t i = 0; i < file->proto->service[service]->n_method; i++) {
    const Method method = sky_method_at(model, file, service, i);
    emit(model, &method, out);
  }
}
