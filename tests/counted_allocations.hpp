// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Counts every heap allocation of the process. Replaces operator new, so it is for one file of a
// program.

#include <cstdint>
#include <cstdlib>
#include <new>

namespace {

std::uint64_t allocations = 0;

}  // namespace

// Not inline: otherwise g++ sees malloc and delete, and takes them for mismatched.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) {
    return memory;
  }
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t /*size*/) noexcept {
  std::free(memory);
}
