#include "testing/world.hpp"

#include "actors/receiver/messages.hpp"
#include "libstargate/protocol/base64.hpp"
#include "libstargate/rest/failure.hpp"
#include "testing/network.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace stargate::testing {

using namespace compat;

namespace {

constexpr std::int64_t began = 1'767'225'600'000; // 2026-01-01
constexpr std::uint64_t most_steps_in_no_time = 10'000'000;

std::string content_of(const box::message& m) {
  std::string bytes;
  static_cast<void>(protocol::decode_base64(m.payload, bytes));
  return bytes;
}

message plain(const box::message& m) {
  message result{.payload = content_of(m), .key = m.key};
  for (const auto& [name, value] : m.properties)
    result.properties.insert_or_assign(name, value);
  if (m.event_time != 0)
    result.event_time = std::chrono::system_clock::time_point{std::chrono::milliseconds{m.event_time}};
  return result;
}

std::int64_t milliseconds_of(std::chrono::system_clock::time_point at) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
}

} // namespace

// -- what a tree takes from the world ---------------------------------------------------

namespace {

/// One for each tree: it stops with it, and the world goes on.
class transport_of_tree final : public connection::transport {
public:
  explicit transport_of_tree(world::implementation& in) : in_{in} {}
  std::unique_ptr<connection::link> connect(connection::endpoint to,
                                            std::unique_ptr<connection::observer> who) override {
    return in_.connect(std::move(to), std::move(who));
  }
  void stop() override {}

private:
  world::implementation& in_;
};

/// The world is there as long as its trees are.
class environment_of_world final : public internal::environment {
public:
  explicit environment_of_world(world::implementation& in) : in_{in} {}

