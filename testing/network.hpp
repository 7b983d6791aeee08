/// @file
/// A connection within a world: what carries frames between a tree and the broker in the box.
#pragma once

#include "testing/world.hpp"

#include <memory>
#include <string>

namespace stargate::testing {

class wire final : public box::peer, public std::enable_shared_from_this<wire> {
public:
  wire(std::weak_ptr<world::implementation> in, connection::endpoint to, std::unique_ptr<connection::observer> who);

  /// The handshake has arrived at the broker.
  void arrive();

  // -- from the tree
  void send_up(std::vector<connection::frame> frames);
  void close_up();
  // -- from the broker
  void send(std::string frame) override;
  void close(int code, const std::string& reason) override;

  /// It breaks, for both.
  void break_off(connection::ended why);
  void become_half_open();
  [[nodiscard]] bool is_over() const { return who_ == nullptr; }

private:
  void later(box::micros& last, std::function<void()> what);
  void end(connection::ended why);

  const std::weak_ptr<world::implementation> in_;
  const connection::endpoint to_;
  std::unique_ptr<connection::observer> who_; ///< Empty when it was told the end.
  std::shared_ptr<box::connection> behind_;
  bool open_ = false;
  bool deaf_ = false; ///< Nothing gets through.
  bool closing_ = false;
  box::micros last_up_ = 0, last_down_ = 0; ///< What was sent later does not come earlier.
};

} // namespace stargate::testing
