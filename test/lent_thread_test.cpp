// Threads that wait for what a connection brings, and read it themselves.
#include "libstargate/connection/doorbell.hpp"
#include "test/connection_fixture.hpp"

#include <algorithm>
#include <atomic>
#include <functional>
#include <future>
#include <random>
#include <semaphore>

namespace connection = stargate::connection;
using stargate::test::echo, stargate::test::frames, stargate::test::misbehaving_server, stargate::test::record,
  stargate::test::recorder;
using namespace std::chrono_literals;

namespace {

using clock_type = std::chrono::steady_clock;

/// A server that answers each question when it is told to, and not sooner.
struct biding_server {
  std::counting_semaphore<> may_answer{0};
  misbehaving_server server{[this](auto& peer) {
    peer.accept_websocket();
    while (auto text = peer.read_frame()) {
      may_answer.acquire();
      peer.write_frame(*text);
    }
  }};
  ~biding_server() { may_answer.release(1000); } // nothing keeps it, though a test has failed
};

/// What a server does that has no answer to one question.
void echo_but_one(misbehaving_server::peer& peer) {
  peer.accept_websocket();
  while (auto text = peer.read_frame())
    if (*text != "no answer")
      peer.write_frame(*text);
}

/// With a thread that lends itself.
struct fixture : stargate::test::connection_fixture {
  std::shared_ptr<connection::doorbell> bell = std::make_shared<connection::doorbell>();
  std::atomic<bool> is_lent{false}; ///< By `lend_again`; or it has given up.

