// SPDX-License-Identifier: BSD-2-Clause
#include "load-modules/expand.hpp"

#include <algorithm>
#include <cerrno>
#include <unordered_map>
#include <utility>

#include "core/text.hpp"

namespace rdmaboot::load_modules {
namespace {

/// Loading costs about this per KiB of file where nothing was measured; only ratios matter.
constexpr std::uint64_t kMicrosecondsPerKiB = 20;
constexpr std::uint64_t kKiB = 1024;

/// One expansion in progress.
class Expansion {
 public:
  Expansion(const PlanInput& input, os::ModuleIndex& index) : input_(input), index_(index) {}

  Graph run() {
    for (const Request& request : input_.requests) {
      ask_for(request);
      // Depth first, list by list, so that `order` is the one of a sequential run.
      while (!to_describe_.empty()) {
        const ModuleId id = to_describe_.back();
        to_describe_.pop_back();
        describe(id);
      }
    }
    connect_posts();
    mark_dispensable();
    connect_weak();
    estimate_costs();
    graph_.finish();
    return std::move(graph_);
  }

 private:
  /// What is kept beside a module while the graph grows.
  struct Notes {
    os::ModuleFacts facts;
    bool described = false;
    bool expanded = false;
    bool needed_hard = false;
    bool needed_softly = false;
    std::vector<ModuleId> posted_by;
  };

  ModuleId id_of(const std::string& name) {
    const auto [at, inserted] =
        ids_.try_emplace(name, static_cast<ModuleId>(graph_.modules.size()));
    if (inserted) {
      graph_.modules.emplace_back().name = name;
      notes_.emplace_back();
      to_describe_.push_back(at->second);
    }
    return at->second;
  }

  void ask_for(const Request& request) {
    const auto resolved = index_.resolve(request.name);
    const bool found = resolved && !resolved->empty();
    const std::vector<std::string> names =
        found ? *resolved : std::vector<std::string>{request.name};
    for (const std::string& name : names) {
      const ModuleId id = id_of(name);
      Module& module = graph_.modules[id];
      if (!module.requested) {
        module.requested = true;
        module.origin = request.origin;
      }
      if (!found && !notes_[id].described) {
        notes_[id].described = true;
        module.decided = resolved ? Ending{Outcome::kMissing, 0, {}, "not a module of this kernel"}
                                  : Ending{Outcome::kFailed,
                                           resolved.error().error_number,
                                           {},
                                           resolved.error().message()};
      }
    }
  }

  void describe(ModuleId id) {
    Notes& notes = notes_[id];
    if (!notes.described) {
      notes.described = true;
      auto facts = index_.describe(graph_.modules[id].name);
      if (!facts) {
        const core::Error& error = facts.error();
        graph_.modules[id].decided =
            error.error_number == ENOENT
                ? Ending{Outcome::kMissing, 0, {}, "not a module of this kernel"}
                : Ending{Outcome::kFailed, error.error_number, {}, error.message()};
        return;
      }
      notes.facts = std::move(*facts);
    }
    if (decide(id)) {
      return;
    }
    expand(id);
  }

  /// Settles what needs no loading. Returns whether the module's needs are of no interest.
  bool decide(ModuleId id) {
    Module& module = graph_.modules[id];
    const Notes& notes = notes_[id];
    const os::ModuleFacts& facts = notes.facts;
    if (module.decided && module.decided->outcome != Outcome::kDenied) {
      return true;
    }
    module.decided.reset();
    const auto deny = [&module](std::string_view why) {
      module.decided = Ending{Outcome::kDenied, 0, {}, std::string(why)};
    };
    if (facts.state == os::ModuleState::kLive) {
      module.decided = Ending{Outcome::kAlreadyLive, 0, {}, {}};
    } else if (facts.state == os::ModuleState::kBuiltin) {
      module.decided = Ending{Outcome::kBuiltin, 0, {}, {}};
    } else if (facts.state != os::ModuleState::kAbsent) {
      module.coming = true;
      return true;
    } else if (input_.kernel_blacklist.contains(module.name)) {
      deny("module_blacklist= on the kernel command line");
    } else if (os::is_denial(facts.install_command)) {
      deny("install command in modprobe.d: " + core::printable(facts.install_command));
    } else if (facts.deny_listed && !notes.needed_hard) {
      deny("blacklist in modprobe.d or on the kernel command line");
    }
    return module.decided.has_value();
  }

