/*
 * Model: the files of a request with everything in them under the names it has in C. Built once, then only read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <sky/core/arena.h>
#include <sky/core/buf.h>
#include <sky/core/map.h>

#include "google/protobuf/compiler/plugin.pb-c.h"
#include "google/protobuf/descriptor.pb-c.h"

typedef Google__Protobuf__Compiler__CodeGeneratorRequest PluginRequest;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse PluginResponse;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse__File PluginFile;
typedef Google__Protobuf__FileDescriptorProto FileProto;
typedef Google__Protobuf__DescriptorProto MessageProto;
typedef Google__Protobuf__FieldDescriptorProto FieldProto;
typedef Google__Protobuf__EnumDescriptorProto EnumProto;
typedef Google__Protobuf__ServiceDescriptorProto ServiceProto;
typedef Google__Protobuf__MethodDescriptorProto MethodProto;

/* Field types and labels as descriptor.proto numbers them. */
#define TYPE(name) GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_##name
#define LABEL(name) GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_##name

/* Numbers of the extensions that we read. */
enum {
  EXTENSION_SKY = 75100,           /* sky.options.v1.file, method, event */
  EXTENSION_VALIDATE = 1159,       /* buf.validate.message, oneof, field */
  EXTENSION_FIELD_BEHAVIOR = 1052, /* google.api.field_behavior */
  EXTENSION_PROTOBUF_C = 1019,     /* pb_c_file, pb_c_msg, pb_c_field */
};

typedef struct File File;
typedef struct Message Message;

typedef struct Enum {
  const EnumProto *proto;
  const char *full_name;
  const char *c_type, *c_lower, *c_upper;
  const char *short_name;   /* delivery_DeliveryStatus */
  const char *value_prefix; /* delivery_, delivery_Outer_ */
} Enum;

struct Message {
  const MessageProto *proto;
  File *file;
  const char *full_name;
  const char *c_type, *c_lower, *c_upper;
  const char *short_name; /* delivery_Delivery, delivery_Outer_Inner */
  bool is_map_entry;
  bool is_nested;
  bool has_own_rules; /* something to check in the message itself */
  bool needs_rules;   /* in it or in what it holds */
};

struct File {
  const FileProto *proto;
  const char *name;   /* fabrikam/delivery/v1/delivery.proto */
  const char *stem;   /* without .proto */
  const char *prefix; /* delivery */
  bool generate;
  Message **messages; /* nested ones before what holds them, as protoc-gen-c writes them */
  size_t message_count;
  Enum **enums;
  size_t enum_count;
};

typedef struct Model {
  SkyArena *arena;
  const PluginRequest *request;
  File *files; /* in the order of the request: imports first */
  size_t file_count;
  SkyMap *messages_by_name;
  SkyMap *enums_by_name;
  SkyMap *symbols; /* C names that are taken, to what took them */
  SkyBuf errors;   /* one line each; empty: all is well */
} Model;

/* Builds the model of a request. Problems of the contracts are in model->errors. Names without a leading dot. */
void sky_model_init(Model *model, SkyArena *arena, const PluginRequest *request);
void sky_model_finish(Model *model);

/* A problem of a contract, for the person who wrote it: "file.proto: Message.field: what is wrong". */
void sky_model_error(Model *model, const File *file, const char *where, const char *format, ...) SKY_PRINTF(4, 5);

/* Takes a C name; a second taker is an error. */
void sky_model_take_symbol(Model *model, const File *file, const char *symbol, const char *what);

/* By the type_name of a field or method (".package.Type"); NULL when not there. */
Message *sky_model_message(const Model *model, const char *type_name);
Enum *sky_model_enum(const Model *model, const char *type_name);
File *sky_model_file(const Model *model, const char *name);

/* The map's entry type when the field is a map, else NULL. */
Message *sky_model_map_entry(const Model *model, const FieldProto *field);
bool sky_field_is_repeated(const FieldProto *field);
/* The oneof the field is in, -1 for none; that of a proto3 optional field counts. */
int sky_field_oneof(const FieldProto *field);

/* Comment before a declaration, by its path in descriptor.proto; NULL when there is none. */
const char *sky_model_comment(const File *file, const int32_t *path, size_t path_size);
