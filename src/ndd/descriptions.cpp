// SPDX-License-Identifier: BSD-2-Clause
#include "ndd/descriptions.hpp"

#include <algorithm>
#include <utility>

#include "core/text.hpp"

namespace rdmaboot::ndd {
namespace {

bool is_same(const DeviceFacts& known, const DeviceFacts& seen) {
  return known.index && seen.index ? *known.index == *seen.index : known.name == seen.name;
}

core::Microseconds pause_after(unsigned attempts) {
  core::Microseconds pause = kFirstPause;
  for (unsigned done = 1; done < attempts && pause < kLongestPause; ++done) {
    pause *= 2;
  }
  return std::min(pause, kLongestPause);
}

}  // namespace

void Descriptions::want(Entry& entry) const {
  // The kernel never hears of a write of nothing: whatever is there stays.
  entry.state = entry.text.empty() ? State::kSet : State::kWanted;
  entry.attempts = 0;
  entry.due = core::Microseconds(0);
}

void Descriptions::refresh(Entry& entry) const {
  std::string text = config_.format_for(entry.facts.name, entry.facts.board_id)
                         .expand({hostname_, entry.facts.name, entry.facts.index});
  if (text == entry.text) {
    return;
  }
  entry.text = std::move(text);
  if (entry.state != State::kUnsupported) {
    want(entry);
  }
}

Descriptions::Entry* Descriptions::find(const std::string& name) {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.facts.name == name; });
  return found == entries_.end() ? nullptr : &*found;
}

void Descriptions::use(device::DescriptionConfig config) {
  config_ = std::move(config);
  for (Entry& entry : entries_) {
    refresh(entry);
  }
}

void Descriptions::hostname_is(std::string hostname) {
  hostname_ = std::move(hostname);
  for (Entry& entry : entries_) {
    refresh(entry);
  }
}

void Descriptions::devices_are(std::vector<DeviceFacts> devices) {
  std::vector<Entry> before = std::exchange(entries_, {});
  entries_.reserve(devices.size());
  for (DeviceFacts& device : devices) {
    const auto known = std::find_if(before.begin(), before.end(), [&](const Entry& entry) {
      return is_same(entry.facts, device);
    });
    if (known == before.end()) {
      Entry& fresh = entries_.emplace_back();
      fresh.facts = std::move(device);
      refresh(fresh);
      want(fresh);
      continue;
    }
    if (!device.index) {
      device.index = known->facts.index;  // not told this time
    }
    known->facts = std::move(device);
    refresh(*known);
    entries_.push_back(std::move(*known));
    before.erase(known);
  }
}

void Descriptions::check(const std::string& name) {
  Entry* const entry = find(name);
  if (entry != nullptr && entry->state != State::kWanted) {
    want(*entry);
  }
}

std::optional<Write> Descriptions::next(core::Microseconds now) const {
  for (const Entry& entry : entries_) {
    if (entry.state == State::kWanted && entry.due <= now) {
      return Write{entry.facts.name, entry.text};
    }
  }
  return std::nullopt;
}

std::optional<core::Microseconds> Descriptions::next_attempt() const {
  std::optional<core::Microseconds> soonest;
  for (const Entry& entry : entries_) {
    if (entry.state == State::kWanted && (!soonest || entry.due < *soonest)) {
      soonest = entry.due;
    }
  }
  return soonest;
}

Verdict Descriptions::record(const Write& write, Outcome outcome, core::Microseconds now) {
  Entry* const entry = find(write.device);
  if (entry == nullptr) {
    return Verdict::kForgotten;
  }
  switch (outcome) {
    case Outcome::kSet:
      entry->state = State::kSet;
      return Verdict::kDone;
    case Outcome::kGone:
      entries_.erase(entries_.begin() + (entry - entries_.data()));
      return Verdict::kForgotten;
    case Outcome::kUnsupported:
      entry->state = State::kUnsupported;
      return Verdict::kSkipped;
    case Outcome::kBusy:
    case Outcome::kDiffers:
      if (++entry->attempts < kMostAttempts) {
        entry->due = now + pause_after(entry->attempts);
        return Verdict::kLater;
      }
      break;
    case Outcome::kFailed:
      break;
  }
  entry->state = State::kFailed;
  return Verdict::kGaveUp;
}

std::string Descriptions::status() const {
  std::size_t set = 0;
  std::size_t unsupported = 0;
  std::size_t unnamed = 0;
  std::string names;
  for (const Entry& entry : entries_) {
    unsupported += entry.state == State::kUnsupported ? 1 : 0;
    if (entry.state != State::kSet) {
      continue;
    }
    ++set;
    const std::string one =
        core::printable(entry.facts.name) + " \"" + core::printable(entry.text) + "\"";
    if (names.size() + one.size() > kStatusLimit - 100) {
      ++unnamed;
      continue;
    }
    names += (names.empty() ? ": " : ", ") + one;
  }
  std::string text = std::to_string(set) + " of " + std::to_string(entries_.size()) +
                     (entries_.size() == 1 ? " device" : " devices") + " described" + names;
  if (unnamed > 0) {
    text += " and " + std::to_string(unnamed) + " more";
  }
  if (unsupported > 0) {
    text += "; " + std::to_string(unsupported) + " cannot be";
  }
  return text;
}

}  // namespace rdmaboot::ndd
