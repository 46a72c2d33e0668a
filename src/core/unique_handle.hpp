// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Ownership of C handles. Move-only, destroyed exactly once, never throwing.

#include <memory>
#include <utility>

#include <unistd.h>

namespace rdmaboot::core {

/// Deleter that calls the C library's own release function and ignores what it returns
/// (many *_unref functions return NULL).
template <auto Release>
struct Releaser {
  template <typename T>
  void operator()(T* handle) const noexcept {
    static_cast<void>(Release(handle));
  }
};

/// A C object released by `Release`: `using Udev = UniqueHandle<udev, udev_unref>;`
template <typename T, auto Release>
using UniqueHandle = std::unique_ptr<T, Releaser<Release>>;

/// A file descriptor that is closed once. Not thread-safe, like the descriptor's owner.
class UniqueFd {
 public:
  UniqueFd() noexcept = default;
  /// Takes ownership of `fd`; a negative value means "none".
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      reset(std::exchange(other.fd_, -1));
    }
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  /// The descriptor, or -1.
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
  /// Gives the descriptor up to the caller.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  /// Closes what is held and takes `fd`.
  void reset(int fd = -1) noexcept {
    if (fd_ >= 0) {
      ::close(fd_);
    }
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace rdmaboot::core
