/// @file
/// How an actor hears of its connection, and where that goes.
#pragma once

#include "actors/shared/messages.hpp"
#include "libstargate/protocol/frames.hpp"

#include <stargate/error.hpp>
#include <stargate/options.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace stargate::internal {

/// Turns what happens on the transport's thread into messages. It does not keep the actor alive.
class to_actor final : public connection::observer {
public:
  to_actor(caf::actor_addr who, std::uint64_t number) : who_{std::move(who)}, number_{number} {}
  void on_open() override { tell(link_up{number_}); }
  void on_frames(std::vector<std::string> frames, connection::load load) override {
    frames_in m{number_, std::move(frames)};
    if (load == connection::load::busy)
      return tell(std::move(m));
    if (const auto who = caf::actor_cast<caf::actor>(who_))
      post_and_run(who, inline_host::transport, std::move(m));
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
  caf::actor_addr who_;
  std::uint64_t number_;
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
