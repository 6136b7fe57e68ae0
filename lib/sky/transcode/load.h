/*
 * Load: the steps that turn a FileDescriptorSet into contracts, each in its own file. Private to the transcoder.
 *
 * 1. load_types.c: every message and enum is declared, then extensions, then fields are filled in and resolved.
 * 2. load_methods.c: services and their options.
 * 3. template.c and load_routes.c: HTTP rules are compiled and put into the trie.
 */
#pragma once

#include <sky/codec/wire.h>
#include <sky/transcode/descriptor.h>

/* Bounds on what a descriptor set may make us build. */
enum {
  LOAD_MAX_TYPES = 1 << 16,
  LOAD_MAX_FIELDS = 4096,    /* of a message */
  LOAD_MAX_VALUES = 1 << 15, /* of an enum */
  LOAD_MAX_NESTING = 32,
  LOAD_MAX_METHODS = 1 << 14,
  LOAD_MAX_BINDINGS = 1 << 15,
  LOAD_MAX_PATH = 16, /* fields in a field path */
};

/* A FileDescriptorProto that is being loaded. */
typedef struct LoadFile {
  SkyContracts *contracts;
  SkyStr bytes;
  SkyStr name;
  SkyStr package;
  SkyStr source_info; /* SourceCodeInfo; empty when the set has none */
  bool proto3;
} LoadFile;

/* Fills the file's own fields. */
SkyStatus load_file_open(SkyContracts *contracts, SkyStr bytes, LoadFile *ret);
SkyStatus load_declare_types(LoadFile *file);
SkyStatus load_declare_extensions(LoadFile *file);
SkyStatus load_resolve_types(LoadFile *file);
SkyStatus load_services(LoadFile *file);

/* Fields of a message type by a dotted path of proto names; count 0 when there is none. Only the last may be repeated
 * or a map. */
SkyStatus load_field_path(SkyContracts *contracts, const SkyMessageType *type, SkyStr text, FieldPath *ret);

/* Parses a path template; variables are resolved in the request type. The message says what is wrong, without naming
 * the method. */
SkyStatus template_parse(SkyContracts *contracts, const SkyMessageType *request, SkyStr text, Template *ret);
/* Adds the rule of a method (an HttpRule's bytes) and its additional bindings to the trie. */
SkyStatus load_http_rule(SkyContracts *contracts, const MethodEntry *entry, SkyStr rule);

/*
 * Where in the sources an element is: "file.proto:12", or "file.proto" when the set has no source info. path: as in
 * SourceCodeInfo.Location.path.
 */
void load_location(const LoadFile *file, const int32_t *path, size_t path_size, char *text, size_t text_size);

/* A copy in the contracts' arena, NUL-terminated; data NULL without memory. */
SkyStr load_copy(SkyContracts *contracts, SkyStr text);
/* "a.b" from "a" and "b"; "b" when a is empty. */
SkyStr load_join(SkyContracts *contracts, SkyStr scope, SkyStr name);
bool load_is_identifier(SkyStr text, bool dots);

/* Reads the next field; *ret_done at the end. An error for bytes that are no protobuf. */
SkyStatus load_next(SkyWireReader *reader, SkyWireField *ret, bool *ret_done);
/* The last BYTES field of that number; empty when there is none or the bytes are malformed. */
SkyStr load_find_bytes(SkyStr message, uint32_t number);
/* All BYTES fields of that number, joined: protoc writes an option that is set piece by piece in several. data NULL
 * without memory. */
SkyStr load_find_message(SkyContracts *contracts, SkyStr message, uint32_t number);
/* The last VARINT field of that number; otherwise the given value. */
uint64_t load_find_varint(SkyStr message, uint32_t number, uint64_t otherwise);
