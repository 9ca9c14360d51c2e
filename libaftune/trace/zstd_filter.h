#pragma once

#include <stddef.h>

/// The registered HDF5 filter 32015 (Zstandard), shared by this library and by the plugin that h5dump and
/// h5py load. It has the shape that HDF5 asks for, but calls no function of HDF5, throws nothing and needs
/// only libc and zstd, so that it works inside any program.
///
/// Decoding is bounded: a frame must state its size, of at most 64 MiB.
/// Returns the number of valid bytes in *buffer, or 0 on failure, in which case nothing was changed.
extern "C" size_t aftune_zstd_filter(unsigned flags, size_t parameter_count, const unsigned parameters[],
                                     size_t bytes, size_t* buffer_size, void** buffer);

inline constexpr int kZstdFilterId = 32015;
