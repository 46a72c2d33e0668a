// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The fabric of the running kernel: librdmacm and libibverbs.

#include <memory>

#include "engine/fabric.hpp"

namespace rdmaboot::engine {

/// Opens the way to rdma_cm. Everything made from it belongs to the calling thread.
///
/// A process should have one fabric for each RDMA device: librdmacm opens a device once, and of two
/// fabrics on it the one that reads an asynchronous event first has it. What the other one misses
/// is port events and COMM_EST.
///
/// Memory is registered by libibverbs, so a process that forks needs its protection against
/// copy-on-write. Kernels since 5.12 bring it; where they do not, ibv_fork_init() is called here,
/// which works only if nobody has registered memory before: EINVAL then.
///
/// Errors: ENOENT or ENODEV without /dev/infiniband/rdma_cm (module rdma_ucm), EACCES, EMFILE.
[[nodiscard]] core::Result<std::unique_ptr<Fabric>> open_verbs_fabric();

}  // namespace rdmaboot::engine
