// SPDX-License-Identifier: BSD-2-Clause
#include "load-modules/lists.hpp"

#include <cerrno>
#include <iterator>
#include <utility>

#include "core/config.hpp"
#include "core/file.hpp"

namespace rdmaboot::load_modules {
namespace {

template <typename T>
void append(std::vector<T>& to, std::vector<T>&& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

void gather(const std::string& name, const std::string& root, GatheredLists& into) {
  const core::ConfigLayers layers = core::ConfigLayers::rdma("modules", root);
  const std::string file = name + ".conf";
  core::ConfigFiles found = core::find_config(layers, file);
  const bool told = !found.errors.empty();
  append(into.errors, std::move(found.errors));
  if (found.masked) {
    into.masked.push_back(name);
    return;
  }
  if (found.paths.empty() && !told) {
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
