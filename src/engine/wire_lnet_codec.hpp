// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The LNet header's bytes, for the codec's own files.

#include <cstddef>
#include <optional>

#include "engine/wire.hpp"

namespace rdmaboot::engine::wire {

/// Type numbers on the wire.
inline constexpr std::uint32_t kLnetAck = 0;
inline constexpr std::uint32_t kLnetPut = 1;
inline constexpr std::uint32_t kLnetGet = 2;
inline constexpr std::uint32_t kLnetReply = 3;
[[nodiscard]] std::uint32_t lnet_type(const LnetCommand& command);

/// What no LNet message of the kind that `carrier` carries may have, if anything: its type, or its
/// payload_length.
[[nodiscard]] std::optional<DecodeError> lnet_fault(Type carrier, std::uint32_t type,
                                                    std::uint32_t payload_length);

/// Reads kLnetHeaderBytes of a message of type `carrier`.
[[nodiscard]] std::optional<DecodeError> load_lnet(const std::byte* at, Type carrier,
                                                   LnetHeader& header);

/// Writes kLnetHeaderBytes, all of them.
void store_lnet(std::byte* at, const LnetHeader& header);

}  // namespace rdmaboot::engine::wire
