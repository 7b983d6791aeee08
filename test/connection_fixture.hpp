/// @file
/// A connection, and what its observer was told.
#pragma once

#include "libstargate/connection/event_loops.hpp"
#include "test/misbehaving_server.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace stargate::test {

using namespace std::chrono_literals;

/// What an observer was told.
struct record {
  std::mutex mutex;
  std::condition_variable changed;
  int opened = 0;
  std::vector<std::string> frames;
  std::vector<connection::ended> ends;
  bool replaces = false; ///< Frames that are too large.
  std::vector<std::uint64_t> sizes;
  std::vector<std::thread::id> told_on; ///< The thread of each batch of frames.

  template <class Enough>
  bool wait(Enough enough, std::chrono::milliseconds timeout = 10s) {
    std::unique_lock lock{mutex};
    return changed.wait_for(lock, timeout, enough);
  }
};

class recorder final : public connection::observer {
public:
  explicit recorder(record& r) : r_{r} {}
  void on_open() override {
    note([&] { ++r_.opened; });
  }
  void on_frames(std::vector<std::string> frames, connection::load) override {
    note([&] {
      r_.frames.insert(r_.frames.end(), frames.begin(), frames.end());
      r_.told_on.push_back(std::this_thread::get_id());
    });
  }
  std::optional<std::string> on_oversized(std::string_view beginning, std::uint64_t size) override {
    note([&] { r_.sizes.push_back(size); });
    return r_.replaces ? std::optional{"in place of " + std::string{beginning.substr(0, 11)}} : std::nullopt;
  }
  void on_end(connection::ended why) override {
    note([&] { r_.ends.push_back(why); });
  }

private:
  template <class F>
  void note(F f) {
    const std::lock_guard guard{r_.mutex};
    f();
    r_.changed.notify_all();
  }
  record& r_;
};

/// A loop, and what the observer of one connection was told.
struct connection_fixture {
  record r;
  std::shared_ptr<connection::event_loop> loop = connection::event_loop::start();

  connection::endpoint to(std::uint16_t port) {
    connection::endpoint e{.host = "127.0.0.1", .port = port, .path = "/ws"};
    e.connect_timeout = 2s;
    e.ping_interval = 1s;
    e.pong_timeout = 1s;
    return e;
  }
  std::unique_ptr<connection::link> connect(const connection::endpoint& e) {
    return loop->connect(e, std::make_unique<recorder>(r));
  }
  connection::ended end() {
    REQUIRE(r.wait([&] { return !r.ends.empty(); }));
    return r.ends.front();
  }
  ~connection_fixture() {
    loop->stop();
    CHECK(r.ends.size() <= 1); // never more than one end
  }
};

/// What a server does that says again whatever it is told.
inline void echo(misbehaving_server::peer& peer) {
  peer.accept_websocket();
  while (auto text = peer.read_frame())
    peer.write_frame(*text);
}

inline std::vector<connection::frame> frames(std::vector<std::string> texts) {
  std::vector<connection::frame> result;
  for (auto& text : texts)
    result.push_back(std::make_shared<const stargate::protocol::frame_text>(std::move(text)));
  return result;
}

} // namespace stargate::test
