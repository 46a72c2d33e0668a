// SPDX-License-Identifier: BSD-2-Clause
#include "link/plan.hpp"

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

namespace rdmaboot::link {
namespace {

using device::DeclaredLink;
using device::SoftLinkType;

std::string base_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

/// Why a link of this type cannot be made at all; empty if it can.
std::string obstacle(SoftLinkType type, const TypeFact& fact) {
  const std::string module(device::module_of(type));
  switch (fact.availability) {
    case os::Availability::kLive:
      return {};
    case os::Availability::kLoadable:
      return fact.may_load
                 ? ""
                 : "module " + module + " is not loaded, and rdma_boot.load=0 says to load none";
    case os::Availability::kDenied:
      return "module " + module + " is denied, by modprobe.d or the kernel command line";
    case os::Availability::kMissing:
      break;
  }
  return type == SoftLinkType::kSiw
             ? "this kernel has no soft-iWARP (module siw): Debian builds its kernels without it; "
               "one with CONFIG_RDMA_SIW=m has it, or the module built for this kernel"
             : "this kernel has no soft-RoCE (module rdma_rxe): one with CONFIG_RDMA_RXE=m has it; "
               "kernels for virtual machines often leave it out";
}

/// Goes through what is there and what is declared, once each.
class Planner {
 public:
  explicit Planner(const Facts& facts) : facts_(facts) {}

  std::vector<Step> run() {
    for (const MadeLink& made : facts_.made) {
      review(made);
    }
    for (const DeclaredLink& link : facts_.declared.links) {
      if (!settled_.contains(link.name)) {
        provide(link);
      }
    }
    return std::move(steps_);
  }

 private:
  const DeclaredLink* declaration_of(const std::string& name) const {
    const auto& links = facts_.declared.links;
    const auto found = std::find_if(links.begin(), links.end(),
                                    [&](const DeclaredLink& link) { return link.name == name; });
    return found == links.end() ? nullptr : &*found;
  }

  /// The device that carries a link of `type` on the interface, unless it is to be removed.
  const ExistingDevice* carrier(SoftLinkType type, const std::string& netdev) const {
    const auto found =
        std::find_if(facts_.devices.begin(), facts_.devices.end(), [&](const ExistingDevice& d) {
          return d.type == type && d.netdev == netdev && !going_.contains(d.index);
        });
    return found == facts_.devices.end() ? nullptr : &*found;
  }

  std::vector<const os::NetworkInterface*> meant_by(const DeclaredLink& link) const {
    std::vector<const os::NetworkInterface*> meant;
    for (const os::NetworkInterface& netdev : facts_.netdevs) {
      if (device::matches(link.match, netdev)) {
        meant.push_back(&netdev);
      }
    }
    return meant;
  }

  /// Whether the link may be made on the interface; `self` does not stand in its own way.
  bool is_free(SoftLinkType type, const std::string& netdev, std::uint32_t self) const {
    const ExistingDevice* const device = carrier(type, netdev);
    return (device == nullptr || device->index == self) && !claimed_.contains({type, netdev});
  }

  /// What becomes of a link that was made earlier.
  void review(const MadeLink& made) {
    const auto device =
        std::find_if(facts_.devices.begin(), facts_.devices.end(), [&](const ExistingDevice& d) {
          return d.index == made.device_index && d.type == made.type;
        });
    if (device == facts_.devices.end()) {
      steps_.push_back({Action::kForget, made.name, made.type, made.netdev, made.device_index,
                        made.file, "it is gone"});
      return;
    }
    const auto add = [&](Action action, std::string reason) {
      steps_.push_back({action, made.name, made.type, device->netdev, device->index, made.file,
                        std::move(reason)});
      if (action == Action::kDelete) {
        going_.insert(device->index);
      } else {
        settled_.insert(made.name);
      }
    };
    const DeclaredLink* const link = declaration_of(made.name);
    if (link == nullptr) {
      const auto& unusable = facts_.declared.unusable;
      if (!facts_.declared.complete ||
          std::find(unusable.begin(), unusable.end(), made.file) != unusable.end()) {
        // A typing error must not take a device away from those who use it.
        add(Action::kKeep, "its declaration cannot be read, see the errors");
      } else {
        add(Action::kDelete, "no file declares it any more");
      }
      return;
    }
    if (link->type != made.type) {
      add(Action::kDelete, "it is declared with another type now");
      return;
    }
    const auto meant = meant_by(*link);
    if (std::any_of(meant.begin(), meant.end(), [&](const os::NetworkInterface* netdev) {
          return netdev->name == device->netdev;
        })) {
      add(Action::kKeep, "made by rdma-link");
      return;
    }
    const auto better =
        std::find_if(meant.begin(), meant.end(), [&](const os::NetworkInterface* netdev) {
          return is_free(made.type, netdev->name, device->index);
        });
    if (better != meant.end()) {
      add(Action::kDelete, "it belongs on " + (*better)->name);
      // One who asks for the new interface alone has to see this step too.
      steps_.back().netdev = (*better)->name;
    } else if (device->netdev != made.netdev) {
      add(Action::kKeep, "made by rdma-link; " + made.netdev + " is called " +
                             (device->netdev.empty() ? "otherwise" : device->netdev) + " now");
    } else {
      add(Action::kDelete, "it is not declared for " + made.netdev + " any more");
    }
  }

