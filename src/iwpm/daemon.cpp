// SPDX-License-Identifier: BSD-2-Clause
#include "iwpm/daemon.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <linux/netlink.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "core/clock.hpp"
#include "core/unique_handle.hpp"
#include "iwpm/dump.hpp"
#include "iwpm/dump_socket.hpp"
#include "iwpm/record.hpp"
#include "iwpm/session.hpp"
#include "iwpm/settings.hpp"
#include "iwpm/sockets.hpp"
#include "os/udev_monitor.hpp"
#include "program/log.hpp"
#include "program/rest.hpp"
#include "program/text_server.hpp"

namespace rdmaboot::iwpm {
namespace {

using core::Microseconds;
using program::Level;
using Loop = core::UniqueHandle<sd_event, sd_event_unref>;
using Source = core::UniqueHandle<sd_event_source, sd_event_source_disable_unref>;

/// systemd hears of new counts at most this often.
constexpr Microseconds kStatusInterval{1'000'000};
// A thread of the kernel waits behind a netlink message, a connect behind an answer to us; requests
// of peers can wait, and they are what a flood is made of.
constexpr std::int64_t kKernelFirst = SD_EVENT_PRIORITY_NORMAL - 20;
constexpr std::int64_t kOwnQuestionsNext = SD_EVENT_PRIORITY_NORMAL - 10;

/// Every mapping with a port of its own holds a descriptor.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));
  }
}

class Daemon final : private Outside {
 public:
  Daemon() : session_(read(), clock_, *this, 0) {}

  core::Result<int> run() {
    raise_descriptor_limit();
    sd_event* raw = nullptr;
    if (const int status = sd_event_new(&raw); status < 0) {
      return core::fail("make", "an event loop", -status);
    }
    loop_.reset(raw);
    if (const int status = subscribe(); status < 0) {
      return core::fail("use", "the event loop", -status);
    }
    open_asking_sockets();
    open_answering_sockets();
    watch_devices();
    serve_dumps();
    recall();
    open_kernel();
    settle();
    const int status = sd_event_loop(loop_.get());
    sd_notify(0, "STOPPING=1");
    if (status < 0) {
      return core::fail("run", "the event loop", -status);
    }
    return status;
  }

 private:
  struct Udp {
    Daemon* daemon = nullptr;
    Via via = Via::kAnswering;
    Family family = Family::kIpv4;
    core::UniqueFd fd;
    Source source;
  };

  // Outside ------------------------------------------------------------------------------------

  void to_kernel(const NetlinkBytes& message) override {
    ++sent_to_kernel_;
    const auto bytes = message.view();
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    if (::sendto(netlink_.fd.get(), bytes.data(), bytes.size(), MSG_DONTWAIT,
                 static_cast<const sockaddr*>(static_cast<const void*>(&kernel)),
                 sizeof(kernel)) < 0) {
      program::log(Level::kDebug,
                   core::fail("send", "RDMA netlink message", errno).value().message());
    }
  }

  int to_peer(Via via, const Address& peer, const WireBytes& datagram) override {
    if (via == Via::kAnswering) {
      return send_datagram(answer_fd_, peer, datagram.view(), answer_from_);
    }
    const auto found = std::find_if(asking_.begin(), asking_.end(), [&](const auto& socket) {
      return socket->family == peer.family;
    });
    return found == asking_.end()
               ? EAFNOSUPPORT
               : send_datagram((*found)->fd.get(), peer, datagram.view(), std::nullopt);
  }

  tl::expected<ReservedPort, int> reserve_port(Family family, std::uint16_t wanted) override {
    auto port = wanted == 0 ? spare_.take(family) : bind_port(family, wanted);
    if (!port) {
      return tl::make_unexpected(port.error());
    }
    const ReservedPort reserved{port->number, port->fd.get()};
    const auto index = static_cast<std::size_t>(reserved.token);
    if (ports_.size() <= index) {
      ports_.resize(index + 1);
    }
    ports_[index] = std::move(port->fd);
    return reserved;
  }

  void release_port(int token) override { ports_.at(static_cast<std::size_t>(token)).reset(); }

  void record(const Address& local, const Mapping* mapping) override {
    record_.add(local, mapping);
  }

  std::uint64_t random() override {
    std::uint64_t value = 0;
    while (::getrandom(&value, sizeof(value), 0) != static_cast<ssize_t>(sizeof(value))) {
    }
    return value;
  }

