// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Where the engine's short-lived objects live: in slabs that are kept, so that steady state
// allocates nothing, under handles that are never used twice, and in lists through themselves; and
// a queue of values that keeps its room.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace rdmaboot::engine {

/// A place in a list, inside the object that is in it.
template <typename T>
struct Link {
  T* before = nullptr;
  T* after = nullptr;
  bool linked = false;
};

/// First come, first served; any place may leave. Owns nothing, allocates nothing.
template <typename T, Link<T> T::*kLink>
class List {
 public:
  [[nodiscard]] bool empty() const { return first_ == nullptr; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] T* front() const { return first_; }
  [[nodiscard]] static T* next(const T& item) { return (item.*kLink).after; }
  [[nodiscard]] static bool contains(const T& item) { return (item.*kLink).linked; }

  void push_back(T& item) {
    item.*kLink = {last_, nullptr, true};
    (last_ == nullptr ? first_ : (last_->*kLink).after) = &item;
    last_ = &item;
    ++size_;
  }
  void push_front(T& item) {
    item.*kLink = {nullptr, first_, true};
    (first_ == nullptr ? last_ : (first_->*kLink).before) = &item;
    first_ = &item;
    ++size_;
  }
  /// No effect if it is in no list.
  void remove(T& item) {
    Link<T>& link = item.*kLink;
    if (!link.linked) {
      return;
    }
    (link.before == nullptr ? first_ : (link.before->*kLink).after) = link.after;
    (link.after == nullptr ? last_ : (link.after->*kLink).before) = link.before;
    link = {};
    --size_;
  }
  [[nodiscard]] T* pop_front() {
    T* item = first_;
    if (item != nullptr) {
      remove(*item);
    }
    return item;
  }

 private:
  T* first_ = nullptr;
  T* last_ = nullptr;
  std::size_t size_ = 0;
};

/// First in, first out. Allocates only when it holds more than ever before (a std::deque does so
/// with every few values that pass through).
template <typename T>
class Ring {
 public:
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t size() const { return size_; }
  void push(const T& value) {
    if (size_ == places_.size()) {
      // What is behind the end comes to the front, then the rest, then as much room again.
      std::rotate(places_.begin(), places_.begin() + static_cast<std::ptrdiff_t>(first_),
                  places_.end());
      first_ = 0;
      places_.resize(std::max<std::size_t>(kLeast, 2 * size_));
    }
    places_[(first_ + size_++) % places_.size()] = value;
  }
  /// Not of an empty one.
  [[nodiscard]] T pop() {
    T value = places_[first_];
    first_ = (first_ + 1) % places_.size();
    --size_;
    return value;
  }

 private:
  static constexpr std::size_t kLeast = 16;
  std::vector<T> places_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

/// Objects of one type. T has a public `std::uint64_t handle`, which take() sets.
template <typename T>
class Slab {
 public:
  static constexpr std::size_t kChunk = 64;

  /// A fresh object. @return null if `limit` are taken already
  [[nodiscard]] T* take(std::size_t limit) { return taken_ < limit ? &take() : nullptr; }
  [[nodiscard]] T& take() {
    if (free_.empty()) {
      grow();
    }
    const std::uint32_t index = free_.back();
    free_.pop_back();
    ++taken_;
    Place& place = at(index);
    place.taken = true;
    place.object.handle = (std::uint64_t{place.generation} << 32) | index;
    return place.object;
  }

  /// Its handle finds nothing from now on; the object is as new.
  void give(T& object) {
    const auto index = static_cast<std::uint32_t>(object.handle);
    Place& place = at(index);
    place.object = T{};
    place.taken = false;
    place.generation = place.generation == UINT32_MAX ? 1 : place.generation + 1;
    free_.push_back(index);
    --taken_;
  }

  /// @return null if nobody has, or no longer has, this handle
  [[nodiscard]] T* find(std::uint64_t handle) {
    const auto index = static_cast<std::uint32_t>(handle);
    if (index >= chunks_.size() * kChunk) {
      return nullptr;
    }
    Place& place = at(index);
    return place.taken && place.object.handle == handle ? &place.object : nullptr;
  }

  [[nodiscard]] std::size_t taken() const { return taken_; }

 private:
  struct Place {
    T object{};
    std::uint32_t generation = 1;
    bool taken = false;
  };
  Place& at(std::uint32_t index) { return chunks_[index / kChunk][index % kChunk]; }
  void grow() {
    const auto first = static_cast<std::uint32_t>(chunks_.size() * kChunk);
    chunks_.push_back(std::make_unique<Place[]>(kChunk));
    free_.reserve(chunks_.size() * kChunk);
    for (std::uint32_t i = kChunk; i-- > 0;) {
      free_.push_back(first + i);
    }
  }

  std::vector<std::unique_ptr<Place[]>> chunks_;
  std::vector<std::uint32_t> free_;
  std::size_t taken_ = 0;
};

}  // namespace rdmaboot::engine
