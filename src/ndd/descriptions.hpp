// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Which device should have which description, and what to write next. Pure: facts, outcomes and the
// time in, decisions out.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.hpp"
#include "device/description_config.hpp"

namespace rdmaboot::ndd {

/// A device as it is now.
struct DeviceFacts {
  std::string name;
  /// Stays the same when the device is renamed, and is never used again for another one.
  std::optional<std::uint32_t> index;
  std::string board_id;  ///< empty where the driver has none
};

/// What became of one attempt.
enum class Outcome {
  kSet,          ///< read back as wanted
  kGone,         ///< no such device any more
  kUnsupported,  ///< the driver has no description that can be changed
  kBusy,         ///< EBUSY, EAGAIN: worth another attempt
  kDiffers,      ///< written, but another text was read back: worth another attempt
  kFailed,       ///< anything else
};

/// What follows from an outcome.
enum class Verdict {
  kDone,       ///< the device has its description
  kForgotten,  ///< the device is gone
  kSkipped,    ///< the device cannot have one
  kLater,      ///< there will be another attempt
  kGaveUp,     ///< no more attempts until the device or its text changes
};

/// What should be written now.
struct Write {
  std::string device;
  std::string text;  ///< 1 to device::kDescriptionLimit bytes
};

/// Pause before the second attempt; doubled for each further one.
inline constexpr core::Microseconds kFirstPause = std::chrono::milliseconds(50);
inline constexpr core::Microseconds kLongestPause = std::chrono::seconds(10);
/// After so many attempts (some 40 seconds) a device is left as it is.
inline constexpr unsigned kMostAttempts = 12;
/// Longest text of status() (bytes); devices that do not fit are counted.
inline constexpr std::size_t kStatusLimit = 400;

/// All devices and their descriptions. Not thread-safe.
class Descriptions {
 public:
  /// Takes other formats; devices whose text changes by that are written anew.
  void use(device::DescriptionConfig config);
  /// Takes the host name; devices whose text changes by that are written anew.
  void hostname_is(std::string hostname);
  /// Takes the list of all devices: new ones are to be written, those that are not in it are
  /// forgotten. A device with the same index (or, without an index, the same name) is the same one,
  /// and is written only if its text changed.
  void devices_are(std::vector<DeviceFacts> devices);
  /// Something happened to the device of this name: look at it again, as at a new one. A pause
  /// between two attempts is kept.
  void check(const std::string& name);

  /// What to write now, or nothing. Each has to be answered with record().
  [[nodiscard]] std::optional<Write> next(core::Microseconds now) const;
  /// When next() will have something, or nothing if only an event can bring that.
  [[nodiscard]] std::optional<core::Microseconds> next_attempt() const;
  /// Takes the outcome of a write.
  Verdict record(const Write& write, Outcome outcome, core::Microseconds now);

  /// What is set, in one line for a person.
  [[nodiscard]] std::string status() const;

 private:
  enum class State { kWanted, kSet, kUnsupported, kFailed };
  struct Entry {
    DeviceFacts facts;
    std::string text;
    State state = State::kWanted;
    unsigned attempts = 0;
    core::Microseconds due{0};
  };

  void want(Entry& entry) const;
  void refresh(Entry& entry) const;
  Entry* find(const std::string& name);

  device::DescriptionConfig config_;
  std::string hostname_;
  std::vector<Entry> entries_;
};

}  // namespace rdmaboot::ndd
