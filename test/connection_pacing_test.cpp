// What waits for what on a connection, and for how long: frames of a group, and what a peer says while much is unsent.
#include "test/connection_fixture.hpp"

#include <catch2/catch.hpp>

#include <future>
#include <random>
#include <thread>

namespace connection = stargate::connection;
using connection::ended, connection::observer;
using stargate::test::misbehaving_server;
using namespace std::chrono_literals;

namespace {

using clock = std::chrono::steady_clock;
using fixture = stargate::test::connection_fixture;
using stargate::test::frames, stargate::test::record, stargate::test::recorder;

} // namespace

TEST_CASE("one message after the other's answer is not kept waiting, by far, for more that never comes") {
  constexpr int rounds = 400;
  class asking final : public observer {
  public:
    asking(record& r, std::shared_ptr<connection::link>& l) : inner_{r}, link_{l} {}
    void on_open() override { inner_.on_open(); }
    void on_frames(std::vector<std::string> frames, connection::load load) override {
      if (++count_ < rounds)
        link_->send(stargate::test::frames({"?"}));
      inner_.on_frames(std::move(frames), load);
    }
    void on_end(ended why) override { inner_.on_end(std::move(why)); }

  private:
    recorder inner_;
    std::shared_ptr<connection::link>& link_;
    int count_ = 0;
  };
  // as long as gathering for each would take, measured by what it does
  const auto gathering = [] {
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < rounds; ++i)
      std::this_thread::sleep_for(200us);
    return std::chrono::steady_clock::now() - began;
  };
  bool was_so = false; // a machine may be too busy for answers that come at once
  for (int attempt = 0; attempt < 50 && !was_so; ++attempt) {
    fixture f;
    misbehaving_server server{stargate::test::echo};
    std::shared_ptr<connection::link> l;
    auto to = f.to(server.port());
    to.ping_interval = 60s; // which the server does not answer
    l = f.loop->connect(to, std::make_unique<asking>(f.r, l));
    REQUIRE(f.r.wait([&] { return f.r.opened == 1; }));
    const auto began = std::chrono::steady_clock::now();
    l->send(frames({"?"}));
    const bool all = f.r.wait([&] { return f.r.frames.size() == rounds; }, 60s);
    const auto took = std::chrono::steady_clock::now() - began;
    f.loop->stop(); // while the observer has its link
    REQUIRE(all);
    was_so = took < gathering() * 2 / 3; // every second one is gathered where none is known to be in vain
  }
  CHECK(was_so);
}

