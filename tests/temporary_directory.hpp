// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace rdmaboot::test {

/// A directory that is there for one test and gone with all it holds afterwards.
class TemporaryDirectory {
 public:
  TemporaryDirectory() : TemporaryDirectory(std::filesystem::temp_directory_path()) {}
  /// @param parent directory to make it in
  explicit TemporaryDirectory(const std::filesystem::path& parent) {
    std::string pattern = (parent / "rdma-boot-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
      throw std::runtime_error("mkdtemp " + pattern);
    }
    root_ = pattern;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }

  /// `relative` below the directory; "" is the directory itself.
  [[nodiscard]] std::string path(std::string_view relative) const {
    return relative.empty() ? root_.string() : (root_ / relative).string();
  }
  /// Writes a file, making its directories.
  void write(std::string_view relative, std::string_view content) const {
    const std::filesystem::path file = root_ / relative;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
  }
  /// Makes an empty directory with its parents.
  void make_directory(std::string_view relative) const {
    std::filesystem::create_directories(root_ / relative);
  }
  /// Makes a symbolic link to `target`.
  void link(std::string_view target, std::string_view relative) const {
    const std::filesystem::path file = root_ / relative;
    std::filesystem::create_directories(file.parent_path());
    std::filesystem::create_symlink(target, file);
  }

 private:
  std::filesystem::path root_;
};

}  // namespace rdmaboot::test
