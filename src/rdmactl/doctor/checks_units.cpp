// SPDX-License-Identifier: BSD-2-Clause
// Units, boot layers, limits of locked memory.
#include <algorithm>

#include "rdmactl/doctor/checks.hpp"
#include "rdmactl/doctor/ours.hpp"

namespace rdmaboot::rdmactl::doctor {
namespace {

bool is_ours(std::string_view unit) {
  const std::string name = template_of(unit);
  return std::find(kUnits.begin(), kUnits.end(), name) != kUnits.end();
}

bool exists(const Examined& examined, std::string_view unit) {
  return examined.unit_names.contains(unit) || examined.unit_names.contains(template_of(unit));
}

std::string amount(std::uint64_t bytes) {
  constexpr std::uint64_t kMiB = 1ULL << 20U;
  constexpr std::uint64_t kKiB = 1ULL << 10U;
  return bytes >= kMiB ? std::to_string(bytes / kMiB) + " MiB"
                       : std::to_string(bytes / kKiB) + " KiB";
}

/// Whether a unit is started after something of RDMA that exists: it uses RDMA.
bool uses_rdma(const Examined& examined, const UnitFile& unit) {
  const auto is_one = [&](const std::string& name) {
    return is_rdma_name(name) && exists(examined, name);
  };
  return std::any_of(unit.after.begin(), unit.after.end(), is_one) ||
         std::any_of(unit.needs.begin(), unit.needs.end(), is_one);
}

}  // namespace

Findings check_units_missing(const Examined& examined) {
  Findings findings;
  for (const std::string_view unit : kUnits) {
    if (!examined.unit_names.contains(unit)) {
      findings.push_back({std::string(unit), "It is in none of systemd's directories.",
                          "Install the package rdma-boot again."});
    }
  }
  return findings;
}

Findings check_units_overridden(const Examined& examined) {
  Findings findings;
  for (const auto& [name, unit] : examined.units) {
    if (!is_ours(name)) {
      continue;
    }
    if (unit.masked) {
      findings.push_back({name, unit.path + " masks it.", "systemctl unmask " + name});
    } else if (unit.overridden) {
      findings.push_back({name, unit.path + " is used in place of the package's.",
                          "Remove it and run systemctl daemon-reload; put your changes into a "
                          "drop-in (systemctl edit " +
                              name + ")."});
    }
  }
  return findings;
}

Findings check_units_disabled(const Examined& examined) {
  Findings findings;
  for (const std::string_view name : kEnabledUnits) {
    const auto unit = examined.units.find(name);
    const bool masked = unit != examined.units.end() && unit->second.masked;
    if (unit != examined.units.end() && !masked && !examined.enabled.contains(name)) {
      findings.push_back({std::string(name), "No sysinit.target.wants directory has a link to it.",
                          "systemctl enable " + std::string(name)});
    }
  }
  return findings;
}

Findings check_units_failed(const Examined& examined) {
  Findings findings;
  for (const auto& [unit, state] : examined.live.unit_states) {
    if (state == "failed") {
      findings.push_back(
          {unit, "systemd says that it has failed.",
           "Read journalctl -b -u " + unit + ", mend it, then systemctl restart " + unit + "."});
    }
  }
  return findings;
}

Findings check_unit_order(const Examined& examined) {
  Findings findings;
  const auto is_missing = [&](const std::string& name) {
    return is_rdma_name(name) && !exists(examined, name);
  };
  for (const auto& [name, unit] : examined.units) {
    if (is_ours(name) || unit.masked) {
      continue;
    }
    // Orders after several, of which some exist, are how units serve many distributions.
    const auto ordered = std::find_if(unit.after.begin(), unit.after.end(), is_missing);
    const auto needed = std::find_if(unit.needs.begin(), unit.needs.end(), is_missing);
    if (needed != unit.needs.end()) {
      findings.push_back({name,
                          unit.path + " requires " + *needed +
                              ", which does not exist: it "
                              "cannot start.",
                          "systemctl edit " + name +
                              ": Requires=rdma-hw.target and "
                              "After=rdma-hw.target; take the other name out of the unit."});
    } else if (ordered != unit.after.end() && !uses_rdma(examined, unit)) {
      findings.push_back({name,
                          unit.path + " is ordered on " + *ordered +
                              ", which does not exist, so it waits for nothing.",
                          "systemctl edit " + name +
                              ": After=rdma-hw.target (the modules are "
                              "loaded) or rdma-online.target (the ports are ready)."});
    }
  }
  return findings;
}

Findings check_two_layers(const Examined& examined) {
  Findings findings;
  for (const std::string& trace : examined.foreign) {
    const std::size_t colon = trace.find(':');
    findings.push_back({trace.substr(0, colon), trace,
                        "Keep one: purge the package that it belongs to, or disable its unit and "
                        "remove the file."});
  }
  return findings;
}

Findings check_memlock_users(const Examined& examined) {
  Findings findings;
  const MemoryLocks& locks = examined.locks;
  if (examined.devices.devices.empty() ||
      std::max(locks.users, locks.services) >= kEnoughMemoryLock) {
    return findings;
  }
  findings.push_back(
      {"memlock",
       (locks.users_origin.empty() ? "Nothing in /etc/security/limits.conf or limits.d sets it, so "
                                     "the limit is " +
                                         amount(locks.users)
                                   : locks.users_origin + " sets it to " + amount(locks.users)) +
           ". Programs that register memory (MPI, UCX, NCCL) fail with ENOMEM.",
       "Write \"* - memlock unlimited\" (or the name of a group in place of *) to "
       "/etc/security/limits.d/rdma.conf; it counts from the next login."});
  return findings;
}

Findings check_memlock_services(const Examined& examined) {
  Findings findings;
  for (const auto& [name, unit] : examined.units) {
    if (is_ours(name) || is_rdma_name(name) || unit.masked || unit.exec.empty() ||
        !uses_rdma(examined, unit)) {
      continue;
    }
    // root has CAP_IPC_LOCK, for which there is no limit, unless the unit takes it away.
    const bool is_root = unit.user.empty() || unit.user == "root" || unit.user == "0";
    if (unit.may_lock || (is_root && !unit.bounded)) {
      continue;
    }
    const std::uint64_t limit = unit.memory_lock.value_or(examined.locks.services);
    if (limit < kEnoughMemoryLock) {
      findings.push_back({name,
                          unit.path + " uses RDMA" +
                              (is_root ? " without CAP_IPC_LOCK" : " as user " + unit.user) +
                              " and may lock " + amount(limit) + " of memory.",
                          "systemctl edit " + name + ": [Service] LimitMEMLOCK=infinity"});
    }
  }
  return findings;
}

}  // namespace rdmaboot::rdmactl::doctor