  void expand(ModuleId id) {
    if (std::exchange(notes_[id].expanded, true)) {
      return;
    }
    const os::ModuleFacts facts = std::move(notes_[id].facts);
    for (const std::string& name : facts.hard) {
      const ModuleId on = id_of(name);
      if (!std::exchange(notes_[on].needed_hard, true)) {
        // A deny list does not count any more.
        to_describe_.push_back(on);
      }
      graph_.modules[id].needs.push_back({on, Need::kHard});
    }
    for (const std::string& name : facts.soft_before) {
      const ModuleId on = id_of(name);
      notes_[on].needed_softly = true;
      graph_.modules[id].needs.push_back({on, Need::kSoft});
    }
    for (const std::string& name : facts.soft_after) {
      notes_[id_of(name)].posted_by.push_back(id);
    }
    if (!facts.weak.empty()) {
      weak_.emplace_back(id, facts.weak);
    }
    Module& module = graph_.modules[id];
    module.path = facts.path;
    module.options = facts.options;
    module.install_command = facts.install_command;
    module.cost = facts.file_size;  // bytes until estimate_costs()
  }

  /// A module that only one other asked for afterwards stands and falls with it; for any other the
  /// wish is a matter of order.
  void connect_posts() {
    for (ModuleId id = 0; id < notes_.size(); ++id) {
      const Notes& notes = notes_[id];
      const bool alone = notes.posted_by.size() == 1 && !graph_.modules[id].requested &&
                         !notes.needed_hard && !notes.needed_softly;
      for (const ModuleId owner : notes.posted_by) {
        graph_.modules[id].needs.push_back({owner, alone ? Need::kPost : Need::kSoft});
      }
    }
  }

  /// What no hard dependency connects to a name in a list.
  void mark_dispensable() {
    std::vector<ModuleId> reached;
    for (ModuleId id = 0; id < graph_.modules.size(); ++id) {
      graph_.modules[id].dispensable = !graph_.modules[id].requested;
      if (graph_.modules[id].requested) {
        reached.push_back(id);
      }
    }
    while (!reached.empty()) {
      const ModuleId id = reached.back();
      reached.pop_back();
      for (const Edge& edge : graph_.modules[id].needs) {
        if (edge.need == Need::kHard && std::exchange(graph_.modules[edge.on].dispensable, false)) {
          reached.push_back(edge.on);
        }
      }
    }
  }

  void connect_weak() {
    for (const auto& [id, names] : weak_) {
      for (const std::string& name : names) {
        if (const auto other = ids_.find(name); other != ids_.end()) {
          graph_.modules[id].needs.push_back({other->second, Need::kWeak});
        }
      }
    }
  }

  /// Turns file sizes into microseconds: measured ones where there are any, the others by the
  /// measured modules' median rate (one module that sleeps in its init says nothing on others).
  void estimate_costs() {
    std::vector<std::uint64_t> rates;
    for (const Module& module : graph_.modules) {
      const auto time = input_.times.find(module.name);
      if (time != input_.times.end() && module.cost >= kKiB) {
        rates.push_back(time->second / (module.cost / kKiB));
      }
    }
    std::uint64_t per_kib = kMicrosecondsPerKiB;
    if (!rates.empty()) {
      const auto median = rates.begin() + static_cast<std::ptrdiff_t>((rates.size() - 1) / 2);
      std::nth_element(rates.begin(), median, rates.end());
      per_kib = std::max<std::uint64_t>(*median, 1);
    }
    for (Module& module : graph_.modules) {
      const auto time = input_.times.find(module.name);
      module.cost =
          time != input_.times.end() ? time->second : module.cost / kKiB * per_kib + per_kib;
    }
  }

  const PlanInput& input_;
  os::ModuleIndex& index_;
  Graph graph_;
  std::vector<Notes> notes_;  ///< same index as graph_.modules
  std::unordered_map<std::string, ModuleId> ids_;
  std::vector<ModuleId> to_describe_;
  std::vector<std::pair<ModuleId, std::vector<std::string>>> weak_;
};

}  // namespace

Graph expand(const PlanInput& input, os::ModuleIndex& index) {
  return Expansion(input, index).run();
}

}  // namespace rdmaboot::load_modules
