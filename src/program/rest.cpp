// SPDX-License-Identifier: BSD-2-Clause
#include "program/rest.hpp"

#include <cstddef>
#include <cstdint>

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

namespace rdmaboot::program {
namespace {

int release_text_of(dl_phdr_info* object, std::size_t /*size*/, void* /*user*/) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& part = object->dlpi_phdr[i];
    if (part.p_type != PT_LOAD || (part.p_flags & PF_W) != 0) {
      continue;
    }
    const std::uintptr_t start = (object->dlpi_addr + part.p_vaddr) / page * page;
    const std::uintptr_t end = object->dlpi_addr + part.p_vaddr + part.p_memsz;
    // A refusal (the kernel's own vdso) costs memory, nothing else.
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the linker tells addresses as numbers
    static_cast<void>(::madvise(reinterpret_cast<void*>(start), end - start, MADV_DONTNEED));
  }
  return 0;
}

}  // namespace

void release_program_text() noexcept {
  ::dl_iterate_phdr(release_text_of, nullptr);
}

}  // namespace rdmaboot::program