  /// A declared link that rdma-link has not made yet.
  void provide(const DeclaredLink& link) {
    Step step;
    step.link = link.name;
    step.type = link.type;
    step.file = base_name(link.file);
    const auto meant = meant_by(link);
    decide(link, meant, step);
    steps_.push_back(std::move(step));
  }

  void decide(const DeclaredLink& link, const std::vector<const os::NetworkInterface*>& meant,
              Step& step) {
    step.netdev = meant.empty() ? std::string() : meant.front()->name;
    const auto same = std::find_if(
        facts_.devices.begin(), facts_.devices.end(),
        [&](const ExistingDevice& d) { return d.name == link.name && !going_.contains(d.index); });
    if (same != facts_.devices.end()) {
      const bool fits = same->type == link.type &&
                        std::any_of(meant.begin(), meant.end(), [&](const auto* netdev) {
                          return netdev->name == same->netdev;
                        });
      step.device_index = same->index;
      if (fits) {
        step.action = Action::kAdopt;
        step.netdev = same->netdev;
        step.reason = "made by somebody else; it stays when the declaration goes";
      } else {
        step.action = Action::kRefuse;
        step.reason = "there is another device of this name, " + description(*same) +
                      ", which rdma-link did not make";
      }
      return;
    }
    const auto type = facts_.types.find(link.type);
    step.reason = obstacle(link.type, type == facts_.types.end() ? TypeFact{} : type->second);
    if (!step.reason.empty()) {
      step.action = Action::kRefuse;
      return;
    }
    if (meant.empty()) {
      step.action = Action::kWait;
      step.reason = "no network interface that it is declared for is there";
      return;
    }
    const auto free = std::find_if(meant.begin(), meant.end(), [&](const auto* netdev) {
      return is_free(link.type, netdev->name, kNobody);
    });
    if (free == meant.end()) {
      step.action = Action::kRefuse;
      step.reason = occupied(link.type, meant.front()->name);
      return;
    }
    step.action = Action::kCreate;
    step.netdev = (*free)->name;
    if (meant.size() > 1) {
      step.reason = std::to_string(meant.size()) + " interfaces fit";
    }
    claimed_.insert({link.type, step.netdev});
  }

  std::string occupied(SoftLinkType type, const std::string& netdev) const {
    const ExistingDevice* const device = carrier(type, netdev);
    const std::string name(device::name_of(type));
    return netdev + " has " +
           (device != nullptr ? "the " + name + " link " + device->name
                              : "another " + name + " link") +
           " already; the kernel makes one of a type on an interface";
  }

  static std::string description(const ExistingDevice& device) {
    if (!device.type) {
      return "hardware";
    }
    return std::string(device::name_of(*device.type)) +
           (device.netdev.empty() ? "" : " on " + device.netdev);
  }

  // Device indices are counted from 0 and stop below this (xa_limit_31b).
  static constexpr std::uint32_t kNobody = UINT32_MAX;

  const Facts& facts_;
  std::vector<Step> steps_;
  std::set<std::uint32_t> going_;
  std::set<std::string> settled_;
  std::set<std::pair<SoftLinkType, std::string>> claimed_;
};

}  // namespace

std::string_view name_of(Action action) {
  switch (action) {
    case Action::kDelete:
      return "delete";
    case Action::kForget:
      return "forget";
    case Action::kCreate:
      return "create";
    case Action::kKeep:
      return "keep";
    case Action::kAdopt:
      return "adopt";
    case Action::kWait:
      return "wait";
    case Action::kRefuse:
      break;
  }
  return "refuse";
}

std::vector<Step> make_plan(const Facts& facts) {
  return Planner(facts).run();
}

std::string_view explain_refusal(SoftLinkType type, int error_number) {
  switch (error_number) {
    case EINVAL:
      return "the running kernel does not know the type";
    case ENODEV:
      return "the network interface has gone meanwhile";
    case ENFILE:
      return "there is another RDMA device of this name";
    case EEXIST:
      return "the network interface has a link of this type already";
    case EPERM:
      return type == SoftLinkType::kRxe
                 ? "making links needs root outside of a container, and soft-RoCE does not work on "
                   "a VLAN interface"
                 : "making links needs root outside of a container";
    default:
      return {};
  }
}

}  // namespace rdmaboot::link
