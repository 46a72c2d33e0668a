// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Reading the answer of a daemon without trusting its form. Pure.

#include <string>

#include <nlohmann/json.hpp>

namespace rdmaboot::rdmactl {

/// The member of that name; null if there is none, or if `object` is none.
[[nodiscard]] const nlohmann::json& member(const nlohmann::json& object, const char* name);

/// A string made printable, or an unsigned number; "" for everything else.
[[nodiscard]] std::string text_of(const nlohmann::json& value);

}  // namespace rdmaboot::rdmactl
