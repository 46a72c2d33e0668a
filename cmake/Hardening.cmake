# SPDX-License-Identifier: BSD-2-Clause
# Warnings, hardening, sanitizers: the same for every target.
include(CheckCXXCompilerFlag)

add_compile_options(
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wcast-qual -Wformat=2
  -Wundef -Wnon-virtual-dtor -Woverloaded-virtual -Wold-style-cast -Wnull-dereference)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # g++ 12's false -Wmaybe-uninitialized: an empty std::optional that is destroyed.
  add_compile_options(-Wno-maybe-uninitialized)
endif()
if(RDMABOOT_WERROR)
  add_compile_options(-Werror)
endif()

if(RDMABOOT_SANITIZE)
  add_compile_options(-fsanitize=${RDMABOOT_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${RDMABOOT_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC's null-dereference analysis sees the sanitizer's own checks as dereferences.
    add_compile_options(-Wno-null-dereference -Wno-maybe-uninitialized)
  endif()
else()
  add_compile_options(-fstack-protector-strong)
  foreach(flag -fstack-clash-protection -fcf-protection)
    string(MAKE_C_IDENTIFIER "HAVE${flag}" have)
    check_cxx_compiler_flag(${flag} ${have})
    if(${have})
      add_compile_options(${flag})
    endif()
  endforeach()
  add_compile_options($<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE>
                      $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
  add_compile_definitions($<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>)
endif()
if(RDMABOOT_FUZZ)
  # Everything, the library too: without its edges counted a fuzzer is blind and gives up at once.
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,--as-needed)

if(RDMABOOT_COVERAGE)
  add_compile_options(--coverage -O0)
  add_link_options(--coverage)
endif()
