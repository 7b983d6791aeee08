// A loop that waits for more of what streams by several connections: what it brings, and whom it does not keep waiting.
#include "libstargate/connection/doorbell.hpp"
#include "test/connection_fixture.hpp"

#include <stargate/options.hpp>

#include <algorithm>
#include <atomic>
#include <future>
#include <list>
#include <random>

namespace connection = stargate::connection;
using stargate::test::echo, stargate::test::frames, stargate::test::misbehaving_server, stargate::test::record,
  stargate::test::recorder;
using namespace std::chrono_literals;

namespace {

using clock_type = std::chrono::steady_clock;

/// Notes what it is told, and asks anew for each answer.
class asker final : public connection::observer {
public:
  asker(record& r, const std::atomic<connection::link*>& by) : notes_{r}, by_{by} {}
  void on_open() override { notes_.on_open(); }
  void on_frames(std::vector<std::string> answers, connection::load load) override {
    if (auto* const link = by_.load())
      link->send(frames(answers));
    notes_.on_frames(std::move(answers), load);
  }
  void on_end(connection::ended why) override { notes_.on_end(std::move(why)); }

private:
  recorder notes_;
  const std::atomic<connection::link*>& by_;
};

struct stream_settings {
  std::size_t asks = 0;                ///< So many ask by each connection; 0: the peer speaks unasked.
  bool answers_each = false;           ///< As the loop is told.
  std::chrono::microseconds pace{500}; ///< Of each peer; so that a moment, which ends with enough frames, is long.
};

/// Several peers that say something all the time, and who hears them.
class streams {
public:
  explicit streams(connection::event_loop& loop, const stream_settings& how = {}) {
    for (std::size_t i = 0; i < 4; ++i) {
      auto& one = all_.emplace_back(ends_, how);
      one.link =
        loop.connect({.host = "127.0.0.1", .port = one.server.port(), .path = "/", .answers_each = how.answers_each},
                     std::make_unique<asker>(one.heard, one.asks_by));
      if (how.asks > 0) {
        one.asks_by = one.link.get();
        one.link->send(stargate::test::frames(std::vector<std::string>(how.asks, "?")));
      }
    }
    while (std::any_of(all_.begin(), all_.end(), [](auto& one) { return one.frames() < 50; }))
      std::this_thread::yield();
  }
  ~streams() {
    ends_ = true;
    for (auto& one : all_) {
      one.link->close(); // it may still be asked by
      static_cast<void>(one.heard.wait([&] { return !one.heard.ends.empty(); }));
    }
  }
  streams(const streams&) = delete;
  streams& operator=(const streams&) = delete;

  [[nodiscard]] std::size_t frames() {
    return sum([](const record& r) { return r.frames.size(); });
  }
  [[nodiscard]] std::size_t batches() {
    return sum([](const record& r) { return r.told_on.size(); });
  }
  [[nodiscard]] std::size_t told_on(std::thread::id whom) {
    return sum(
      [&](const record& r) { return static_cast<std::size_t>(std::count(r.told_on.begin(), r.told_on.end(), whom)); });
  }

private:
  struct stream {
    record heard;
    misbehaving_server server;
    std::unique_ptr<connection::link> link;
    std::atomic<connection::link*> asks_by{nullptr};
    stream(const std::atomic<bool>& ends, const stream_settings& how)
      : server{[&ends, how](auto& peer) {
          peer.accept_websocket();
          while (!ends && (how.asks == 0 || peer.read_frame())) {
            peer.write_frame("x");
            if (how.pace.count() > 0)
              std::this_thread::sleep_for(how.pace);
          }
        }} {}
    std::size_t frames() {
      const std::lock_guard guard{heard.mutex};
      return heard.frames.size();
    }
  };

  template <class Of>
  std::size_t sum(Of of) {
    std::size_t result = 0;
    for (auto& one : all_) {
      const std::lock_guard guard{one.heard.mutex};
      result += of(one.heard);
    }
    return result;
  }

