// SPDX-License-Identifier: BSD-2-Clause
#include "load-modules/lists.hpp"

#include <cerrno>
#include <iterator>
#include <utility>

#include <sys/stat.h>

#include "core/config.hpp"
#include "core/file.hpp"

namespace rdmaboot::load_modules {
namespace {

template <typename T>
void append(std::vector<T>& to, std::vector<T>&& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

/// A link that leads nowhere or to itself is an admin's mistake: it must not look like a list that
/// nobody wrote, nor let a lower layer take its place silently.
void report_bad_links(const core::ConfigLayers& layers, const std::string& file,
                      std::vector<core::Error>& errors) {
  for (const std::string& directory : layers.directories) {
    std::string path = directory;
    path.append("/").append(file);
    struct stat status {};
    if (::lstat(path.c_str(), &status) == 0 && ::stat(path.c_str(), &status) != 0) {
      errors.push_back(
          core::fail("open", path, errno, "expected a file, not a broken link").value());
    }
  }
}

void gather(const std::string& name, const std::string& root, GatheredLists& into) {
  const core::ConfigLayers layers = core::ConfigLayers::rdma("modules", root);
  const std::string file = name + ".conf";
  core::ConfigFiles found = core::find_config(layers, file);
  append(into.errors, std::move(found.errors));
  if (found.masked) {
    into.masked.push_back(name);
    return;
  }
  const std::size_t before = into.errors.size();
  report_bad_links(layers, file, into.errors);
  if (found.paths.empty() && into.errors.size() == before) {
    std::string looked;
    for (const std::string& directory : layers.directories) {
      looked.append(looked.empty() ? "" : ", ").append(directory).append("/").append(file);
    }
    into.errors.push_back(core::fail("find list", name, ENOENT, "looked for " + looked).value());
  }
  for (const std::string& path : found.paths) {
    const auto text = core::read_file(path);
    if (!text) {
      into.errors.push_back(text.error());
      continue;
    }
    ModuleList list = parse_list(*text, path);
    append(into.requests, std::move(list.requests));
    append(into.warnings, std::move(list.errors));
  }
}

}  // namespace

GatheredLists gather_lists(std::span<const std::string> names, const std::string& root) {
  GatheredLists gathered;
  for (const std::string& name : names) {
    gather(name, root, gathered);
  }
  return gathered;
}

}  // namespace rdmaboot::load_modules
