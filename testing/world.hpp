/// @file
/// The inside of a `testing::world`: its time, its network, and the broker in the box.
#pragma once

#include "actors/shared/environment.hpp"
#include "box/broker.hpp"
#include "libstargate/connection/transport.hpp"
#include "testing/virtual_system.hpp"

#include <stargate/testing.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace stargate::testing {

class wire;

struct world::implementation : std::enable_shared_from_this<world::implementation> {
  explicit implementation(std::uint64_t seed);
  ~implementation();

  /// Does one thing that happens until `limit`. False when nothing does: then it is that late.
  bool step(box::micros limit);
  void set_time(box::micros to);
  [[nodiscard]] box::micros next_timer() const;
  [[nodiscard]] std::uint64_t below(std::uint64_t n) { return random() % n; }

  /// Does it at its time.
  void at(box::micros when, std::function<void()> what) { events.emplace(when, std::move(what)); }
  std::unique_ptr<connection::link> connect(connection::endpoint to, std::unique_ptr<connection::observer> who);
  caf::expected<std::string> request(std::string_view method, const std::string& path, const std::string& body);
  /// Of every connection that is not over.
  [[nodiscard]] std::vector<std::shared_ptr<wire>> open_wires();

  std::mt19937_64 random;
  virtual_system system;
  const virtual_system::time_point begin = system.now();
  box::micros now = 0;
  std::multimap<box::micros, std::function<void()>> events;
  box::broker broker;
  std::vector<std::weak_ptr<wire>> wires;
  std::shared_ptr<internal::environment> environment;
  bool may_wait = true;
  bool is_down = false;
  std::optional<int> refuses;
  box::micros delay = box::millisecond;
  std::uint64_t watched_messages = 0;
};

} // namespace stargate::testing
