/*
 * Service: the methods of a contract's services under the names they have in C.
 */
#pragma once

#include "emit.h"

/* Where descriptor.proto keeps services in a file, and methods in a service; for comments. */
enum { PATH_SERVICE = 6, PATH_METHOD = 2 };

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

const char *sky_service_name(const Model *model, const File *file, const ServiceProto *service);
Method sky_method_at(const Model *model, const File *file, size_t service, size_t index);

/* Calls the function for every method of a service. */
typedef void (*MethodEmitter)(const Model *model, const Method *method, SkyBuf *out);
void sky_for_each_method(const Model *model, const File *file, size_t service, MethodEmitter emit, SkyBuf *out);
