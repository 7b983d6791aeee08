// Places beside a connection: a thread that reads it in the loop's place for as long as messages come.
#include "actors/receiver/beside_connection.hpp"
#include "libstargate/connection/doorbell.hpp"
#include "test/connection_fixture.hpp"

#include <stargate/stargate.hpp>

#include <algorithm>
#include <atomic>
#include <functional>
#include <future>
#include <random>

namespace connection = stargate::connection;
using stargate::internal::beside_connection;
using stargate::test::echo, stargate::test::frames, stargate::test::misbehaving_server, stargate::test::record,
  stargate::test::recorder;
using namespace std::chrono_literals;

namespace {

using clock_type = std::chrono::steady_clock;

struct fixture : stargate::test::connection_fixture {
  std::shared_ptr<connection::doorbell> bell = std::make_shared<connection::doorbell>();

  std::size_t heard() {
    const std::lock_guard guard{r.mutex};
    return r.frames.size();
  }
  std::thread::id heard_on() {
    const std::lock_guard guard{r.mutex};
    return r.told_on.back();
  }
  bool has_ended() {
    const std::lock_guard guard{r.mutex};
    return !r.ends.empty();
  }
  std::unique_ptr<connection::link> connected(std::uint16_t port) {
    auto e = to(port);
    e.ping_interval = 60s; // no server here answers one, and a seat may be long in coming
    auto l = connect(e);
    REQUIRE(r.wait([&] { return r.opened == 1; }));
    return l;
  }
  /// The loop may be at work, for a moment.
  static std::unique_ptr<connection::seat> seat_at(connection::link& l,
                                                   const std::shared_ptr<connection::doorbell>& by) {
    const auto until = clock_type::now() + 10s;
    auto seat = l.take_seat(by);
    while (!seat && clock_type::now() < until) {
      std::this_thread::yield();
      seat = l.take_seat(by);
    }
    REQUIRE(seat);
    return seat;
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "whoever has a seat reads what comes, one message after the other") {
  misbehaving_server server{echo};
  const auto l = connected(server.port());
  std::unique_ptr<connection::seat> seat;
  std::size_t by_me = 0;
  for (std::size_t i = 1; i <= 300; ++i) {
    if (!seat) // at first, and when the loop was at work
      seat = seat_at(*l, bell);
    l->send(frames({std::string(i % 50 == 0 ? 300'000 : 10, 'x')}));
    if (!seat->wait([&] { return heard() == i; }, clock_type::now() + 10s))
      seat.reset();
    REQUIRE(r.wait([&] { return r.frames.size() == i; }));
    by_me += heard_on() == std::this_thread::get_id();
  }
  CHECK(by_me > 200);
}

TEST_CASE_METHOD(fixture, "a connection has one seat, and another when that is left") {
  misbehaving_server server{echo};
  const auto l = connected(server.port());
  auto seat = seat_at(*l, bell);
  const auto other = std::make_shared<connection::doorbell>();
  CHECK_FALSE(l->take_seat(other));
  seat.reset();
  CHECK(seat_at(*l, other));
}

TEST_CASE_METHOD(fixture, "what comes while nobody sits there is read by the loop, as soon as the seat is left") {
  misbehaving_server server{echo};
  const auto l = connected(server.port());
  auto seat = seat_at(*l, bell);
  static_cast<void>(seat->wait([] { return true; }, {}));
  l->send(frames({"a"}));
  seat.reset();
  REQUIRE(r.wait([&] { return r.frames.size() == 1; }));
  CHECK(heard_on() != std::this_thread::get_id());
}

TEST_CASE_METHOD(fixture, "whoever stays away from a seat loses it, and the loop reads") {
  misbehaving_server server{echo};
  const auto l = connected(server.port());
  const auto seat = seat_at(*l, bell);
  static_cast<void>(seat->wait([] { return true; }, {}));
  l->send(frames({"a"}));
  REQUIRE(r.wait([&] { return r.frames.size() == 1; }));
  CHECK(heard_on() != std::this_thread::get_id());
  CHECK_FALSE(seat->wait([] { return false; }, clock_type::now() + 10s));
}

TEST_CASE_METHOD(fixture, "whoever comes back to a seat often keeps it") {
  misbehaving_server server{echo};
  const auto l = connected(server.port());
  bool is_kept = false;
  for (int i = 0; i < 50 && !is_kept; ++i) { // this thread, or the loop, may be kept from running
    const auto seat = seat_at(*l, bell);
    const auto until = clock_type::now() + 50ms;
    is_kept = true;
    while (clock_type::now() < until && is_kept) {
      is_kept = seat->wait([] { return true; }, {});
      std::this_thread::sleep_for(1ms); // as one that handles what it has read; the loop may have its turn
    }
  }
  CHECK(is_kept);
}

TEST_CASE_METHOD(fixture, "a wait ends with a ring, with its time, and with the connection") {
  const auto how = GENERATE("ring", "time", "close", "peer", "stop");
  misbehaving_server server{[](auto& peer) {
    peer.accept_websocket();
    while (auto text = peer.read_frame())
      if (*text == "end")
        return;
  }};
  auto l = connected(server.port());
  auto seat = seat_at(*l, bell);
  const bool ends = how != std::string_view{"ring"} && how != std::string_view{"time"};
  std::atomic<bool> rung{false};
  std::thread other{[&] {
    if (how == std::string_view{"ring"})
      rung = true, bell->ring();
    if (how == std::string_view{"close"})
      l->close();
    if (how == std::string_view{"peer"})
      l->send(frames({"end"}));
    if (how == std::string_view{"stop"})
      loop->stop();
  }};
  const auto until = clock_type::now() + (how == std::string_view{"time"} ? 20ms : 20'000ms);
  bool is_kept = seat->wait([&] { return rung.load(); }, until);
  while (!is_kept && !has_ended() && !rung && clock_type::now() < until) { // the loop was at work
    seat.reset();
    seat = l->take_seat(bell);
    is_kept = seat && seat->wait([&] { return rung.load(); }, until);
  }
  CHECK_FALSE((is_kept && ends));
  CHECK((clock_type::now() < until) == (how != std::string_view{"time"}));
  other.join();
  CHECK(r.wait([&] { return r.ends.size() == 1; }, ends ? 10'000ms : 0ms) == ends);
}

TEST_CASE_METHOD(
  fixture, "a loop that is at work for long keeps nobody who has a seat waiting, and reads for them when it is done") {
  /// Holds the loop for as long as the test wants.
  struct holding final : connection::observer {
    std::promise<void>&held, &go;
    std::atomic<bool>& is_first;
    holding(std::promise<void>& h, std::promise<void>& g, std::atomic<bool>& f) : held{h}, go{g}, is_first{f} {}
    void on_open() override {}
    void on_frames(std::vector<std::string>, connection::load) override {
      if (!is_first.exchange(false))
        return;
      held.set_value();
      go.get_future().wait();
    }
    void on_end(connection::ended) override {}
  };
  const bool waits = GENERATE(true, false);
  misbehaving_server server{echo}, other{echo};
  std::promise<void> held, go;
  std::atomic<bool> is_first{true};
  const auto l = connected(server.port());
  auto seat = seat_at(*l, bell);
  static_cast<void>(seat->wait([] { return true; }, {}));
  const auto busy = loop->connect(to(other.port()), std::make_unique<holding>(held, go, is_first));
  busy->send(frames({"?"}));
  held.get_future().wait();
  l->send(frames({"a"}));
  const auto before = clock_type::now();
  if (waits)
    CHECK_FALSE(seat->wait([] { return false; }, before + 10s));
  seat.reset();
  CHECK_FALSE(l->take_seat(bell));
  CHECK(clock_type::now() - before < 5s);
  go.set_value();
  REQUIRE(r.wait([&] { return r.frames.size() == 1; }));
  CHECK(heard_on() != std::this_thread::get_id());
}

TEST_CASE_METHOD(fixture, "a seat may outlive its connection, and its loop") {
  misbehaving_server server{echo};
  auto l = connected(server.port());
  auto seat = seat_at(*l, bell);
  const auto before = clock_type::now();
  l.reset();
  if (GENERATE(true, false)) {
    loop->stop();
    loop = connection::event_loop::start();
  }
  REQUIRE(r.wait([&] { return r.ends.size() == 1; }));
  CHECK(clock_type::now() - before < 900ms); // the loop has read the peer's answer
  CHECK_FALSE(seat->wait([] { return false; }, clock_type::now() + 10s));
}

TEST_CASE("however seats are taken, kept and left, peers break and loops stop, each message is heard once, in order") {
  std::mt19937 chance{20261130};
  std::size_t by_guests = 0, all = 0;
  for (int round = 0; round < 40; ++round) {
    const std::size_t count = 20 + chance() % 200;
    const bool breaks = chance() % 4 == 0, stops = chance() % 4 == 0;
    misbehaving_server server{[&, seed = chance()](auto& peer) {
      std::mt19937 mine{static_cast<std::mt19937::result_type>(seed)};
      peer.accept_websocket();
      for (std::size_t i = 0; i < count; ++i) {
        auto text = std::to_string(i) + " ";
        text.resize(mine() % 8 == 0 ? 200'000 : text.size(), ' ');
        peer.write_frame(text, mine() % 4 == 0 ? 1 + mine() % 100'000 : std::string::npos);
        if (mine() % 16 == 0)
          std::this_thread::sleep_for(
            std::chrono::microseconds{mine() % 15'000}); // longer than one may be away, at times
      }
      if (breaks)
        return;
      while (peer.read_frame())
        ;
    }};
    record r;
    auto loop = connection::event_loop::start();
    auto l = loop->connect({.host = "127.0.0.1", .port = server.port(), .path = "/"}, std::make_unique<recorder>(r));
    REQUIRE(r.wait([&] { return r.opened == 1; }));
    const auto heard = [&] {
      const std::lock_guard guard{r.mutex};
      return r.ends.empty() ? r.frames.size() : count;
    };
    std::atomic<bool> in_vain{false};
    std::vector<std::thread> guests;
    for (int g = 0; g < 2; ++g)
      guests.emplace_back([&, seed = chance()] {
        std::mt19937 mine{static_cast<std::mt19937::result_type>(seed)};
        const auto bell = connection::doorbell_of_this_thread();
        std::unique_ptr<connection::seat> seat;
        const auto give_up = clock_type::now() + 20s;
        while (heard() < count && clock_type::now() < give_up) {
          if (!seat)
            seat = l->take_seat(bell);
          const auto before = heard();
          if (!seat || !seat->wait([&] { return heard() > before; }, clock_type::now() + 2ms))
            seat.reset();
          if (mine() % 32 == 0)
            std::this_thread::sleep_for(std::chrono::microseconds{mine() % 15'000});
          if (mine() % 8 == 0)
            seat.reset();
        }
        in_vain = in_vain || clock_type::now() >= give_up;
      });
    if (stops) {
      while (heard() < count / 2)
        std::this_thread::yield();
      loop->stop();
    }
    for (auto& g : guests)
      g.join();
    CHECK_FALSE(in_vain);
    l.reset();
    REQUIRE(r.wait([&] { return r.ends.size() == 1; }));
    const std::lock_guard guard{r.mutex};
    if (!stops)
      CHECK(r.frames.size() == count);
    for (std::size_t i = 0; i < r.frames.size(); ++i)
      REQUIRE(r.frames[i].starts_with(std::to_string(i) + " "));
    by_guests += static_cast<std::size_t>(
      std::count_if(r.told_on.begin(), r.told_on.end(), [&](std::thread::id who) { return who != r.told_on.front(); }));
    all += r.told_on.size();
  }
  CHECK(by_guests > all / 10);
}

// -- who takes one

namespace {

struct mail : stargate::compat::mail_bell {
  void come() { tell_of_mail(); }
};

/// Notes what is done with its seat.
struct noting_link final : connection::link {
  struct place final : connection::seat {
    noting_link& of;
    explicit place(noting_link& in) : of{in} { ++of.taken; }
    ~place() override { ++of.left; }
    bool wait(const std::function<bool()>& done, clock_type::time_point until) override {
      of.waits += until > clock_type::now();
      of.stays += until <= clock_type::now();
      of.at_wait(done);
      return of.keeps;
    }
  };
  int taken = 0, left = 0, waits = 0, stays = 0;
  bool keeps = true;
  std::function<void(const std::function<bool()>&)> at_wait = [](const auto&) {};
  std::shared_ptr<connection::doorbell> bell;

  void send(std::vector<connection::frame>) override {}
  void close() override {}
  std::unique_ptr<connection::seat> take_seat(const std::shared_ptr<connection::doorbell>& by) override {
    bell = by;
    return std::make_unique<place>(*this);
  }
};

struct processor_fixture {
  std::shared_ptr<noting_link> link = std::make_shared<noting_link>();
  beside_connection place;
  mail box;
  bool there = true;
  clock_type::time_point now{1h};
  std::uint64_t turns = 1000; // of others, before it came

  processor_fixture() { be_alone(); }
  void be_alone() {
    for (int i = 0; i < 9; ++i)
      place.note_turns(++turns);
  }
  void deliver(std::size_t count, std::size_t bytes, clock_type::duration after) {
    place.note(link, count, bytes, now += after);
  }
  bool wait() {
    return place.wait(box, [this] { return there; });
  }
};

} // namespace

TEST_CASE_METHOD(processor_fixture,
                 "a processor sits where messages come large, or one at a time, soon after one another") {
  struct row {
    std::size_t count, bytes;
    clock_type::duration after;
    bool sits;
  };
  const auto [count, bytes, after, sits] = GENERATE(
    row{1, 100, 1ms, true}, row{1, 100, 100us, false}, row{2, 200, 1ms, false}, row{1, 100, 20ms, false},
    row{1, 100'000, 1us, true}, row{3, 300'000, 1us, true}, row{3, 60'000, 1us, false}, row{1, 100'000, 20ms, false});
  deliver(1, 100, 1h);
  CHECK_FALSE(wait());
  deliver(count, bytes, after);
  CHECK(wait() == sits);
  place.work_on();
  CHECK(link->taken == sits);
  CHECK(link->waits == sits);
  CHECK(link->stays == sits);
  CHECK(link->left == 0);
}

TEST_CASE_METHOD(processor_fixture,
                 "a processor leaves its seat when nothing comes, when it is told to, and when it is taken back") {
  deliver(1, 100'000, 1h);
  deliver(1, 100'000, 1us);
  REQUIRE(wait());
  SECTION("nothing comes") {
    there = false;
    CHECK_FALSE(wait());
  }
  SECTION("messages stream") {
    deliver(10, 1000, 1us);
    CHECK_FALSE(wait());
  }
  SECTION("it is told to") {
    place.leave();
  }
  SECTION("others want the thread") {
    place.note_turns(turns += 10);
    CHECK_FALSE(wait());
  }
  SECTION("others want the thread, and it works") {
    place.note_turns(turns += 10);
    place.work_on();
  }
  SECTION("it was away") {
    link->keeps = false;
    CHECK(wait());
  }
  SECTION("it was away, and works") {
    link->keeps = false;
    place.work_on();
  }
  CHECK(link->taken == 1);
  CHECK(link->left == 1);
}

TEST_CASE_METHOD(processor_fixture,
                 "a processor sits where it has had the threads for itself, or with one other, for a while") {
  const auto others = GENERATE(0u, 1u, 2u, 3u, 10u);
  CAPTURE(others);
  place.note_turns(turns += 10);
  deliver(1, 100'000, 1h);
  deliver(1, 100'000, 1us);
  CHECK_FALSE(wait());
  for (int i = 0; i < 9; ++i) {
    deliver(1, 100'000, 1us);
    place.note_turns(turns += 1 + others);
  }
  CHECK(wait() == (others <= 2));
}

TEST_CASE_METHOD(processor_fixture,
                 "a processor that sits does not keep a connection that is gone, and hears of mail by its bell") {
  deliver(1, 100'000, 1h);
  deliver(1, 100'000, 1us);
  bool was_rung = false;
  link->at_wait = [&](const auto&) {
    box.come(); // from this thread, which looks itself
    std::thread{[&] { box.come(); }}.join();
    const auto before = clock_type::now();
    static_cast<void>(link->bell->wait_beside(-1, before + 10s));
    was_rung = clock_type::now() < before + 5s;
  };
  REQUIRE(wait());
  CHECK(was_rung);
  place.leave();
  link.reset();
  CHECK_FALSE(wait());
}

// -- whole: a consumer with a handler on a thread of its own

namespace {

/// A broker that sends large messages, one after the other, and counts what is acknowledged.
struct pacing_broker {
  std::atomic<std::size_t> acknowledged{0};
  std::size_t messages;
  std::unique_ptr<misbehaving_server> server;

  explicit pacing_broker(std::size_t count) : messages{count} {
    server = std::make_unique<misbehaving_server>([this](auto& peer) {
      peer.accept_websocket();
      std::mt19937 mine{7};
      for (std::size_t i = 0; i < messages; ++i) {
        peer.write_frame(R"({"messageId":"CAAQAQ==","payload":")" + std::string(60'000, 'A')
                         + R"(","publishTime":"2026-11-29T10:00:00.000Z","redeliveryCount":0,"properties":{}})");
        if (mine() % 3 == 0)
          std::this_thread::sleep_for(std::chrono::microseconds{mine() % 2'500});
      }
      while (acknowledged < messages && peer.read_frame())
        ++acknowledged;
      while (peer.read_frame())
        ;
    });
  }
};

} // namespace

TEST_CASE("a consumer that sits beside its connection handles and acknowledges all, and ends when it is to") {
  const bool in_the_middle = GENERATE(false, true);
  pacing_broker broker{300};
  caf::actor_system_config config;
  caf::actor_system system{config};
  std::atomic<std::size_t> handled{0};
  stargate::options o;
  o.hosts = {{"127.0.0.1", broker.server->port()}};
  o.idle_check = 0ms;
  o.consumers = {{.topic = {.topic = "orders"}, .subscription = "s", .handler = [&](const stargate::received_message&) {
                    ++handled;
                    return stargate::disposition::ack;
                  }}};
  const auto t = stargate::start(system, o);
  REQUIRE(t);
  const auto until = clock_type::now() + 20s;
  while (in_the_middle ? handled < 100 : broker.acknowledged < broker.messages) {
    std::this_thread::yield();
    REQUIRE(clock_type::now() < until);
  }
  if (!in_the_middle)
    CHECK(handled == broker.messages);
  const auto before = clock_type::now();
  CHECK_FALSE(t->stop(10s));
  CHECK(clock_type::now() - before < 4s); // less than it takes to be killed
}
