find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(zstd CONFIG REQUIRED)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib)

# The shared libhdf5 of Debian pulls in about thirty more libraries (curl, ldap, krb5); the static one none.
set(HDF5_USE_STATIC_LIBRARIES ON)
find_package(HDF5 REQUIRED COMPONENTS C)
add_library(aftune_hdf5 INTERFACE)
target_include_directories(aftune_hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
find_library(AFTUNE_LIBHDF5 NAMES libhdf5_serial.a libhdf5.a REQUIRED)
find_library(AFTUNE_LIBSZ NAMES libsz.a REQUIRED)
find_library(AFTUNE_LIBAEC NAMES libaec.a REQUIRED)
find_library(AFTUNE_LIBZ NAMES libz.a REQUIRED)
target_link_libraries(aftune_hdf5 INTERFACE
  ${AFTUNE_LIBHDF5} ${AFTUNE_LIBSZ} ${AFTUNE_LIBAEC} ${AFTUNE_LIBZ} ${CMAKE_DL_LIBS} m)
