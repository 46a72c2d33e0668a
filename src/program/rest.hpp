// SPDX-License-Identifier: BSD-2-Clause
#pragma once

namespace rdmaboot::program {

/// Unmaps the pages of program text that were needed so far, the libraries' as well: 2 MB that a
/// daemon which sleeps for days does not use. They stay in the page cache as long as the kernel
/// likes, and are mapped again (a minor fault each) by whatever runs next. Only mappings that
/// nobody can write to are touched, so nothing is lost. Any thread.
void release_program_text() noexcept;

}  // namespace rdmaboot::program
