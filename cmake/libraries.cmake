# fg_libraries: what Debian provides. Versions are those of Debian 12.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv>=1.44)
pkg_check_modules(FYAML REQUIRED IMPORTED_TARGET libfyaml>=0.7.12)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.14)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET openssl>=3.0)
find_path(HTTP_PARSER_INCLUDE http_parser.h REQUIRED)
find_library(HTTP_PARSER_LIBRARY http_parser REQUIRED)

add_library(fg_libraries INTERFACE)
target_include_directories(fg_libraries SYSTEM INTERFACE ${HTTP_PARSER_INCLUDE})
target_link_libraries(fg_libraries INTERFACE
    PkgConfig::UV PkgConfig::FYAML PkgConfig::JANSSON PkgConfig::CRYPTO ${HTTP_PARSER_LIBRARY}
    Threads::Threads m)
# A library that a release does not call must cost it neither start time nor memory.
target_link_options(fg_libraries INTERFACE -Wl,--as-needed)
