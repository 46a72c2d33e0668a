// SPDX-License-Identifier: BSD-2-Clause
#include "wait-online/report.hpp"

#include <nlohmann/json.hpp>

#include "core/text.hpp"

namespace rdmaboot::wait_online {
namespace {

/// Ports that one line names; systemd and a terminal show no more than a line.
constexpr std::size_t kNamedPorts = 3;

nlohmann::json text_or_null(const std::string& text) {
  return text.empty() ? nlohmann::json() : nlohmann::json(core::printable(text));
}

}  // namespace

std::string describe(const Line& line) {
  std::string text = subject_of(line) + ": " + std::string(name_of(line.verdict.readiness));
  if (!line.verdict.missing.empty()) {
    text += ": " + line.verdict.missing;
  }
  return text;
}

std::string summary(const Evaluation& evaluation) {
  std::string text;
  std::size_t missing = 0;
  for (const Line& line : evaluation.lines) {
    if (line.verdict.readiness == device::Readiness::kReady) {
      continue;
    }
    if (++missing <= kNamedPorts) {
      text += (text.empty() ? "" : "; ") + describe(line);
    }
  }
  if (missing > kNamedPorts) {
    text += "; and " + std::to_string(missing - kNamedPorts) + " more";
  }
  return core::printable(text, text.size());
}

std::string to_json(const Evaluation& evaluation, device::Level level,
                    std::chrono::milliseconds waited) {
  nlohmann::json ports = nlohmann::json::array();
  for (const Line& line : evaluation.lines) {
    nlohmann::json port;
    port["target"] = core::printable(line.target);
    port["device"] = text_or_null(line.device);
    port["port"] = line.port ? nlohmann::json(line.port->value) : nlohmann::json();
    port["status"] = name_of(line.verdict.readiness);
    port["missing"] = text_or_null(line.verdict.missing);
    ports.push_back(std::move(port));
  }
  nlohmann::json answer;
  answer["status"] = name_of(evaluation.readiness);
  answer["level"] = name_of(level);
  answer["waited_ms"] = waited.count();
  answer["ports"] = std::move(ports);
  return answer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

int exit_status(device::Readiness readiness) {
  switch (readiness) {
    case device::Readiness::kReady:
      return 0;
    case device::Readiness::kNotYet:
      return 1;
    case device::Readiness::kBroken:
      break;
  }
  return 2;
}

}  // namespace rdmaboot::wait_online
