// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Gathers what the checks judge by, from the files of this machine or of a saved tree.

#include "rdmactl/doctor/examined.hpp"
#include "rdmactl/doctor/tree.hpp"

namespace rdmaboot::rdmactl::doctor {

/// Reads everything. With a root the facts that only a running machine has come from kLiveFile in
/// the tree, and are unknown where there is none.
/// @param notes what could not be read or asked: the checks that need it say nothing
/// Errors: no readable sysfs in the tree; kLiveFile is not what rdmactl writes.
[[nodiscard]] core::Result<Examined> gather(Tree& tree, std::vector<core::Error>& notes);

/// Looks at the files of each device too, which gather() reads by way of the device library, so
/// that they are among what the tree has seen.
void record_devices(Tree& tree, const device::Snapshot& devices);

// Parts of it, each for one kind of file.
void gather_kernel(Tree& tree, Examined& examined);
void gather_modules(Tree& tree, Examined& examined);
void gather_rules(Tree& tree, Examined& examined);
void gather_units(Tree& tree, Examined& examined);
void gather_locks(Tree& tree, Examined& examined);
void gather_initramfs(Tree& tree, Examined& examined);

}  // namespace rdmaboot::rdmactl::doctor