  std::size_t heard() {
    const std::lock_guard guard{r.mutex};
    return r.frames.size();
  }
  bool has_ended() {
    const std::lock_guard guard{r.mutex};
    return !r.ends.empty();
  }
  /// Whether the thread came back before its time was over.
  bool lend(connection::link& to, const std::function<bool()>& done, clock_type::duration at_most = 10s) {
    const auto until = clock_type::now() + at_most;
    to.lend_thread(done, until, bell);
    return clock_type::now() < until;
  }
  /// The same, as often as the loop is at work and sends it away.
  bool lend_again(
    connection::link& to, const std::function<bool()>& done, const std::function<void()>& when_lent = [] {}) {
    const auto until = clock_type::now() + 10s;
    const auto asked = [&] { // only of a thread that is lent
      is_lent = true;
      when_lent();
      return done();
    };
    while (lend(to, asked, until - clock_type::now()) && !done())
      std::this_thread::yield();
    is_lent = true;
    return clock_type::now() < until;
  }
  void wait_until_lent() const {
    while (!is_lent)
      std::this_thread::yield();
  }
  /// Until the loop sleeps, and a frame goes out from this thread: then the loop does not read what comes.
  std::unique_ptr<connection::link> connected(std::uint16_t port) {
    auto l = connect(to(port));
    REQUIRE(r.wait([&] { return r.opened == 1; }));
    for (bool mine = false; !mine;) {
      const auto before = heard();
      l->send(frames({"?"}));
      lend(*l, [&] { return heard() > before; });
      REQUIRE(r.wait([&] { return r.frames.size() > before; }));
      mine = r.told_on.back() == std::this_thread::get_id();
    }
    return l;
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "whoever waits for an answer reads it, and wakes nobody") {
  biding_server peer; // else it is chance whether an answer is there before who waits for it
  auto e = to(peer.server.port());
  e.ping_interval = 60s;
  const auto l = connect(e);
  REQUIRE(r.wait([&] { return r.opened == 1; }));
  for (std::size_t i = 1; i <= 300; ++i) {
    l->send(frames({std::to_string(i)}));
    bool waits = false;
    CHECK(lend_again(
      *l, [&] { return heard() == i; },
      [&] {
        if (!std::exchange(waits, true))
          peer.may_answer.release();
      }));
    REQUIRE(r.wait([&] { return r.frames.size() == i; }));
    CHECK(r.frames.back() == std::to_string(i));
  }
  const auto by_me = std::count(r.told_on.begin(), r.told_on.end(), std::this_thread::get_id());
  CHECK(by_me > 270); // the loop may be at work at times, for an alarm
}

TEST_CASE_METHOD(fixture, "a thread lends itself to what others have sent") {
  misbehaving_server server{echo};
  const auto l = connected(server.port());
  const auto batches = r.told_on.size();
  for (int i = 0; i < 100; ++i) {
    const auto expected = heard() + 1;
    std::thread{[&] { l->send(frames({"not mine"})); }}.join();
    CHECK(lend(*l, [&] { return heard() == expected; }));
    REQUIRE(r.wait([&] { return r.frames.size() == expected; }));
  }
  const auto by_me =
    std::count(r.told_on.begin() + static_cast<std::ptrdiff_t>(batches), r.told_on.end(), std::this_thread::get_id());
  CHECK(by_me > 0); // the loop is often quicker than this thread
}

TEST_CASE_METHOD(fixture, "a connection has one guest, and others are sent away at once") {
  misbehaving_server server{echo_but_one};
  const auto l = connected(server.port());
  std::atomic<bool> is_there{false}, may_go{false};
  l->send(frames({"no answer"}));
  const auto its_own = std::make_shared<connection::doorbell>();
  std::thread guest{[&] {
    for (; !may_go; std::this_thread::yield()) // the loop may read in its stead, for a ping
      l->lend_thread(
        [&] {
          is_there = true;
          return may_go.load();
        },
        clock_type::now() + 10s, its_own);
  }};
  while (!is_there)
    std::this_thread::yield();
  std::size_t taken_in = 0; // is asked then whether it has what it waits for
  for (int i = 0; i < 200; ++i) {
    bool is_asked = false;
    lend(*l, [&] { return is_asked = true; });
    taken_in += is_asked;
  }
  may_go = true;
  its_own->ring();
  guest.join();
  CHECK(taken_in < 50);
}

TEST_CASE_METHOD(fixture, "a thread that is lent returns when it is rung, and the loop reads on") {
  std::promise<void> go;
  misbehaving_server server{[&](auto& peer) {
    peer.accept_websocket();
    while (auto text = peer.read_frame())
      if (*text == "later")
        go.get_future().wait(), peer.write_frame("late");
      else
        peer.write_frame(*text);
  }};
  const auto l = connected(server.port());
  std::atomic<bool> rung{false};
  l->send(frames({"later"}));
  std::thread other{[&] {
    wait_until_lent();
    rung = true;
    bell->ring();
  }};
  CHECK(lend_again(*l, [&] { return rung.load(); }));
  CHECK(rung);
  other.join();
  go.set_value();
  REQUIRE(r.wait([&] { return r.frames.back() == "late"; }));
  CHECK(r.told_on.back() != std::this_thread::get_id());
}

TEST_CASE_METHOD(fixture, "a thread that is lent returns when its time is over") {
  misbehaving_server server{echo_but_one};
  const auto l = connected(server.port());
  l->send(frames({"no answer"}));
  bool stayed = false;
  for (const auto until = clock_type::now() + 10s; !stayed && clock_type::now() < until;) // the loop may be at work
    stayed = !lend(
      *l, [] { return false; }, 20ms);
  CHECK(stayed);
  const auto before = heard();
  l->send(frames({"here?"}));
  CHECK(r.wait([&] { return r.frames.size() == before + 1; }));
}

TEST_CASE_METHOD(fixture, "a thread that is lent returns when the connection ends, whoever ends it") {
  const bool by_peer = GENERATE(true, false);
  misbehaving_server server{[&](auto& peer) {
    peer.accept_websocket();
    while (auto text = peer.read_frame())
      if (*text == "end" && by_peer)
        return; // without a word
      else if (*text != "end")
        peer.write_frame(*text);
  }};
  auto l = connected(server.port());
  l->send(frames({"end"}));
  std::thread other{[&] {
    wait_until_lent();
    if (!by_peer)
      l->close();
  }};
  CHECK(lend_again(*l, [&] { return has_ended(); }));
  other.join();
  CHECK(end().how == (by_peer ? connection::end::lost : connection::end::closed));
}

TEST_CASE_METHOD(fixture, "a thread that is lent returns when the loop gives the connection up") {
  misbehaving_server server{echo_but_one}; // which answers no ping
  const auto l = connected(server.port());
  l->send(frames({"no answer"}));
  CHECK(lend_again(*l, [&] { return has_ended(); }));
  CHECK(end().text == "a ping went unanswered");
}

TEST_CASE_METHOD(fixture, "a thread that is lent does not hold up a loop that stops") {
  misbehaving_server server{echo_but_one};
  const auto l = connected(server.port());
  l->send(frames({"no answer"}));
  std::thread other{[&] {
    wait_until_lent();
    loop->stop();
  }};
  CHECK(lend_again(*l, [&] { return has_ended(); }));
  other.join();
  CHECK(r.ends.size() == 1);
}

TEST_CASE_METHOD(fixture, "whoever lends itself does not become the reader of others' streams") {
  misbehaving_server server{[&](auto& peer) {
    peer.accept_websocket();
    while (auto text = peer.read_frame())
      if (*text == "many")
        for (int i = 0; i < 4000; ++i)
          peer.write_frame(std::to_string(i));
      else
        peer.write_frame(*text);
  }};
  const auto l = connected(server.port());
  const auto before = heard();
  const auto batches = r.told_on.size();
  l->send(frames({"many"}));
  lend(*l, [&] { return heard() == before + 4000; });
  REQUIRE(r.wait([&] { return r.frames.size() == before + 4000; }));
  const auto by_me =
    std::count(r.told_on.begin() + static_cast<std::ptrdiff_t>(batches), r.told_on.end(), std::this_thread::get_id());
  CHECK(by_me <= 8);
}

TEST_CASE("however threads lend themselves, peers break and loops stop, nobody waits in vain") {
  constexpr std::size_t lines = 3, callers = 3;
  std::mt19937 chance{20261129};
  std::size_t asked = 0, answered = 0;
  for (int round = 0; round < 60; ++round) {
    std::vector<std::unique_ptr<misbehaving_server>> servers;
    std::vector<record> records(lines);
    connection::event_loops loops{1 + chance() % 2, {}};
    std::vector<std::unique_ptr<connection::link>> links;
    for (std::size_t i = 0; i < lines; ++i) {
      const bool breaks = chance() % 2 == 0;
      const auto answers = chance() % 200;
      servers.push_back(std::make_unique<misbehaving_server>([=](auto& peer) {
        peer.accept_websocket();
        std::size_t n = 0;
        while (auto text = peer.read_frame()) {
          if (breaks && n++ == answers)
            return answers % 2 == 0 ? peer.write_close(1001, "") : peer.begin_frame(100);
          peer.write_frame(*text);
        }
      }));
      links.push_back(loops.connect({.host = "127.0.0.1", .port = servers.back()->port(), .path = "/"},
                                    std::make_unique<recorder>(records[i])));
      REQUIRE(records[i].wait([&] { return records[i].opened == 1; }));
    }
    std::atomic<std::size_t> vain{0}, questions{0}, answers{0};
    std::atomic<std::size_t> left{lines * callers};
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < lines * callers; ++t)
      threads.emplace_back([&, t, seed = chance()] {
        std::mt19937 mine{static_cast<std::mt19937::result_type>(seed)};
        auto& r = records[t % lines];
        const auto bell = std::make_shared<connection::doorbell>();
        for (int i = 0; i < 60; ++i) {
          const auto text =
            std::to_string(t) + " " + std::to_string(i) + std::string(mine() % 32 == 0 ? 200'000 : 0, ' ');
          const auto there = [&] {
            return !r.ends.empty() || std::find(r.frames.rbegin(), r.frames.rend(), text) != r.frames.rend();
          };
          const auto done = [&] {
            const std::lock_guard guard{r.mutex};
            return there();
          };
          links[t % lines]->send(frames({text}));
          if (mine() % 4 != 0) {
            const auto until = clock_type::now() + 10s;
            links[t % lines]->lend_thread(done, until, bell);
            if (clock_type::now() >= until)
              ++vain;
          }
          ++questions;
          if (!r.wait(there)) {
            ++vain;
            break;
          }
          const std::lock_guard guard{r.mutex};
          if (!r.ends.empty())
            break;
          ++answers;
        }
        --left;
      });
    if (round % 3 == 0) { // in the middle of it
      while (answers < 100 && left > 0)
        std::this_thread::yield();
      loops.stop();
    }
    for (auto& t : threads)
      t.join();
    CHECK(vain == 0);
    asked += questions;
    answered += answers;
    loops.stop();
    for (const auto& r : records)
      CHECK(r.ends.size() == 1);
  }
  CHECK(answered > asked / 2);
}
