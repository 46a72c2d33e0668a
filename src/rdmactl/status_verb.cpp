// SPDX-License-Identifier: BSD-2-Clause
// rdmactl status [DEVICE]

#include <cerrno>
#include <iostream>
#include <memory>
#include <utility>

#include "core/text.hpp"
#include "device/host_facts.hpp"
#include "os/systemd_journal.hpp"
#include "program/log.hpp"
#include "rdmactl/command_line.hpp"
#include "rdmactl/device_details.hpp"
#include "rdmactl/status.hpp"
#include "rdmactl/status_json.hpp"

namespace rdmaboot::rdmactl {
namespace {

struct Options {
  std::string device;
  std::string root;
  bool json = false;
};

/// Names of all devices, for a message.
std::string names_in(const device::Snapshot& snapshot) {
  std::string names;
  for (const device::Device& device : snapshot.devices) {
    names += (names.empty() ? "" : ", ") + core::printable(device.name);
  }
  return names.empty() ? "there is no RDMA device" : "there are " + names;
}

/// All about one device, with what the journal of this machine has of it.
DeviceDetails details_of(const device::Device& device, const std::string& root) {
  DeviceDetails details = read_details(device, root);
  if (!root.empty()) {
    return details;
  }
  auto entries = os::read_journal(journal_about(device));
  if (entries) {
    details.journal = std::move(*entries);
  } else {
    details.notes.push_back(entries.error());
  }
  if (auto access = os::journal_access(); !access && access.error().error_number == EACCES) {
    details.notes.push_back(access.error());
  }
  return details;
}

core::Result<int> show(const Options& options) {
  device::SnapshotOptions wanted;
  wanted.root = options.root;
  if (!options.json && options.device.empty()) {
    wanted.most_pkeys = 1;  // the table of ports only tells whether there is one
  }
  auto snapshot = device::take_snapshot(wanted);
  if (!snapshot) {
    return tl::make_unexpected(std::move(snapshot).error());
  }
  if (!options.device.empty()) {
    if (snapshot->find(options.device) == nullptr) {
      return core::fail("find RDMA device", core::printable(options.device), 0,
                        names_in(*snapshot));
    }
    std::erase_if(snapshot->devices, [&](const auto& one) { return one.name != options.device; });
  }
  std::vector<core::Error> unread;
  const device::HostFacts facts =
      options.root.empty()
          ? device::HostFactReader{}.read(*snapshot, device::Level::kAddress, unread)
          : device::HostFactReader::read_recorded(*snapshot, options.root);
  const std::vector<PortStatus> ports = judge_ports(*snapshot, facts);
  if (options.json) {
    nlohmann::json answer = status_json(*snapshot, ports);
    if (!options.device.empty()) {
      answer["details"] = details_json(details_of(snapshot->devices.front(), options.root));
    }
    std::cout << answer.dump(2) << '\n';
    return 0;
  }
  for (const core::Error& error : unread) {
    program::log(program::Level::kWarning, error.message());
  }
  const Terminal terminal = standard_output();
  std::cout << status_text(ports, terminal);
  if (!options.device.empty()) {
    const device::Device& device = snapshot->devices.front();
    const DeviceDetails details = details_of(device, options.root);
    std::cout << '\n' << details_text(device, ports, details, terminal) << std::flush;
    for (const core::Error& note : details.notes) {
      program::log(program::Level::kWarning, note.message());
    }
  }
  return 0;
}

}  // namespace

void add_status(CLI::App& program, Chosen& chosen) {
  const auto options = std::make_shared<Options>();
  CLI::App* const verb =
      program.add_subcommand("status", "How every port stands; with DEVICE, all about that one");
  verb->add_option("DEVICE", options->device, "Name of one RDMA device");
  verb->add_option("--root", options->root, "Show the machine whose tree was saved below DIR")
      ->type_name("DIR");
  verb->add_flag("--json", options->json, "Print JSON (docs/schemas/status.json)");
  verb->callback([options, &chosen] { chosen.action = [options] { return show(*options); }; });
}

}  // namespace rdmaboot::rdmactl
