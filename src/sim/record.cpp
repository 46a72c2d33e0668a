// SPDX-License-Identifier: BSD-2-Clause
#include "sim/record.hpp"

namespace rdmaboot::sim {

std::string_view to_string(Fault fault) {
  switch (fault) {
    case Fault::kSendQueueFull:
      return "more sends posted than the queue holds";
    case Fault::kReceiveQueueFull:
      return "more receives posted than the queue holds";
    case Fault::kCompletionOverrun:
      return "completion queue overrun";
    case Fault::kReceiverNotReady:
      return "a message came and no receive was posted";
    case Fault::kMessageTooLong:
      return "a message did not fit its receive buffer";
    case Fault::kDeadLocalKey:
      return "a request used memory that is not registered";
    case Fault::kBoundWindow:
      return "a region ended while a window was bound to it";
    case Fault::kWindowMisuse:
      return "a bind or an invalidation that the device refuses";
    case Fault::kRefusedWrite:
      return "a write with a key that is dead or does not fit";
    case Fault::kOutlivedFabric:
      return "an object outlived its fabric";
    case Fault::kSpokeFirst:
      return "a send of who accepted, before anything came from who asked";
  }
  return "unknown";
}

}  // namespace rdmaboot::sim