TEST_CASE("while much is unsent, and the peer takes nothing, what it says is told in fewer batches, and soon") {
  constexpr std::size_t said = 30;
  bool was_soon = false; // a machine may be busy with something else
  for (int round = 0; round < 20 && !was_soon; ++round) {
    fixture f;
    std::promise<void> sent, told;
    std::promise<clock::time_point> began, ended;
    misbehaving_server server{[&](auto& peer) {
      peer.accept_websocket();
      peer.read_frame(); // then it reads no more
      static_cast<void>(sent.get_future().wait_for(10s));
      began.set_value(clock::now());
      for (std::size_t i = 0; i < said; ++i) {
        peer.write_frame(std::to_string(i));
        std::this_thread::sleep_for(1ms); // longer than a loop waits for more of a stream
      }
      ended.set_value(clock::now());
      static_cast<void>(told.get_future().wait_for(10s));
    }};
    auto to = f.to(server.port());
    to.ping_interval = 60s; // nothing else has the loop look
    const auto l = f.connect(to);
    l->send(frames(std::vector<std::string>(400, std::string(100'000, 'x')))); // more than sockets take
    sent.set_value();
    const bool all = f.r.wait([&] { return f.r.frames.size() == said; });
    const auto heard = clock::now();
    told.set_value();
    REQUIRE(all);
    for (std::size_t i = 0; i < said; ++i)
      REQUIRE(f.r.frames[i] == std::to_string(i));
    const auto first = began.get_future().get(), last = ended.get_future().get();
    CAPTURE((heard - first) / 1us);
    CHECK(f.r.told_on.size() <= static_cast<std::size_t>((heard - first) / 10ms) + 2); // however slow the peer is
    was_soon = heard - last < last - first;
  }
  CHECK(was_soon);
}

TEST_CASE("whatever a peer reads and says, and when, all that it says is told in order, though it reads no more") {
  constexpr int rounds = 12;
  for (unsigned seed = 1; seed <= rounds; ++seed) {
    CAPTURE(seed);
    fixture f;
    std::mt19937 chance(seed);
    const bool is_small = chance() % 3 == 0; // then more may be said than goes into a batch
    const auto many = is_small ? 12'000 : 50 + chance() % 400, size = is_small ? 3000 : 1 + chance() % 100'000;
    const bool closes = chance() % 2 == 0;
    std::size_t said = 0; // read when `last` is set
    std::promise<void> last, told;
    misbehaving_server server{[&, chance](auto& peer) mutable {
      peer.accept_websocket();
      std::size_t to_read = many;
      for (auto deeds = 20 + chance() % 60; deeds > 0; --deeds)
        switch (chance() % 3) {
          case 0:
            for (auto n = std::min<std::size_t>(chance() % 20, to_read); n > 0; --n, --to_read)
              peer.read_frame();
            break;
          case 1:
            for (auto n = chance() % (chance() % 16 == 0 ? 1500 : 5); n > 0; --n)
              peer.write_frame(std::to_string(said++));
            break;
          default: std::this_thread::sleep_for(std::chrono::microseconds{chance() % 4000});
        }
      if (closes)
        peer.write_close(1000, "");
      last.set_value();
      static_cast<void>(told.get_future().wait_for(20s));
      if (!closes) { // and goes, in the midst of what it is told
        peer.write_frame("heard or not");
        std::this_thread::sleep_for(std::chrono::microseconds{chance() % 4000});
      }
    }};
    auto to = f.to(server.port());
    to.ping_interval = 60s;
    const auto l = f.connect(to);
    l->send(frames(std::vector<std::string>(many, std::string(size, 'x'))));
    last.get_future().get();
    const bool all = f.r.wait([&] { return f.r.frames.size() == said && (!closes || !f.r.ends.empty()); });
    told.set_value();
    REQUIRE(all);
    static_cast<void>(f.end());
    for (std::size_t i = 0; i < said; ++i)
      REQUIRE(f.r.frames[i] == std::to_string(i));
  }
}

TEST_CASE_METHOD(fixture, "frames of a group wait for one another, but not for those that do not wait") {
  std::promise<void> first, waiting;
  misbehaving_server server{[&](auto& peer) {
    peer.accept_websocket();
    std::string seen;
    seen += peer.read_frame().value_or("nothing");
    first.set_value();
    waiting.get_future().get();
    seen += peer.is_quiet(50) ? " quiet " : " more ";
    peer.write_frame(seen);
    for (seen.clear(); seen.size() < 4;)
      seen += peer.read_frame().value_or("nothing");
    peer.write_frame(seen);
    for (seen.clear(); seen.size() < 2;)
      seen += peer.read_frame().value_or("nothing");
    peer.write_frame(seen);
    peer.read_frame();
  }};
  const connection::grouping how{24h, 5};
  auto e = to(server.port());
  e.ping_interval = 60s; // a ping would take them along
  const auto l = connect(e);
  REQUIRE(r.wait([&] { return r.opened == 1; }));
  l->send_grouped(frames({"1"}), how);
  first.get_future().get(); // what is written takes along all that is there
  for (const auto* text : {"2", "3", "4"})
    l->send_grouped(frames({text}), how);
  waiting.set_value();
  REQUIRE(r.wait([&] { return r.frames.size() == 1; }));
  CHECK(r.frames[0] == "1 quiet ");
  const bool by_number = GENERATE(true, false);
  if (by_number)
    l->send_grouped(frames({"5", "6"}), how);
  else
    l->send(frames({"5"}));
  REQUIRE(r.wait([&] { return r.frames.size() == 2; }));
  CHECK(r.frames[1] == "2345");
  if (!by_number)
    l->send_grouped(frames({"6"}), how);
  l->send_grouped(frames({"7"}), how);
  l->close(); // takes along what waits
  REQUIRE(r.wait([&] { return r.frames.size() == 3; }));
  CHECK(r.frames[2] == "67");
}

TEST_CASE("however frames are grouped, and whoever sends meanwhile, all go in order, and the last ones by themselves") {
  constexpr unsigned rounds = 20;
  for (unsigned seed = 1; seed <= rounds; ++seed) {
    CAPTURE(seed);
    record theirs;
    fixture f;
    std::mt19937 chance(seed);
    misbehaving_server server{stargate::test::echo};
    std::vector<std::unique_ptr<misbehaving_server>> their_servers;
    std::vector<std::unique_ptr<connection::link>> others; // which keep the loop awake
    auto to = f.to(server.port());
    to.ping_interval = 60s;
    const auto l = f.connect(to);
    for (auto n = chance() % 3; n > 0; --n) {
      their_servers.push_back(std::make_unique<misbehaving_server>(stargate::test::echo));
      auto there = f.to(their_servers.back()->port());
      others.push_back(f.loop->connect(there, std::make_unique<recorder>(theirs)));
    }
    const bool closes = chance() % 3 == 0;
    const auto many = 1 + chance() % 400;
    const auto pace = 1 + chance() % 2000;
    for (unsigned i = 0; i < many;) {
      std::vector<std::string> texts;
      for (auto n = 1 + chance() % 4; n > 0 && i < many; --n)
        texts.push_back(std::to_string(i++));
      if (chance() % 8 == 0)
        l->send(frames(std::move(texts)));
      else
        l->send_grouped(frames(std::move(texts)),
                        {std::chrono::milliseconds{chance() % 20}, 1 + chance() % (chance() % 4 == 0 ? 3 : 200)});
      for (const auto& other : others)
        other->send(frames({std::string(chance() % 5000, 'x')}));
      if (chance() % 2 == 0)
        std::this_thread::sleep_for(std::chrono::microseconds{chance() % pace});
    }
    if (closes)
      l->close();
    // An echo may be lost with the connection that is closed, but none before it.
    REQUIRE(f.r.wait([&] { return closes ? !f.r.ends.empty() : f.r.frames.size() == many; }));
    for (std::size_t i = 0; i < f.r.frames.size(); ++i)
      REQUIRE(f.r.frames[i] == std::to_string(i));
    if (closes)
      CHECK(f.r.ends[0].how == connection::end::closed);
  }
}
