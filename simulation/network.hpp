/// @file
/// A simulated network: what carries frames between a tree and the broker's model, late, in pieces, or not at all.
#pragma once

#include "libstargate/connection/transport.hpp"
#include "simulation/randomness.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace stargate::simulation {

/// Virtual time, in microseconds since the world began.
using micros = std::int64_t;
inline constexpr micros never = std::numeric_limits<micros>::max();
constexpr micros operator""_ms(unsigned long long n) {
  return static_cast<micros>(n) * 1000;
}
constexpr micros operator""_s(unsigned long long n) {
  return static_cast<micros>(n) * 1'000'000;
}

enum class side : std::uint8_t { connecting, open, over };

/// One connection: what is under way in both directions, and what either side believes.
struct wire {
  struct event {
    enum kind : std::uint8_t { open, frame, end } what;
    std::string text{};
    connection::ended why{};
    micros at = 0;
  };

  std::uint64_t id = 0;
  connection::endpoint to;
  std::unique_ptr<connection::observer> who; ///< Empty once it was told the end.
  side client = side::connecting;
  side broker = side::connecting;
  bool cut = false;     ///< Nothing new gets through, either way.
  bool closing = false; ///< The client closes it.
  bool twice = false;   ///< A frame was duplicated on it, so that nobody can count any more.
  micros stalled_until = 0;
  std::deque<event> up, down;
  micros last_up = 0, last_down = 0;
  // For people, and for faults that look for victims:
  std::string role, topic, subscription;

  [[nodiscard]] std::string name() const {
    return "#" + std::to_string(id) + " " + role + " " + topic + (subscription.empty() ? "" : "/" + subscription);
  }
};

/// What the network needs of the broker's model.
class far_side {
public:
  far_side() = default;
  far_side(const far_side&) = delete;
  far_side& operator=(const far_side&) = delete;
  virtual ~far_side() = default;
  virtual void on_open(wire& w) = 0;
  virtual void on_frame(wire& w, const std::string& text) = 0;
  virtual void on_end(wire& w) = 0;
};

class network final : public connection::transport, public std::enable_shared_from_this<network> {
public:
  using tracer = std::function<void(const std::function<std::string()>&)>;

  network(randomness random, tracer trace) : random_{random}, trace_{std::move(trace)} {}

  void attach(far_side* broker) { broker_ = broker; }

  // -- the client's side

  [[nodiscard]] std::unique_ptr<connection::link> connect(connection::endpoint to,
                                                          std::unique_ptr<connection::observer> observer) override;
  void stop() override;
  /// @param longest_wait how long they may wait for others
  void send(std::uint64_t id, std::vector<connection::frame> frames, micros longest_wait = 0);
  void close(std::uint64_t id);

  // -- the broker's side

  void accept(wire& w);
  void refuse(wire& w, int status);
  void reply(wire& w, std::string text);
  /// The broker closes the connection, by a close frame.
  void hang_up(wire& w, int code, std::string why);

  // -- faults

  /// Cuts a connection: of what is under way a part arrives, each side's own; the client learns of it soon, or, where
  /// it is half open, by its pings; the broker reads what arrived, for seconds, and then learns of it.
  void cut(wire& w, bool half_open);
  /// Nothing moves for so long; nothing is lost.
  void stall(wire& w, micros time);
  /// The last, or a random, frame under way to the client is spoilt or comes twice. False when there is none.
  bool garble(wire& w, bool upward);
  bool duplicate(wire& w);

  // -- time

  micros now = 0;
  micros slowest = 20_ms; ///< Of a frame, most of the time.
  double lateness = 0.02; ///< How often one takes much longer.
  bool unreachable = false;
  std::set<std::string> hosts_down; ///< Nobody listens there.
  double silent_handshakes = 0;     ///< How often a handshake is never answered.

  [[nodiscard]] micros next_due() const;
  /// Delivers something that is due. False when nothing is.
  bool deliver();

  [[nodiscard]] std::map<std::uint64_t, std::shared_ptr<wire>>& wires() { return wires_; }
  [[nodiscard]] std::size_t connections() const { return last_; }

  /// Asked before a frame goes out, for the judge.
  std::function<void(const wire&, const std::string&)> on_sent;
  /// Told when frames come in.
  std::function<void(const wire&, std::size_t)> on_received;

private:
  micros delay();
  void to_client(wire& w, wire::event e);
  void to_broker(wire& w, wire::event e);
  void end_client(wire& w, connection::ended why, micros at);
  void deliver_down(wire& w);
  void deliver_up(wire& w);
  void forget_if_over(std::uint64_t id);

  randomness random_;
  tracer trace_;
  far_side* broker_ = nullptr;
  std::map<std::uint64_t, std::shared_ptr<wire>> wires_;
  std::uint64_t last_ = 0;
  bool stopped_ = false;
};

} // namespace stargate::simulation
