// SPDX-License-Identifier: BSD-2-Clause
#include "os/verbs_events.hpp"

#include <cerrno>
#include <memory>
#include <utility>

#include <fcntl.h>

#include "core/unique_handle.hpp"
#include "os/verbs_library.hpp"

namespace rdmaboot::os {
namespace {

using core::fail;
using core::Result;

void free_list(ibv_device** list) {
  (*verbs_library()).free_device_list(list);
}

int close_device(ibv_context* context) {
  return (*verbs_library()).close_device(context);
}

using Context = core::UniqueHandle<ibv_context, close_device>;

VerbsEvent event_of(ibv_event_type type) {
  switch (type) {
    case IBV_EVENT_PORT_ACTIVE:
      return VerbsEvent::kPortActive;
    case IBV_EVENT_PORT_ERR:
      return VerbsEvent::kPortError;
    case IBV_EVENT_GID_CHANGE:
      return VerbsEvent::kGidChange;
    case IBV_EVENT_LID_CHANGE:
      return VerbsEvent::kLidChange;
    case IBV_EVENT_PKEY_CHANGE:
      return VerbsEvent::kPKeyChange;
    case IBV_EVENT_SM_CHANGE:
      return VerbsEvent::kSmChange;
    case IBV_EVENT_DEVICE_FATAL:
      return VerbsEvent::kDeviceFatal;
    default:
      return VerbsEvent::kOther;
  }
}

class Events final : public VerbsEventSource {
 public:
  Events(Context context, std::string device)
      : context_(std::move(context)), device_(std::move(device)) {}

  [[nodiscard]] int fd() const override { return context_->async_fd; }

  [[nodiscard]] Result<std::optional<VerbsEvent>> receive() override {
    ibv_async_event event{};
    errno = 0;
    if ((*verbs_library()).get_async_event(context_.get(), &event) != 0) {
      if (errno == EAGAIN || errno == EINTR) {
        return std::nullopt;
      }
      return fail("read events of", device_, errno != 0 ? errno : EIO);
    }
    const VerbsEvent told = event_of(event.event_type);
    (*verbs_library()).ack_async_event(&event);
    return told;
  }

  [[nodiscard]] VerbsDevice query(const VerbsQuestion& question, bool gids,
                                  std::vector<core::Error>& errors) override {
    return query_context(*verbs_library(), context_.get(), question, gids, errors);
  }

 private:
  Context context_;
  std::string device_;
};

}  // namespace

Result<std::unique_ptr<VerbsEventSource>> open_verbs_events(const std::string& device) {
  if (!verbs_library()) {
    return tl::make_unexpected(verbs_library().error());
  }
  const VerbsLibrary& library = *verbs_library();
  int count = 0;
  const std::unique_ptr<ibv_device*, core::Releaser<free_list>> list(
      library.get_device_list(&count));
  if (!list) {
    return fail("list", "verbs devices", errno);
  }
  for (int i = 0; i < count; ++i) {
    if (library.get_device_name(list.get()[i]) != device) {
      continue;
    }
    Context context(library.open_device(list.get()[i]));
    if (!context) {
      return fail("open verbs device", device, errno);
    }
    const int flags = ::fcntl(context->async_fd, F_GETFL);
    if (flags < 0 || ::fcntl(context->async_fd, F_SETFL, flags | O_NONBLOCK) != 0) {
      return fail("make the events of", device, errno, "expected a descriptor that never blocks");
    }
    return std::make_unique<Events>(std::move(context), device);
  }
  return fail("find verbs device", device, ENODEV);
}

}  // namespace rdmaboot::os
