/// @file
/// How an actor hears of its connection, and where that goes.
#pragma once

#include "actors/shared/inline_execution.hpp"
#include "actors/shared/messages.hpp"
#include "libstargate/protocol/frames.hpp"

#include <stargate/error.hpp>
#include <stargate/options.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stargate::internal {

/// The way of a connection's frames past its socket, to the socket's owner. What comes goes through the socket as long as
/// something else is on its way there, so that nothing is overtaken: the news that the connection stands, at first.
class bypass {
public:
  explicit bypass(caf::actor_addr owner) : owner_{std::move(owner)} {}
  /// Whom to tell next. @par Threads the connection's
  [[nodiscard]] const caf::actor_addr& next(const caf::actor_addr& socket) {
    if (inside_.load(std::memory_order_acquire) == 0)
      return owner_;
    enter();
    return socket;
  }
  void enter() { inside_.fetch_add(1, std::memory_order_relaxed); }
  /// The socket has passed it on. @par Threads the socket's actor
  void leave() { inside_.fetch_sub(1, std::memory_order_release); }

private:
  const caf::actor_addr owner_;
  std::atomic<std::size_t> inside_{0};
};

/// Turns what happens on the transport's thread into messages. It does not keep the actor alive.
class to_actor final : public connection::observer {
public:
  /// @param past null where all goes to `who`
  to_actor(caf::actor_addr who, std::uint64_t number, std::shared_ptr<bypass> past = nullptr)
    : who_{std::move(who)},
      number_{number},
      past_{std::move(past)} {}
  void on_open() override {
    if (past_)
      past_->enter();
    tell(link_up{number_});
  }
  void on_frames(std::vector<std::string> frames, connection::load load) override {
    const auto to = caf::actor_cast<caf::actor>(past_ ? past_->next(who_) : who_);
    frames_in m{number_, std::move(frames)};
    if (load == connection::load::idle)
      post_and_run(to, inline_host::transport, std::move(m));
    else if (to)
      post(to, std::move(m));
  }
  std::optional<std::string> on_oversized(std::string_view beginning, std::uint64_t size) override {
    return protocol::stand_in_for_oversized(beginning, size);
  }
  void on_end(connection::ended why) override { tell(link_down{number_, std::move(why)}); }

private:
  template <class Content>
  void tell(Content content) {
    if (const auto who = caf::actor_cast<caf::actor>(who_))
      post(who, std::move(content));
  }

  const caf::actor_addr who_;
  const std::uint64_t number_;
  const std::shared_ptr<bypass> past_;
};

/// Where a connection goes, with the tree's credentials. @par Errors errc::no_token
[[nodiscard]] inline caf::expected<connection::endpoint> endpoint_to(const options& o, const host& at,
                                                                     const std::string& path) {
  connection::endpoint to;
  if (o.token) {
    auto token = o.token();
    if (!token)
      return make_error(errc::no_token, context_of(token.error()));
    to.headers.emplace_back("Authorization:", "Bearer " + *token);
  }
  to.host = at.name;
  to.port = at.port;
  to.path = o.base_path + path;
  to.connect_timeout = o.connect_timeout;
  to.ping_interval = o.ping_interval;
  to.pong_timeout = o.pong_timeout;
  to.max_frame = o.max_frame_size;
  return to;
}

} // namespace stargate::internal
