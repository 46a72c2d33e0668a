// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The modules of one run and what they wait for, as plain data. Built once, then only read.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "load-modules/outcome.hpp"

namespace rdmaboot::load_modules {

/// Index of a module in its Graph.
using ModuleId = std::uint32_t;

/// Why one module waits for another.
enum class Need : std::uint8_t {
  kHard,  ///< cannot be loaded unless the other is usable
  kSoft,  ///< softdep "pre": the other comes first, whatever becomes of it
  kPost,  ///< it is there only because the other asked for it afterwards (softdep "post")
  kWeak,  ///< weakdep: the order, where both are loaded anyway
};

struct Edge {
  ModuleId on = 0;
  Need need = Need::kHard;
};

/// Which modules come first where there is a choice. Verbs and connection manager are what nearly
/// every RDMA program needs, and they are the smaller part of the work: storage and NFS modules,
/// most of the time of a usual list, must not be in front of them.
enum class Class : std::uint8_t { kVerbs = 0, kOther = 1 };

struct Module {
  std::string name;
  std::string path;
  std::string options;
  std::string install_command;
  std::vector<Edge> needs;
  std::optional<Ending> decided;  ///< known without loading: builtin, denied, missing, live, failed
  bool coming = false;            ///< somebody else is loading it right now
  bool requested = false;         ///< a list names it (not only another module)
  /// Only soft dependencies lead to it. As with modprobe, its failure is not one of the run: a
  /// driver of an instruction that this CPU lacks ends in ENODEV, and all is well.
  bool dispensable = false;
  std::string origin;  ///< who named it: "/etc/rdma/modules/rdma.conf:3"
  Class priority = Class::kOther;
  std::uint64_t cost = 0;   ///< expected microseconds
  std::uint64_t chain = 0;  ///< cost of the longest chain that starts with this module
  std::uint32_t order = 0;  ///< place in a sequential run: after what it needs, by the lists
};

/// All modules with the edges between them. finish() makes it fit for a Scheduler.
struct Graph {
  std::vector<Module> modules;
  std::vector<std::string> cycles;  ///< each cycle that was found, and which edge is ignored

  /// Makes the graph acyclic: where needs form a cycle, edges are dropped (soft ones first) and the
  /// cycle is noted in `cycles`. Then sets `order`, `chain` and `priority` of every module.
  /// Takes time and memory in proportion to modules and edges; no recursion.
  void finish();
};

}  // namespace rdmaboot::load_modules
