#include "simulation/world.hpp"

#include "actors/shared/environment.hpp"

#include <caf/actor_registry.hpp>

#include <algorithm>
#include <ostream>
#include <stdexcept>
#include <utility>

namespace stargate::simulation {

using namespace compat;

namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t most_steps = 3'000'000;

} // namespace

// -- the world that the tree sees

/// The transport of one tree: it stops with it, and the network goes on for the next.
class world::one_tree final : public connection::transport {
public:
  explicit one_tree(std::shared_ptr<network> net) : net_{std::move(net)} {}
  std::unique_ptr<connection::link> connect(connection::endpoint to,
                                            std::unique_ptr<connection::observer> observer) override {
    return net_->connect(std::move(to), std::move(observer));
  }
  void stop() override {}

private:
  std::shared_ptr<network> net_;
};

class world::environment final : public internal::environment {
public:
  explicit environment(world& in) : in_{in} {}
  std::shared_ptr<connection::transport> make_transport(const options&) override {
    in_.transport_ = std::make_shared<one_tree>(in_.net_);
    return in_.transport_;
  }
  admin make_admin(const options&, std::chrono::milliseconds) override {
    return admin{[this](std::string_view method, const std::string& path, const std::string&) {
      return in_.broker_.rest(method, path);
    }};
  }
  void on_tree(const std::weak_ptr<internal::tree_context>& context) override { in_.context_ = context; }
  std::uint64_t random() override { return in_.library_random_.next(); }
  bool has_threads() const override { return false; }
  bool may_wait() const override { return in_.may_wait_; }
  bool wait(std::unique_lock<std::mutex>& lock, std::condition_variable&, std::chrono::steady_clock::time_point until,
            const std::function<bool()>& done) override {
    const auto limit = until - in_.begin_ > std::chrono::hours{10'000}
                         ? never
                         : std::chrono::duration_cast<std::chrono::microseconds>(until - in_.begin_).count() + 1;
    bool is_done = done();
    while (!is_done && in_.now_ < limit) {
      lock.unlock();
      const auto nested = in_.nest();
      const bool more = in_.step(limit);
      if (!more && limit == never)
        in_.violate("somebody waits, and nothing will ever happen");
      lock.lock();
      is_done = done();
    }
    return is_done;
  }

private:
  world& in_;
};

world::world(const scenario& s, coverage& covered, std::ostream* trace, void (*on_violation)(const std::string&))
  : s_{s},
    covered_{covered},
    trace_{trace},
    on_violation_{on_violation},
    actor_order_{s.seed, 2},
    handler_random_{s.seed, 4},
    library_random_{s.seed, 5},
    net_{std::make_shared<network>(randomness{s.seed, 6}, [this](const auto& text) { say(text); })},
    broker_{*net_, randomness{s.seed, 7}, [this](const auto& text) { say(text); }},
    environment_{std::make_shared<environment>(*this)} {
  net_->attach(&broker_);
  net_->slowest = s.slowest;
  net_->lateness = s.lateness;
  net_->on_sent = [this](const wire& w, const std::string&) { on_sent(w); };
  broker_.on_acknowledged = [this](const std::string& sub, const std::string&, const std::string& identity) {
    on_acknowledged(sub, identity);
  };
  net_->on_received = [this](const wire& w, std::size_t count) { on_received(w, count); };
  broker_.on_permitted = [this](const wire& w, std::size_t permits, std::size_t unsettled) {
    on_permitted(w, permits, unsettled);
  };
  broker_.on_violation = [this](const std::string& what) { violate(what); };
}

world::~world() {
  tree_ = {};
  kept_.clear();
  for (const auto& [where, sink] : std::exchange(sinks_, {}))
    send_exit(sink, caf::exit_reason::kill);
  while (run_actor()) {
  }
}

totals& totals::operator+=(const totals& other) {
  worlds += other.worlds;
  published += other.published;
  stored += other.stored;
  unknown += other.unknown;
  handled += other.handled;
  faults += other.faults;
  steps += other.steps;
  lasted += other.lasted;
  return *this;
}

totals world::run() {
  start_tree();
  while (now_ < s_.ends || next_deed_ < s_.deeds.size())
    if (!step(std::max(s_.ends, next_deed_ < s_.deeds.size() ? s_.deeds[next_deed_].at : 0)))
      break;
  come_to_rest();
  judge();
  stop_tree();
  if (s_.embedded > 0)
    embed();
  result_.worlds = 1;
  result_.lasted = static_cast<std::uint64_t>(now_);
  return result_;
}

// -- time and turns

world::depth_guard world::nest() {
  return depth_guard{depth_};
}

void world::say(const char* text) {
  if (trace_ != nullptr)
    *trace_ << now_ << ' ' << text << '\n';
}

void world::violate(const std::string& what) {
  say([&] { return "VIOLATION: " + what; });
  if (trace_ != nullptr)
    trace_->flush();
  on_violation_(what);
}

void world::set_time(micros to) {
  now_ = std::max(now_, to);
  net_->now = now_;
  system_.set_time(begin_ + std::chrono::microseconds{now_});
}

bool world::run_actor() {
  const auto waiting = system_.waiting();
  if (waiting == 0)
    return false;
  const auto chosen = actor_order_.below(waiting);
  if (++result_.steps > most_steps)
    violate("the actors never come to rest");
  const bool before = std::exchange(may_wait_, false);
  system_.run_one(chosen);
  may_wait_ = before;
  return true;
}

micros world::next_timer() {
  const auto next = system_.next_timer();
  if (!next)
    return never;
  return std::max<micros>(0, std::chrono::ceil<std::chrono::microseconds>(*next - begin_).count());
}

bool world::step(micros limit) {
  if (system_.waiting() != 0 && !actor_order_.chance(s_.yields))
    return run_actor();
  const auto actors_wait = system_.waiting() != 0;
  auto due = std::min({net_->next_due(), broker_.next_due(), next_timer(), next_event(), next_end_});
  // Actors that could go on are not kept for long: a moment, now and then much longer.
  if (actors_wait && due > now_ + (actor_order_.chance(0.1) ? 100_ms : 1_ms))
    return run_actor();
  if (due > limit || due == never) {
    if (actors_wait)
      return run_actor();
    if (limit != never)
      set_time(limit);
    return false;
  }
  set_time(due);
  if (next_end_ <= now_)
    end_ongoing();
  else if (next_event() <= now_)
    next_thing();
  else if (next_timer() <= now_)
    system_.ring();
  else if (!net_->deliver())
    broker_.act();
  if (++result_.steps > most_steps)
    violate("time does not go on");
  return true;
}

// -- what the scenario says

micros world::next_event() const {
  if (calm_)
    return never;
  const auto deed = next_deed_ < s_.deeds.size() && depth_ < deepest ? s_.deeds[next_deed_].at : never;
  const auto fault = next_fault_ < s_.faults.size() ? s_.faults[next_fault_].at : never;
  return std::min(deed, fault);
}

void world::next_thing() {
  if (next_fault_ < s_.faults.size() && s_.faults[next_fault_].at <= now_)
    return strike(s_.faults[next_fault_++]);
  perform(s_.deeds[next_deed_++]);
}

// -- the tree

bool world::is_chosen(const pipeline_plan& p) {
  return p.from_the_start;
}

options world::description() {
  auto o = s_.tree;
  o.log = [this](log_level level, std::string_view source, std::string_view text) {
    say([&] { return "  [" + std::string{name_of(level)} + "] " + std::string{source} + ": " + std::string{text}; });
  };
  for (const auto& p : s_.pipelines)
    if (is_chosen(p))
      add_to(p, o.producers, o.consumers, o.readers);
  o.templates["pair"] = [this](const std::string& argument) {
    pipelines made;
    pipeline_plan p;
    p.role = pipeline_plan::producer;
    p.p = {.topic = {.topic = "x" + argument}, .send_timeout = 5s};
    add_to(p, made.producers, made.consumers, made.readers);
    p.role = pipeline_plan::consumer;
    p.c.topic = p.p.topic;
    p.c.subscription = "xs";
    p.c.position = initial_position::earliest;
    p.c.negative_ack_redelivery_delay = 200ms;
    add_to(p, made.producers, made.consumers, made.readers);
    return made;
  };
  return o;
}

void world::add_to(const pipeline_plan& p, std::vector<producer_options>& producers,
                   std::vector<consumer_options>& consumers, std::vector<reader_options>& readers) {
  if (p.role == pipeline_plan::producer) {
    producers.push_back(p.p);
  } else if (p.role == pipeline_plan::consumer) {
    auto o = p.c;
    const auto where = subscription_id(p.topics(), o.subscription);
    o.handler = p.to_actor ? to_sink(where, false) : handler_for(where, false, o.run_on, o.handler_timeout, p.forwards);
    consumers.push_back(std::move(o));
  } else {
    auto o = p.r;
    o.handler = p.to_actor ? to_sink(reader_id(o), true) : handler_for(reader_id(o), true, o.run_on, o.handler_timeout);
    readers.push_back(std::move(o));
  }
}

std::string world::reader_id(const reader_options& o) {
  return "reader " + to_string(o.topic) + " " + o.reader_name.value_or("");
}

void world::expect_description() {
  running_.clear();
  for (std::size_t i = 0; i < s_.pipelines.size(); ++i)
    if (is_chosen(s_.pipelines[i]))
      running_.insert(i);
  instances_.clear();
}

void world::start_tree() {
  const auto nested = nest();
  for (int attempt = 0; attempt < 50; ++attempt) {
    say("start");
    ended_.clear();
    auto started = internal::start_in(system_.actors(), description(), environment_);
    if (started) {
      tree_ = std::move(*started);
      expect_description();
      listen();
      return;
    }
    say([&] { return "not started: " + describe(started.error()); });
    if (code_of(started.error()) == errc::invalid_option)
      violate("the scenario is not allowed: " + describe(started.error()));
    nothing_is_left("a start that failed");
    if (!struck_ && attempt > 0)
      violate("the tree does not start: " + describe(started.error()));
  }
  violate("the tree never starts");
}

child_spec world::tree_as_child() {
  return internal::tree_spec_in(description(), "tree", restart::permanent, environment_);
}

void world::stop_tree() {
  const auto nested = nest();
  say("STOP");
  stopping_ = true;
  const auto begun = now_;
  auto t = tree_; // others go on to call it
  const bool before = std::exchange(may_wait_, true);
  const auto failure = t.stop(120s);
  if (failure)
    violate("the tree does not stop: " + describe(failure));
  for (const auto& what :
       {t.add(pipelines{}), t.remove(registry_key{}), t.wait_ready(1h), t.start_child("pair", "9"),
        t.produce(registry_key{"producer", s_.pipelines.empty() ? topic_name{.topic = "t0"} : topic_name{.topic = "t0"},
                               "sim"},
                  "x")
          .error()})
    if (code_of(what) != errc::stopping)
      violate("a stopped tree answers " + describe(what));
  if (now_ - begun > 121_s)
    violate("calls on a stopped tree take time");
  may_wait_ = before;
  t = tree_ = {};
  nothing_is_left("a tree that was stopped");
  judge_stop();
  stopping_ = false;
}

void world::drop_handle() {
  const auto nested = nest();
  say("DROP");
  stopping_ = true;
  const bool before = std::exchange(may_wait_, false);
  tree_ = {};
  may_wait_ = before;
  const auto limit = now_ + 60_s;
  while (now_ < limit && living() > 0)
    if (!step(limit))
      break;
  nothing_is_left("a tree whose last handle went");
  stopping_ = false;
}

std::size_t world::living() {
  std::size_t ours = 0; // the application's, which outlive a tree
  for (const auto& [where, sink] : sinks_)
    ours += sink && !has_ended(sink) ? 1 : 0;
  return system_.actors().registry().running() - ours;
}

void world::nothing_is_left(const std::string& of) {
  while (run_actor()) {
  }
  if (depth_ <= 1)
    for (const auto& l : std::exchange(listeners_, {}))
      if (!l->has_seen_the_end)
        violate(of + " does not tell its listeners");
  if (depth_ <= 1 && living() > 0)
    violate(of + " leaves " + std::to_string(living()) + " actors");
  if (const auto p = books_.unanswered(); !p.empty() && depth_ <= 1)
    violate(of + " leaves a message without an answer: " + p);
}

} // namespace stargate::simulation