  std::shared_ptr<connection::transport> make_transport(const options&) override {
    return std::make_shared<transport_of_tree>(in_);
  }
  admin make_admin(const options&, std::chrono::milliseconds) override {
    return admin{[this](std::string_view method, const std::string& path, const std::string& body) {
      return in_.request(method, path, body);
    }};
  }
  std::uint64_t random() override { return in_.random(); }
  bool has_threads() const override { return false; }
  bool may_wait() const override { return in_.may_wait; }
  bool wait(std::unique_lock<std::mutex>& lock, std::condition_variable&, clock::time_point until,
            const std::function<bool()>& done) override {
    constexpr std::chrono::hours longest{10'000};
    const auto left = std::min<clock::duration>(until - in_.begin, longest);
    const auto limit = std::chrono::duration_cast<std::chrono::microseconds>(left).count() + 1;
    bool is_done = done();
    while (!is_done && in_.now < limit) {
      lock.unlock();
      in_.step(limit);
      lock.lock();
      is_done = done();
    }
    return is_done;
  }

private:
  world::implementation& in_;
};

} // namespace

world::implementation::implementation(std::uint64_t seed) : random{seed}, broker{began} {
  system.actors().await_actors_before_shutdown(false); // those of the test may be left
  environment = std::make_shared<environment_of_world>(*this);
}

world::implementation::~implementation() {
  static_cast<void>(stop_all(system.actors()));
  system.run();
  events.clear();
}

// -- time -------------------------------------------------------------------------------

void world::implementation::set_time(box::micros to) {
  now = std::max(now, to);
  system.set_time(begin + std::chrono::microseconds{now});
}

box::micros world::implementation::next_timer() const {
  const auto next = system.next_timer();
  if (!next)
    return box::never;
  return std::max<box::micros>(0, std::chrono::ceil<std::chrono::microseconds>(*next - begin).count());
}

bool world::implementation::step(box::micros limit) {
  const auto next_event = events.empty() ? box::never : events.begin()->first;
  const auto due = std::min({next_event, broker.next_due(), next_timer()});
  // What is due goes on beside the actors, in any order.
  if (system.waiting() != 0 && (due > now || below(2) == 0)) {
    const bool before = std::exchange(may_wait, false);
    system.run_one(below(system.waiting()));
    may_wait = before;
    return true;
  }
  if (due > limit) {
    set_time(limit);
    return false;
  }
  set_time(due);
  if (next_event <= now) {
    const auto first = events.extract(events.begin());
    first.mapped()();
    broker.advance(now);
  } else if (next_timer() <= now) {
    system.ring();
  } else {
    broker.advance(now);
  }
  return true;
}

caf::expected<std::string> world::implementation::request(std::string_view method, const std::string& path,
                                                          const std::string& body) {
  if (is_down)
    return make_error(errc::connection_failed, std::string{method} + " " + path + ": the broker is down");
  const auto said = broker.request(method, "/admin/v2/" + path, body);
  broker.advance(now);
  if (said.status >= 200 && said.status < 300)
    return said.body;
  return rest::failure(std::string{method} + " " + path, said.status, said.body);
}

// -- the face -----------------------------------------------------------------------------

received_message make_received_message(message content) {
  static std::int64_t entry = 0;
  received_message m;
  m.id.value = box::message_id{{1, entry++}}.text();
  m.payload = content.bytes();
  m.key = std::move(content.key);
  m.properties = std::move(content.properties);
  m.event_time = content.event_time;
  m.publish_time = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  return m;
}

world::world(std::uint64_t seed) : inside_{std::make_shared<implementation>(seed)} {}
world::~world() = default;

caf::actor_system& world::system() {
  return inside_->system.actors();
}

caf::expected<tree> world::start(options o) {
  return internal::start_in(inside_->system.actors(), std::move(o), inside_->environment);
}

child_spec world::tree_spec(options o, child_id id, stargate::restart restart) {
  return internal::tree_spec_in(std::move(o), std::move(id), restart, inside_->environment);
}

void world::advance(std::chrono::milliseconds time) {
  const auto limit = inside_->now + time.count() * box::millisecond;
  std::uint64_t steps = 0;
  while (inside_->step(limit))
    if (++steps > most_steps_in_no_time)
      throw std::logic_error{"the actors never come to rest: one of them sends itself messages without a delay?"};
}

bool world::run_until(const std::function<bool()>& done, std::chrono::milliseconds at_most) {
  const auto limit = inside_->now + at_most.count() * box::millisecond;
  while (!done())
    if (!inside_->step(limit))
      return done();
  return true;
}

std::chrono::milliseconds world::now() const {
  return std::chrono::milliseconds{inside_->now / box::millisecond};
}

void world::publish(const topic_name& topic, message content) {
  const auto name = to_string(topic);
  auto& all = inside_->broker.all();
  const auto parts = all.parts_of(name);
  const auto part = content.key && parts.size() > 1 ? std::hash<std::string>{}(*content.key) % parts.size() : 0;
  box::message m;
  protocol::append_base64(m.payload, content.bytes());
  m.key = std::move(content.key);
  m.properties.assign(content.properties.begin(), content.properties.end());
  m.publish_time = all.time.wall();
  m.event_time = content.event_time ? milliseconds_of(*content.event_time) : 0;
  if (content.deliver_after)
    m.deliver_at = m.publish_time + content.deliver_after->count();
  else if (content.deliver_at)
    m.deliver_at = milliseconds_of(*content.deliver_at);
  static std::int64_t number = 0;
  const auto receipt = all.open(parts[part], true)->publish("the test", number++, {std::move(m)}, false);
  if (!receipt.failure.empty())
    throw std::logic_error{"cannot publish to " + name + ": " + receipt.failure};
}

std::vector<message> world::stored(const topic_name& topic) const {
  std::vector<message> all;
  auto& topics = inside_->broker.all();
  for (const auto& part : topics.parts_of(to_string(topic)))
    if (const auto t = topics.find(part))
      for (auto i = t->begin(); i < t->end(); ++i)
        for (const auto& m : t->at(i).messages)
          all.push_back(plain(m));
  return all;
}

std::optional<std::size_t> world::backlog(const topic_name& topic, const std::string& subscription) const {
  std::optional<std::size_t> count;
  auto& topics = inside_->broker.all();
  for (const auto& part : topics.parts_of(to_string(topic)))
    if (const auto t = topics.find(part))
      if (const auto s = t->find(subscription)) {
        count = count.value_or(0);
        for (auto i = t->begin(); i < t->end(); ++i)
          *count += s->is_acknowledged(i) ? 0 : t->at(i).messages.size();
      }
  return count;
}

std::vector<message> world::acknowledged(const topic_name& topic, const std::string& subscription) const {
  std::vector<message> all;
  auto& topics = inside_->broker.all();
  for (const auto& part : topics.parts_of(to_string(topic)))
    if (const auto t = topics.find(part))
      if (const auto s = t->find(subscription))
        for (auto i = std::max(t->begin(), s->began()); i < t->end(); ++i)
          if (s->is_acknowledged(i))
            for (const auto& m : t->at(i).messages)
              all.push_back(plain(m));
  return all;
}

admin world::administration() {
  return admin{[in = inside_](std::string_view method, const std::string& path, const std::string& body) {
    return in->request(method, path, body);
  }};
}

void world::cut() {
  for (const auto& w : inside_->open_wires())
    w->break_off({connection::end::lost, 0, "cut by the test"});
}

void world::half_open() {
  for (const auto& w : inside_->open_wires())
    w->become_half_open();
}

void world::refuse(int status) {
  inside_->refuses = status;
}

void world::accept() {
  inside_->refuses.reset();
}

void world::go_down() {
  inside_->is_down = true;
  cut();
}

void world::come_back() {
  inside_->is_down = false;
}

void world::delay(std::chrono::milliseconds each_way) {
  inside_->delay = std::max<box::micros>(each_way.count() * box::millisecond, 0);
}

// -- a handler alone ------------------------------------------------------------------------

struct world::watched::counts {
  std::size_t acknowledged = 0, refused = 0;
  std::function<void()> settle; ///< Lets what was said arrive.
};

std::size_t world::watched::acknowledged() const {
  seen->settle();
  return seen->acknowledged;
}

std::size_t world::watched::negatively_acknowledged() const {
  seen->settle();
  return seen->refused;
}

world::watched world::make_received(message content, const topic_name& topic) {
  watched w{make_received_message(std::move(content)), std::make_shared<watched::counts>()};
  w.message.publish_time =
    std::chrono::system_clock::time_point{std::chrono::milliseconds{inside_->broker.all().time.wall()}};
  w.message.sequence = ++inside_->watched_messages;
  const auto recorder = inside_->system.actors().spawn([seen = std::weak_ptr{w.seen}](caf::event_based_actor*) {
    return caf::behavior{[seen](const internal::settle& s) {
                           if (const auto to = seen.lock())
                             for (const auto& one : s.messages)
                               ++(one.what == disposition::ack ? to->acknowledged : to->refused);
                         },
                         [seen](const internal::settle_up_to&) {
                           if (const auto to = seen.lock())
                             ++to->acknowledged;
                         }};
  });
  auto from = std::make_shared<delivery>();
  from->acknowledger = recorder;
  from->topic = std::make_shared<topic_name>(topic);
  w.message.origin = std::move(from);
  w.seen->settle = [in = std::weak_ptr{inside_}] {
    if (const auto inside = in.lock())
      while (inside->system.waiting() != 0)
        inside->step(inside->now);
  };
  return w;
}

} // namespace stargate::testing