  std::atomic<bool> ends_{false};
  std::list<stream> all_;
};

/// Of frames that come, how many a batch there are.
double frames_a_batch(streams& s) {
  const auto frames = s.frames(), batches = s.batches();
  while (s.frames() < frames + 2000)
    std::this_thread::sleep_for(1ms);
  return static_cast<double>(s.frames() - frames) / static_cast<double>(s.batches() - batches);
}

} // namespace

TEST_CASE("a loop that is told nothing gathers for as long as one of a tree") {
  CHECK(connection::default_gather_time == stargate::options{}.gather_time);
}

TEST_CASE("what streams by several connections is told in fewer batches, the longer it may wait") {
  bool was_so = false; // a machine may be too busy for peers that keep their pace
  for (int round = 0; round < 20 && !was_so; ++round) {
    const auto at_once = connection::event_loop::start({}, 0ms), late = connection::event_loop::start({}, 50ms);
    streams one{*at_once};
    const auto few = frames_a_batch(one);
    streams other{*late};
    was_so = frames_a_batch(other) > 3 * few;
  }
  CHECK(was_so);
}

TEST_CASE("answers of which many more are awaited are gathered like what comes unasked") {
  bool was_so = false; // a machine may be too busy for peers that keep their pace
  for (int round = 0; round < 20 && !was_so; ++round) {
    const auto at_once = connection::event_loop::start({}, 0ms), late = connection::event_loop::start({}, 50ms);
    const stream_settings how{.asks = 200, .answers_each = true};
    streams one{*at_once, how};
    const auto few = frames_a_batch(one);
    streams other{*late, how};
    was_so = frames_a_batch(other) > 3 * few;
  }
  CHECK(was_so);
}

