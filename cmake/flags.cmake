# fg_flags: the language, the warnings and the hardening that every file of ours is compiled with.
include(CheckCCompilerFlag)
include(CheckCSourceCompiles)

if(NOT FG_SANITIZE MATCHES "^(address|thread)?$")
    message(FATAL_ERROR "FG_SANITIZE is '${FG_SANITIZE}'; it may be address, thread or empty")
endif()
if(FG_FUZZ AND NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "FG_FUZZ needs clang: configure with -DCMAKE_C_COMPILER=clang")
endif()

# The options below say all there is to say about optimisation; a build type would add to them.
set(CMAKE_BUILD_TYPE "None" CACHE STRING "unused" FORCE)
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)

find_program(FG_CCACHE ccache)
if(FG_CCACHE AND NOT CMAKE_C_COMPILER_LAUNCHER)
    set(CMAKE_C_COMPILER_LAUNCHER ${FG_CCACHE})
endif()

add_library(fg_flags INTERFACE)
target_include_directories(fg_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_definitions(fg_flags INTERFACE _GNU_SOURCE FG_VERSION="${PROJECT_VERSION}")
target_compile_options(fg_flags INTERFACE
    -g -fno-strict-aliasing -fno-common -fvisibility=hidden
    -Wall -Wextra -Werror
    -Wshadow -Wvla -Wundef -Wwrite-strings -Wpointer-arith -Wstrict-prototypes -Wformat-security)

# Functions that no header announces must be static. Tests and fuzz targets have entry points of their own.
add_library(fg_strict INTERFACE)
target_compile_options(fg_strict INTERFACE -Wmissing-prototypes)

if(FG_SANITIZE STREQUAL "address" OR FG_FUZZ)
    set(sanitize -fsanitize=address,undefined -fno-sanitize-recover=all)
    # -g1: a finding names its functions, files and lines; what more -g knows costs a quarter of the compile time.
    target_compile_options(fg_flags INTERFACE ${sanitize} -O1 -g1 -fno-omit-frame-pointer)
    target_link_options(fg_flags INTERFACE ${sanitize})
    set(FG_TEST ON)
    if(FG_FUZZ)
        target_compile_options(fg_flags INTERFACE -fsanitize=fuzzer-no-link)
    endif()
elseif(FG_SANITIZE STREQUAL "thread")
    target_compile_options(fg_flags INTERFACE -fsanitize=thread -O1 -fno-omit-frame-pointer)
    target_link_options(fg_flags INTERFACE -fsanitize=thread)
    set(FG_TEST ON)
else()
    target_compile_options(fg_flags INTERFACE -O2 -fstack-protector-strong)
    foreach(option -fstack-clash-protection -fcf-protection=full)
        string(MAKE_C_IDENTIFIER "FG_HAS${option}" has)
        check_c_compiler_flag("-Werror ${option}" ${has})
        if(${has})
            target_compile_options(fg_flags INTERFACE ${option})
        endif()
    endforeach()
    set(CMAKE_REQUIRED_FLAGS "-Werror -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3")
    check_c_source_compiles("#include <string.h>\nint main(void) { return 0; }" FG_HAS_FORTIFY_3)
    unset(CMAKE_REQUIRED_FLAGS)
    target_compile_options(fg_flags INTERFACE
        -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$<IF:$<BOOL:${FG_HAS_FORTIFY_3}>,3,2>)
    target_link_options(fg_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
endif()
# The libraries only ever become part of a program, so they too are -fPIE, which is cheaper than -fPIC.
target_compile_options(fg_flags INTERFACE -fPIE)
target_link_options(fg_flags INTERFACE -pie)
if(FG_TEST)
    target_compile_definitions(fg_flags INTERFACE FG_TEST=1)
endif()