  void tell(const std::string& text) override { program::log(Level::kWarning, text); }

  // Opening ------------------------------------------------------------------------------------

  /// Reads the configuration and says what is wrong with it.
  Settings read() {
    SettingsRead read = read_settings();
    for (const core::Error& error : read.errors) {
      program::log(Level::kError, error.message());
    }
    settings_ = std::move(read.settings);
    return settings_;
  }

  int subscribe() {
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) {
      sigset_t one;
      sigemptyset(&one);
      sigaddset(&one, number);
      if (::sigprocmask(SIG_BLOCK, &one, nullptr) != 0) {
        return -errno;
      }
      if (const int status = sd_event_add_signal(loop_.get(), nullptr, number, on_signal, this);
          status < 0) {
        return status;
      }
    }
    for (Source* const timer : {&deadline_, &status_timer_}) {
      sd_event_source* source = nullptr;
      if (const int status = sd_event_add_time(loop_.get(), &source, CLOCK_MONOTONIC, 0, 1,
                                               timer == &deadline_ ? on_deadline : on_status, this);
          status < 0) {
        return status;
      }
      timer->reset(source);
      sd_event_source_set_enabled(source, SD_EVENT_OFF);
    }
    return 0;
  }

  /// Opens a UDP socket and watches it; one that cannot be opened is told and missing.
  void open_socket(const Address& local, Via via, std::vector<std::unique_ptr<Udp>>& into) {
    auto fd = open_udp(local);
    if (!fd) {
      const bool no_family = fd.error().error_number == EAFNOSUPPORT ||
                             (local.is_wildcard() && fd.error().error_number == EADDRNOTAVAIL);
      program::log(no_family ? Level::kDebug : Level::kWarning, fd.error().message());
      return;
    }
    if (via == Via::kAnswering) {
      if (const auto filtered = take_only_questions(fd->get()); !filtered) {
        program::log(Level::kWarning, filtered.error().message());
      }
    }
    auto socket = std::make_unique<Udp>();
    socket->daemon = this;
    socket->via = via;
    socket->family = local.family;
    socket->fd = std::move(*fd);
    sd_event_source* source = nullptr;
    const int status =
        sd_event_add_io(loop_.get(), &source, socket->fd.get(), EPOLLIN, on_udp, socket.get());
    if (status < 0) {
      program::log(Level::kError, core::fail("watch", local.text(), -status).value().message());
      return;
    }
    socket->source.reset(source);
    if (via == Via::kAsking) {
      sd_event_source_set_priority(source, kOwnQuestionsNext);
    }
    into.push_back(std::move(socket));
  }

  void open_asking_sockets() {
    for (const Family family : {Family::kIpv4, Family::kIpv6}) {
      Address any;
      any.family = family;
      open_socket(any, Via::kAsking, asking_);
    }
  }

  void open_answering_sockets() {
    answering_.clear();
    std::vector<Address> addresses = settings_.listen;
    if (addresses.empty()) {
      addresses.resize(2);
      addresses[1].family = Family::kIpv6;
    }
    for (const Address& address : addresses) {
      open_socket(address.with_port(kMapperPort), Via::kAnswering, answering_);
    }
    if (answering_.empty()) {
      program::log(Level::kWarning, "no peer can ask this port mapper");
    }
  }

  void open_kernel() {
    auto netlink = open_netlink(settings_.netlink_buffer);
    if (!netlink) {
      // Without RDMA in the kernel that is how it is; a device will bring it.
      const bool no_rdma = netlink.error().error_number == EPROTONOSUPPORT;
      program::log(no_rdma ? Level::kInfo : Level::kError, netlink.error().message());
      return;
    }
    sd_event_source* source = nullptr;
    const int status =
        sd_event_add_io(loop_.get(), &source, netlink->fd.get(), EPOLLIN, on_netlink, this);
    if (status < 0) {
      program::log(Level::kError,
                   core::fail("watch", "RDMA netlink socket", -status).value().message());
      return;
    }
    sd_event_source_set_priority(source, kKernelFirst);
    netlink_ = std::move(*netlink);
    netlink_source_.reset(source);
    session_.greet_from(netlink_.port_id);
  }

  /// The kernel's list has an end (see Session::recall()), so the next process is left ours.
  void recall() {
    if (const auto saved = record_.read()) {
      session_.recall(*saved);
    } else {
      program::log(Level::kWarning, saved.error().message());
    }
    start_record();
  }

  void start_record() {
    if (const auto started = record_.start(session_.mappings()); !started) {
      program::log(Level::kWarning, started.error().message());
    }
  }

  void watch_devices() {
    auto monitor = os::open_udev_monitor("udev", {"infiniband"}, 0);
    if (!monitor) {
      program::log(Level::kWarning, monitor.error().message());
      return;
    }
    sd_event_source* source = nullptr;
    if (sd_event_add_io(loop_.get(), &source, (*monitor)->fd(), EPOLLIN, on_device, this) >= 0) {
      monitor_ = std::move(*monitor);
      monitor_source_.reset(source);
    }
  }

  void serve_dumps() {
    auto server = program::TextServer::listen(loop_.get(), kDumpSocket,
                                              [this] { return dump_json(session_); });
    if (!server) {
      program::log(Level::kWarning, server.error().message());
      return;
    }
    dumps_ = std::move(*server);
  }

  // After every event --------------------------------------------------------------------------

  /// Everybody has an answer. Writes down what has changed, sets the timer for what the session
  /// wants next, and tells systemd.
  void settle() {
    spare_.fill();
    if (const auto written = record_.flush(session_.mappings()); !written) {
      program::log(Level::kWarning, written.error().message());
    }
    const auto next = session_.next_deadline();
    if (next) {
      sd_event_source_set_time(deadline_.get(), static_cast<std::uint64_t>(next->count()));
    }
    sd_event_source_set_enabled(deadline_.get(), next ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
    const Kernel kernel = session_.kernel();
    if (!ready_ && (kernel == Kernel::kServed || kernel == Kernel::kAbsent || !netlink_.fd)) {
      ready_ = true;
      tell_status();
      sd_notify(0, "READY=1");
      program::log(Level::kInfo, "ready: " + status_);
    }
    busy_ = true;
    if (clock_.now() >= told_ + kStatusInterval) {
      tell_status();
    }
    arm_status();
  }

  /// Has on_status() called when a second has passed.
  void arm_status() {
    if (!std::exchange(status_pending_, true)) {
      sd_event_source_set_time(status_timer_.get(),
                               static_cast<std::uint64_t>((told_ + kStatusInterval).count()));
      sd_event_source_set_enabled(status_timer_.get(), SD_EVENT_ONESHOT);
    }
  }

  void tell_status() {
    told_ = clock_.now();
    std::string status = status_line(session_);
    if (status != status_) {
      status_ = std::move(status);
      sd_notify(0, ("STATUS=" + status_).c_str());
    }
  }

  // Events -------------------------------------------------------------------------------------

  /// No exception may cross sd-event's C code.
  template <typename Handler>
  static int caught(const Handler& handler) noexcept {
    try {
      handler();
      return 0;
    } catch (const std::exception&) {
      return -ENOMEM;  // ends the loop; systemd starts the daemon again, which recovers its table
    }
  }

  /// Runs the handler of an event, and what is due after every event.
  template <typename Handler>
  int guarded(const Handler& handler) noexcept {
    return caught([&] {
      handler();
      settle();
    });
  }

  static int on_netlink(sd_event_source* /*source*/, int /*fd*/, std::uint32_t /*events*/,
                        void* user) {
    auto& self = *static_cast<Daemon*>(user);
    return self.guarded([&self] { self.read_netlink(); });
  }

  void read_netlink() {
    for (unsigned i = 0; i < kDatagramsATurn / kNetlinkBatch; ++i) {
      const std::uint64_t before = sent_to_kernel_;
      const auto got = receiver_.receive(
          netlink_.fd.get(), [this](const auto& datagram) { session_.from_kernel(datagram); });
      if (!got && got.error() == ENOBUFS) {
        session_.kernel_overrun();
      } else if (!got || (*got < kNetlinkBatch && sent_to_kernel_ == before)) {
        return;  // all is read; what was answered has its trailer there already
      }
    }
  }

  static int on_udp(sd_event_source* /*source*/, int /*fd*/, std::uint32_t events, void* user) {
    auto& socket = *static_cast<Udp*>(user);
    return socket.daemon->guarded([&] {
      if ((events & EPOLLERR) != 0) {
        socket.daemon->read_errors(socket);
      }
      socket.daemon->read_udp(socket);
    });
  }

  void read_errors(const Udp& socket) {
    receive_errors(socket.fd.get(), [&](const Address& to, std::span<const std::byte> sent) {
      if (socket.via == Via::kAsking) {
        session_.unreachable(to, sent);
      }
    });
  }

  void read_udp(const Udp& socket) {
    udp_receiver_.receive(socket.fd.get(), [&](const Address& from, const Destination& to,
                                               std::span<const std::byte> datagram) {
      answer_fd_ = socket.fd.get();
      answer_from_ = to;
      session_.from_peer(socket.via, from, datagram);
    });
  }

  static int on_device(sd_event_source* /*source*/, int /*fd*/, std::uint32_t /*events*/,
                       void* user) {
    auto& self = *static_cast<Daemon*>(user);
    return self.guarded([&self] { self.read_devices(); });
  }

  void read_devices() {
    const auto event = monitor_->receive();
    if (event && !*event) {
      return;
    }
    // An error means that events were lost: of either kind.
    const bool removed = !event || (*event)->action == "remove";
    const bool added = !event || !removed;
    if (added && !netlink_.fd) {
      open_kernel();
    } else if (added) {
      session_.device_added();
    }
    if (removed) {
      session_.device_removed();
    }
  }

  static int on_deadline(sd_event_source* /*source*/, std::uint64_t /*usec*/, void* user) {
    auto& self = *static_cast<Daemon*>(user);
    return self.guarded([&self] { self.session_.deadline(); });
  }

  static int on_status(sd_event_source* /*source*/, std::uint64_t /*usec*/, void* user) {
    auto& self = *static_cast<Daemon*>(user);
    return caught([&self] {
      self.status_pending_ = false;
      self.tell_status();
      if (std::exchange(self.busy_, false)) {
        self.arm_status();
      } else {
        program::release_program_text();  // nothing has happened for a while
      }
    });
  }

  static int on_signal(sd_event_source* /*source*/, const signalfd_siginfo* info, void* user) {
    auto& self = *static_cast<Daemon*>(user);
    const auto number = static_cast<int>(info->ssi_signo);
    if (number == SIGHUP) {
      return self.guarded([&self] { self.reload(); });
    }
    if (number == SIGUSR1) {
      return self.guarded([&self] { self.log_table(); });
    }
    return sd_event_exit(self.loop_.get(), 0);
  }

  void reload() {
    sd_notify(0, ("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(clock_.now().count())).c_str());
    const std::vector<Address> before = settings_.listen;
    session_.apply(read());
    if (netlink_.fd) {
      set_netlink_buffer(netlink_.fd.get(), settings_.netlink_buffer);
    }
    if (settings_.listen != before) {
      open_answering_sockets();
    }
    start_record();  // after an error it is not written any more
    sd_notify(0, "READY=1");
    program::log(Level::kInfo, "the configuration was read again");
  }

  void log_table() {
    for (const std::string& line : dump_lines(session_)) {
      program::log(Level::kInfo, line);
    }
    program::log(Level::kInfo, status_line(session_));
  }

  Settings settings_;
  core::MonotonicClock clock_;
  Session session_;
  Record record_{kSavedFile};
  std::vector<core::UniqueFd> ports_;  ///< reserved, by descriptor
  SparePorts spare_;
  NetlinkReceiver receiver_;
  UdpReceiver udp_receiver_;
  std::uint64_t sent_to_kernel_ = 0;
  // Where the datagram came from that is being handled, and to which address of ours.
  int answer_fd_ = -1;
  std::optional<Destination> answer_from_;

  Loop loop_;
  NetlinkSocket netlink_;
  Source netlink_source_;
  std::vector<std::unique_ptr<Udp>> asking_;
  std::vector<std::unique_ptr<Udp>> answering_;
  std::unique_ptr<os::UeventSource> monitor_;
  Source monitor_source_;
  std::unique_ptr<program::TextServer> dumps_;
  Source deadline_;
  Source status_timer_;
  bool ready_ = false;
  bool status_pending_ = false;
  bool busy_ = false;  ///< something has happened since on_status() was called
  Microseconds told_{0};
  std::string status_;
};

}  // namespace

core::Result<int> serve() {
  return Daemon().run();
}

}  // namespace rdmaboot::iwpm