TEST_CASE("who asks anew when he is answered is not kept waiting where little more is awaited, by any connection") {
  bool was_so = false; // a machine may be too busy
  for (int round = 0; round < 20 && !was_so; ++round) {
    const auto loop = connection::event_loop::start({}, 50ms);
    const auto answers_in = [&](bool is_told) {
      streams asking{*loop, {.asks = 2, .answers_each = is_told, .pace = 0us}};
      const auto before = asking.frames();
      std::this_thread::sleep_for(100ms);
      return asking.frames() - before;
    };
    std::size_t while_owed = 0;
    {
      record r; // of one that ends with many answers owed
      std::promise<void> over;
      misbehaving_server silent{[&over](auto& peer) {
        peer.accept_websocket();
        over.get_future().wait_for(10s);
      }};
      const auto l = loop->connect({.host = "127.0.0.1", .port = silent.port(), .path = "/", .answers_each = true},
                                   std::make_unique<recorder>(r));
      REQUIRE(r.wait([&] { return r.opened == 1; }));
      l->send(frames(std::vector<std::string>(10'000, "?")));
      while_owed = answers_in(true);
      over.set_value();
      REQUIRE(r.wait([&] { return r.ends.size() == 1; }));
    }
    const auto soon = answers_in(true), untold = answers_in(false);
    was_so = 2 * soon > 3 * untold && 2 * soon > 3 * while_owed;
  }
  CHECK(was_so);
}

TEST_CASE("while a loop gathers, it keeps waiting neither who sends nor who reads an answer") {
  constexpr std::size_t questions = 20;
  const bool lends = GENERATE(false, true);
  bool was_so = false; // a machine may be too busy, or its peers
  for (int round = 0; round < 20 && !was_so; ++round) {
    record r; // which outlives the loop
    const auto loop = connection::event_loop::start({}, 100ms);
    std::promise<clock_type::time_point> got[questions];
    misbehaving_server server{[&](auto& peer) {
      peer.accept_websocket();
      for (std::size_t i = 0; i < questions; ++i) {
        auto text = peer.read_frame();
        if (!text)
          return;
        got[i].set_value(clock_type::now());
        peer.write_frame(*text);
      }
      while (peer.read_frame())
        ;
    }};
    const auto l =
      loop->connect({.host = "127.0.0.1", .port = server.port(), .path = "/"}, std::make_unique<recorder>(r));
    REQUIRE(r.wait([&] { return r.opened == 1; }));
    streams others{*loop};
    bool gathers = false;
    for (int i = 0; i < 10 && !gathers; ++i)
      gathers = frames_a_batch(others) > 10;
    const auto bell = std::make_shared<connection::doorbell>();
    std::size_t soon = 0;
    for (std::size_t i = 0; i < questions; ++i) {
      const auto heard = [&] {
        const std::lock_guard guard{r.mutex};
        return r.frames.size() > i;
      };
      std::this_thread::sleep_for(3ms); // at any time of the loop's
      const auto asked = clock_type::now();
      l->send(frames({"?"}));
      while (lends && !heard() && clock_type::now() < asked + 10s)
        l->lend_thread(heard, asked + 10s, bell);
      const auto by = lends ? clock_type::now() : got[i].get_future().get();
      soon += by - asked < 2ms; // a moment is 10 ms and more
      REQUIRE(r.wait([&] { return r.frames.size() > i; }));
    }
    CHECK(others.told_on(std::this_thread::get_id()) == 0); // that of others is not for the guest to hand on
    was_so = gathers && soon > questions * 3 / 4;
  }
  CHECK(was_so);
}

TEST_CASE(
  "however many connections stream, lend, send, close and break while a loop gathers, all is told once, in order") {
  std::mt19937 chance{20261130};
  for (int round = 0; round < 25; ++round) {
    CAPTURE(round);
    const auto loop = connection::event_loop::start({}, std::chrono::milliseconds{chance() % 5});
    struct peer_of {
      record heard{};
      std::size_t said = 0; // read when its server is gone
      std::unique_ptr<misbehaving_server> server{};
      std::unique_ptr<connection::link> link{};
      bool breaks = false;
    };
    std::list<peer_of> all;
    for (auto count = 1 + chance() % 6; count > 0; --count) {
      auto& one = all.emplace_back();
      one.breaks = chance() % 4 == 0;
      one.server = std::make_unique<misbehaving_server>([&one, seed = chance()](auto& peer) {
        std::mt19937 mine{static_cast<std::mt19937::result_type>(seed)};
        peer.accept_websocket();
        for (auto left = 100 + mine() % 400; left > 0; --left) {
          peer.write_frame(std::to_string(one.said++) + std::string(mine() % 64 == 0 ? 40'000 : 0, ' '));
          if (mine() % 4 == 0)
            std::this_thread::sleep_for(std::chrono::microseconds{mine() % 400});
        }
        if (one.breaks)
          return;
        peer.write_frame("last");
        while (peer.read_frame())
          ;
      });
      one.link = loop->connect({.host = "127.0.0.1", .port = one.server->port(), .path = "/"},
                               std::make_unique<recorder>(one.heard));
    }
    std::vector<std::thread> callers;
    for (auto& one : all)
      callers.emplace_back([&one, seed = chance()] {
        std::mt19937 mine{static_cast<std::mt19937::result_type>(seed)};
        const auto bell = std::make_shared<connection::doorbell>();
        const auto over = [&] {
          const std::lock_guard guard{one.heard.mutex};
          return !one.heard.ends.empty() || (!one.heard.frames.empty() && one.heard.frames.back() == "last");
        };
        const bool closes = mine() % 4 == 0;
        for (std::size_t i = 0; !over() && !(closes && i > 50); ++i) {
          one.link->send(frames({std::string(mine() % 16 == 0 ? 100'000 : 10, 'q')}));
          if (mine() % 2 == 0)
            one.link->lend_thread(over, clock_type::now() + std::chrono::microseconds{mine() % 3000}, bell);
          else
            std::this_thread::sleep_for(std::chrono::microseconds{mine() % 1000});
        }
        one.link.reset();
      });
    for (auto& caller : callers)
      caller.join();
    for (auto& one : all) {
      REQUIRE(one.heard.wait([&] { return one.heard.ends.size() == 1; }));
      one.server.reset();
      const bool has_last = !one.heard.frames.empty() && one.heard.frames.back() == "last";
      for (std::size_t i = 0; i < one.heard.frames.size() - (has_last ? 1 : 0); ++i)
        REQUIRE(std::stoul(one.heard.frames[i]) == i);
      if (has_last)
        CHECK(one.heard.frames.size() == one.said + 1);
    }
    loop->stop();
  }
}
