// The filter as a plugin: found by any HDF5 program through HDF5_PLUGIN_PATH. It calls no function of HDF5,
// so that it need not match the library of the program that loads it.
#include <H5PLextern.h>

#include "trace/zstd_filter.h"

namespace {

const H5Z_class2_t kFilter = {
    H5Z_CLASS_T_VERS, kZstdFilterId,     1, 1, "Zstandard: http://www.zstd.net", nullptr,
    nullptr,          aftune_zstd_filter};

}  // namespace

H5PL_type_t H5PLget_plugin_type(void) {
  return H5PL_TYPE_FILTER;
}

const void* H5PLget_plugin_info(void) {
  return &kFilter;
}
