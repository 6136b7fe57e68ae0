#!/usr/bin/env bash
# Makes the headers that nginx's configure generates (ngx_auto_config.h, ngx_auto_headers.h) with the flags of the installed nginx, so
# that the module fits it. Usage: configure-nginx.sh SOURCE_DIR OUTPUT_DIR
set -euo pipefail
source_dir=$1 output_dir=$2
[ -f "$output_dir/objs/ngx_auto_config.h" ] && exit 0
mkdir -p "$output_dir"
cp -r "$source_dir/auto" "$source_dir/configure" "$source_dir/src" "$output_dir/"
cd "$output_dir"
. "$source_dir/conf_flags"
bash configure "${NGX_CONF_FLAGS[@]}" >configure.log 2>&1 || { tail -n 5 configure.log >&2; exit 1; }
