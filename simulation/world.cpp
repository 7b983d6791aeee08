#include "simulation/world.hpp"

#include "actors/environment.hpp"
#include "actors/roles.hpp"
#include "actors/site.hpp"
#include "libstargate/protocol/base64.hpp"
#include "libstargate/protocol/option_table.hpp"
#include "simulation/books.hpp"
#include "simulation/broker.hpp"

#include <stargate/stargate.hpp>

#include <caf/actor_registry.hpp>
#include <caf/detail/test_actor_clock.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <ostream>
#include <set>
#include <stdexcept>
#include <utility>

namespace stargate::simulation {

namespace {

using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr micros most_calm = 400_s; // until everything has to be at rest
constexpr std::size_t deepest = 3;  // how many calls and handlers may wait within each other
constexpr std::uint64_t most_steps = 3'000'000;

} // namespace

class world::inside {
public:
  inside(const scenario& s, coverage& covered, std::ostream* trace, void (*on_violation)(const std::string&))
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
    config_.set("scheduler.policy", caf::atom("testing"));
    system_.emplace(config_);
    scheduler_ = dynamic_cast<caf::scheduler::test_coordinator*>(&system_->scheduler());
    if (scheduler_ == nullptr)
      throw std::logic_error{"CAF did not take the deterministic scheduler"};
    begin_ = scheduler_->clock().now();
  }

  ~inside() {
    tree_ = {};
    kept_.clear();
    while (run_actor()) {
    }
  }

  verdict run() {
    start_tree();
    while (now_ < s_.ends || next_deed_ < s_.deeds.size())
      if (!step(std::max(s_.ends, next_deed_ < s_.deeds.size() ? s_.deeds[next_deed_].at : 0)))
        break;
    come_to_rest();
    judge();
    stop_tree();
    result_.lasted = now_;
    return result_;
  }

private:
  // -- the world that the tree sees

  class environment final : public internal::environment {
  public:
    explicit environment(inside& in) : in_{in} {}
    std::shared_ptr<connection::transport> make_transport(const options&) override {
      in_.transport_ = std::make_shared<one_tree>(in_.net_);
      return in_.transport_;
    }
    admin make_admin(const options&, std::chrono::milliseconds) override {
      return admin{[this](std::string_view method, const std::string& path, const std::string&) {
        return in_.broker_.rest(method, path);
      }};
    }
    void on_tree(const std::weak_ptr<internal::site>& site) override { in_.site_ = site; }
    std::uint64_t random() override { return in_.library_random_.next(); }
    bool has_threads() const override { return false; }
    bool may_wait() const override { return in_.may_wait_; }
    bool wait(std::unique_lock<std::mutex>& lock, std::condition_variable&, clock::time_point until,
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
    inside& in_;
  };

  /// The transport of one tree: it stops with it, and the network goes on for the next.
  class one_tree final : public connection::transport {
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

  // -- time and turns

  struct depth_guard {
    std::size_t& depth;
    explicit depth_guard(std::size_t& d) : depth{d} { ++depth; }
    depth_guard(const depth_guard&) = delete;
    depth_guard& operator=(const depth_guard&) = delete;
    ~depth_guard() { --depth; }
  };
  [[nodiscard]] depth_guard nest() { return depth_guard{depth_}; }

  template <class Text>
  void say(const Text& text) {
    if (trace_ != nullptr)
      *trace_ << now_ << ' ' << text() << '\n';
  }
  void say(const char* text) {
    if (trace_ != nullptr)
      *trace_ << now_ << ' ' << text << '\n';
  }

  void violate(const std::string& what) {
    say([&] { return "VIOLATION: " + what; });
    if (trace_ != nullptr)
      trace_->flush();
    on_violation_(what);
  }

  void set_time(micros to) {
    now_ = std::max(now_, to);
    net_->now = now_;
    scheduler_->clock().current_time = begin_ + std::chrono::microseconds{now_};
  }

  /// Lets a random actor take a message. False when all are idle.
  bool run_actor() {
    auto& jobs = scheduler_->jobs;
    if (jobs.empty())
      return false;
    const auto chosen = jobs.begin() + static_cast<std::ptrdiff_t>(actor_order_.below(jobs.size()));
    std::rotate(jobs.begin(), chosen, chosen + 1);
    if (++result_.steps > most_steps)
      violate("the actors never come to rest");
    const bool before = std::exchange(may_wait_, false);
    scheduler_->run_once();
    may_wait_ = before;
    return true;
  }

  [[nodiscard]] micros next_timer() {
    const auto& timers = scheduler_->clock().schedule();
    if (timers.empty())
      return never;
    return std::max<micros>(0, std::chrono::ceil<std::chrono::microseconds>(timers.begin()->first - begin_).count());
  }

  /// One thing happens: an actor's turn, or the next in time, up to `limit`, which is where time then stands. False
  /// when there is nothing more before it.
  bool step(micros limit) {
    if (!scheduler_->jobs.empty() && !actor_order_.chance(s_.yields))
      return run_actor();
    const auto actors_wait = !scheduler_->jobs.empty();
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
      scheduler_->clock().trigger_expired_timeouts();
    else if (!net_->deliver())
      broker_.act();
    if (++result_.steps > most_steps)
      violate("time does not go on");
    return true;
  }

  // -- what the scenario says

  [[nodiscard]] micros next_event() const {
    if (calm_)
      return never;
    const auto deed = next_deed_ < s_.deeds.size() && depth_ < deepest ? s_.deeds[next_deed_].at : never;
    const auto fault = next_fault_ < s_.faults.size() ? s_.faults[next_fault_].at : never;
    return std::min(deed, fault);
  }

  void next_thing() {
    if (next_fault_ < s_.faults.size() && s_.faults[next_fault_].at <= now_)
      return strike(s_.faults[next_fault_++]);
    perform(s_.deeds[next_deed_++]);
  }

  // -- the tree

  [[nodiscard]] static bool is_chosen(const pipeline_plan& p) { return p.from_the_start; }

  options description() {
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

  void add_to(const pipeline_plan& p, std::vector<producer_options>& producers,
              std::vector<consumer_options>& consumers, std::vector<reader_options>& readers) {
    if (p.role == pipeline_plan::producer) {
      producers.push_back(p.p);
    } else if (p.role == pipeline_plan::consumer) {
      auto o = p.c;
      std::vector<std::string> topics;
      for (const auto& t : o.topics.empty() ? std::vector{o.topic} : o.topics)
        topics.push_back(to_string(t));
      o.handler = handler_for(subscription_id(topics, o.subscription), o);
      consumers.push_back(std::move(o));
    } else {
      auto o = p.r;
      o.handler = handler_for(reader_id(o), o);
      readers.push_back(std::move(o));
    }
  }

  [[nodiscard]] static std::string reader_id(const reader_options& o) {
    return "reader " + to_string(o.topic) + " " + o.reader_name.value_or("");
  }

  void start_tree() {
    const auto nested = nest();
    for (int attempt = 0; attempt < 50; ++attempt) {
      say("start");
      auto started = internal::start_in(*system_, description(), environment_);
      if (started) {
        tree_ = std::move(*started);
        running_.clear();
        for (std::size_t i = 0; i < s_.pipelines.size(); ++i)
          if (is_chosen(s_.pipelines[i]))
            running_.insert(i);
        instances_.clear();
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

  // -- handlers

  class handler final : public message_handler {
  public:
    handler(inside& in, std::string where, bool may_wait, bool is_reader)
      : in_{in},
        where_{std::move(where)},
        may_wait_{may_wait},
        is_reader_{is_reader} {}

    disposition handle_message(const received_message& m) override {
      const auto n = m.properties.find("n");
      if (n == m.properties.end() || n->second != m.payload)
        in_.violate("a message came with another's properties: " + m.payload);
      const auto& identity = m.payload;
      auto& random = in_.handler_random_;
      const auto& manners = in_.s_.handlers;
      in_.say([&] { return "handles " + identity + " for " + where_; });
      in_.books_.on_handled(where_, identity);
      if (!in_.calm_) {
        if (random.chance(manners.slow))
          in_.pass(random.between(0, manners.slowness), may_wait_);
        if (random.chance(manners.throws))
          throw std::runtime_error{"simulated"};
        if (!is_reader_ && random.chance(manners.refuses))
          return disposition::nack;
        if (random.chance(manners.keeps_and_settles_first)) {
          in_.books_.on_done(where_, identity);
          m.acknowledge();
          return disposition::continue_;
        }
        if (random.chance(manners.keeps)) {
          in_.books_.on_kept(where_, identity, m.origin->connection, m.sequence);
          in_.kept_.push_back({where_, m});
          return disposition::continue_;
        }
      }
      in_.books_.on_done(where_, identity);
      return disposition::ack;
    }

  private:
    inside& in_;
    const std::string where_;
    const bool may_wait_;
    const bool is_reader_;
  };

  template <class Options>
  handler_factory handler_for(std::string where, const Options& o) {
    const bool may_wait = o.run_on == run_on::own_thread;
    constexpr bool is_reader = std::is_same_v<Options, reader_options>;
    return handler_factory{[=, this]() -> std::unique_ptr<message_handler> {
      return std::make_unique<handler>(*this, where, may_wait, is_reader);
    }};
  }

  /// Time passes while a handler is busy. On a thread of its own, others go on meanwhile.
  void pass(micros time, bool others_go_on) {
    const auto until = now_ + time;
    if (!others_go_on || depth_ >= deepest)
      return set_time(until);
    const auto nested = nest();
    const bool before = std::exchange(may_wait_, true);
    while (now_ < until && step(until)) {
    }
    set_time(until);
    may_wait_ = before;
  }

  // -- what the application does

  [[nodiscard]] std::vector<const producer_options*> producers() {
    std::vector<const producer_options*> list;
    for (const auto i : running_)
      if (s_.pipelines[i].role == pipeline_plan::producer)
        list.push_back(&s_.pipelines[i].p);
    for (const auto& [argument, p] : instances_)
      list.push_back(&p);
    return list;
  }

  message make_message(const std::string& identity, std::uint64_t which, bool effectively_once) {
    message m{.payload = identity, .properties = {{"n", identity}}};
    if (which % 3 == 0)
      m.key = "k" + std::to_string(which / 3 % 5);
    if (!effectively_once && which % 17 == 0)
      m.deliver_after = std::chrono::milliseconds{which / 17 % 1000};
    return m;
  }

  void on_answer(const std::string& identity, const std::string& topic, const caf::expected<message_id>& a) {
    say([&] { return "answers " + identity + ": " + (a ? "stored" : describe(a.error())); });
    if (handing_over_)
      violate("answered on the caller's own stack: " + identity);
    if (!a && calm_ && now_ - calm_since_ > 40_s && !gives_up())
      violate("not stored although nothing goes wrong: " + identity + ": " + describe(a.error()));
    books_.on_answer(identity, a, broker_.topics()[topic]);
  }

  void perform(const deed& d) {
    if (!tree_)
      return;
    ++deeds_done_;
    say([&] { return to_string(d); });
    covered_.add("deed|" + std::string{deed_names[static_cast<std::size_t>(d.kind)]});
    const auto nested = nest();
    const bool before = std::exchange(may_wait_, true);
    switch (d.kind) {
      case deed_kind::publish:
      case deed_kind::publish_list:
      case deed_kind::publish_to_actor:
      case deed_kind::publish_and_wait:
      case deed_kind::publish_list_and_wait: publish(d); break;
      case deed_kind::settle_kept: settle_kept(d); break;
      case deed_kind::stop_and_start:
        if (depth_ == 1) {
          stop_tree();
          start_tree();
        }
        break;
      case deed_kind::drop_handle:
        if (depth_ == 1) {
          drop_handle();
          start_tree();
        }
        break;
      default: change(d);
    }
    may_wait_ = before;
  }

  void publish(const deed& d) {
    const auto all = producers();
    if (all.empty())
      return;
    const auto& o = *all[d.which % all.size()];
    const auto topic = to_string(o.topic);
    const registry_key key{"producer", o.topic, "sim"};
    const bool waits = d.kind == deed_kind::publish_and_wait || d.kind == deed_kind::publish_list_and_wait;
    const auto lane = waits ? ++last_lane_ : 0; // of who waits only its own messages are in order
    const auto count = d.kind == deed_kind::publish_and_wait ? 1 : d.count;
    const auto t = tree_; // this call's own
    std::vector<std::string> identities;
    std::vector<message> messages;
    for (std::size_t i = 0; i < count; ++i) {
      identities.push_back(books_.publish(topic, o.effectively_once, lane));
      messages.push_back(make_message(identities.back(), d.which / 7 + i, o.effectively_once));
    }
    if (waits) {
      const auto begun = now_;
      const auto deeds_before = deeds_done_;
      const auto patience = std::chrono::duration_cast<std::chrono::microseconds>(o.send_timeout).count();
      const auto answers = t.produce(key, std::move(messages));
      // A call that began in between has to end first.
      if (now_ - begun > patience + 1_s + 1_ms && deeds_done_ == deeds_before)
        violate("a blocking produce took " + std::to_string(now_ - begun) + " us");
      for (std::size_t i = 0; i < count; ++i) {
        const auto code = answers[i] ? errc::none : code_of(answers[i].error());
        if (code == errc::would_block)
          violate("a caller with a thread of its own may not wait");
        on_answer(identities[i], topic, answers[i]);
      }
      return;
    }
    handing_over_ = true;
    if (d.kind == deed_kind::publish_list)
      t.produce(key, std::move(messages), [this, identities, topic](std::size_t i, const caf::expected<message_id>& a) {
        on_answer(identities.at(i), topic, a);
      });
    else
      for (std::size_t i = 0; i < count; ++i) {
        if (d.kind == deed_kind::publish_to_actor) {
          messages[i].context = identities[i];
          t.produce(key, std::move(messages[i]), receiving_actor(topic));
        } else {
          t.produce(
            key, std::move(messages[i]),
            [this, identity = identities[i], topic, throws = d.which % 50 == 3](const caf::expected<message_id>& a) {
              on_answer(identity, topic, a);
              if (throws)
                throw std::runtime_error{"simulated"};
            });
        }
      }
    handing_over_ = false;
  }

  caf::actor receiving_actor(const std::string& topic) {
    return system_->spawn([this, topic](caf::event_based_actor* self) -> caf::behavior {
      return behave(self, {}, [this, topic, self](const produced& p) {
        caf::expected<message_id> a{p.id};
        if (p.failure)
          a = p.failure;
        on_answer(p.context, topic, a);
        self->quit();
      });
    });
  }

  void settle_kept(const deed& d) {
    for (std::size_t n = 0; n < d.count && !kept_.empty(); ++n) {
      const auto at = static_cast<std::ptrdiff_t>((d.which + n * 7) % kept_.size());
      auto [where, m] = std::move(kept_[static_cast<std::size_t>(at)]);
      kept_.erase(kept_.begin() + at);
      if ((d.which + n) % 11 == 0 && !m.origin->many_topics) {
        books_.on_done_up_to(where, m.origin->connection, m.sequence);
        m.acknowledge_up_to();
      } else if ((d.which + n) % 7 == 0) {
        m.negative_acknowledge();
        if (where.starts_with("reader"))
          books_.on_done(where, m.payload);
      } else {
        books_.on_done(where, m.payload);
        m.acknowledge();
      }
    }
  }

  void expect_answer(const char* call, const caf::error& failure, std::initializer_list<errc> allowed) {
    say([&] { return std::string{call} + " gives " + describe(failure); });
    if (failure && std::find(allowed.begin(), allowed.end(), code_of(failure)) == allowed.end())
      violate(std::string{call} + " gives " + describe(failure));
  }

  void change(const deed& d) {
    const auto t = tree_;
    std::vector<std::size_t> dynamic, here;
    for (std::size_t i = 0; i < s_.pipelines.size(); ++i) {
      if (!is_chosen(s_.pipelines[i]))
        dynamic.push_back(i);
      if (running_.contains(i))
        here.push_back(i);
    }
    const auto argument = std::to_string(d.which % 2);
    switch (d.kind) {
      case deed_kind::add: {
        if (dynamic.empty() || changing_)
          return;
        const auto i = dynamic[d.which % dynamic.size()];
        const bool was_there = running_.contains(i);
        pipelines what;
        add_to(s_.pipelines[i], what.producers, what.consumers, what.readers);
        changing_ = true;
        const auto failure = t.add(what);
        changing_ = false;
        expect_answer("add", failure, {errc::invalid_option, errc::stopping, errc::start_failed, errc::start_timeout});
        if (was_there && !failure)
          violate("added twice: " + s_.pipelines[i].name());
        if (!was_there && code_of(failure) == errc::invalid_option && !unsure_.contains(i))
          violate("not added: " + describe(failure));
        if (!failure && t.supervisor() == tree_.supervisor())
          running_.insert(i);
        return;
      }
      case deed_kind::remove: {
        if (dynamic.empty() || changing_)
          return;
        const auto i = dynamic[d.which % dynamic.size()];
        const auto key = socket_key(s_.pipelines[i]);
        const bool was_there = running_.contains(i);
        changing_ = true;
        running_.erase(i);
        const auto failure = t.remove(key);
        changing_ = false;
        expect_answer("remove", failure, {errc::child_not_found, errc::stopping});
        if (was_there && code_of(failure) == errc::child_not_found)
          violate("not found, and it is there: " + s_.pipelines[i].name());
        return;
      }
      case deed_kind::start_child: {
        if (changing_)
          return;
        changing_ = true;
        const auto failure = t.start_child("pair", argument);
        changing_ = false;
        expect_answer("start_child", failure,
                      {errc::child_running, errc::stopping, errc::start_failed, errc::start_timeout});
        if (!failure && t.supervisor() == tree_.supervisor())
          instances_[argument] = {.topic = {.topic = "x" + argument}, .send_timeout = 5s};
        return;
      }
      case deed_kind::terminate_child: {
        if (changing_)
          return;
        changing_ = true;
        const bool was_there = instances_.erase(argument) > 0;
        const auto failure = t.terminate_child("pair", argument);
        changing_ = false;
        expect_answer("terminate_child", failure, {errc::child_not_found, errc::stopping});
        if (was_there && code_of(failure) == errc::child_not_found)
          violate("an instance that is there was not found");
        return;
      }
      case deed_kind::unsubscribe:
        for (const auto i : here)
          if (s_.pipelines[i].role == pipeline_plan::consumer && i % 2 == d.which % 2) {
            running_.erase(i); // as far as the judge is concerned
            if (const auto failure = t.unsubscribe(socket_key(s_.pipelines[i]))) {
              if (s_.tree.intensity > 1000)
                expect_answer("unsubscribe", failure, {errc::timed_out, errc::not_registered, errc::stopping});
              unsure_.insert(i); // it may go on, or come again
            }
            return;
          }
        return;
      case deed_kind::ask_end_of_topic:
        for (const auto i : here)
          if (s_.pipelines[i].role != pipeline_plan::producer) {
            const auto answer = t.is_end_of_topic(socket_key(s_.pipelines[i]), 2s);
            if (answer && *answer)
              violate("the end of a topic that has none");
            if (!answer && s_.tree.intensity > 1000)
              expect_answer("is_end_of_topic", answer.error(), {errc::timed_out, errc::not_registered, errc::stopping});
            return;
          }
        return;
      case deed_kind::wait_ready: {
        const auto begun = now_;
        const auto failure = t.wait_ready(1s);
        if (code_of(failure) == errc::timed_out && now_ - begun < 1_s)
          violate("wait_ready says that its time is up, and it is not");
        return;
      }
      case deed_kind::inspect: {
        const auto seen = t.inspect(500ms);
        for (const auto& e : seen.entries)
          if (e.how && e.how->mailbox > 3000)
            violate("a mailbox of " + std::to_string(e.how->mailbox) + " messages: " + e.key);
        return;
      }
      default: return;
    }
  }

  [[nodiscard]] static registry_key socket_key(const pipeline_plan& p) {
    auto text = p.role == pipeline_plan::producer   ? internal::keys_of(p.p).socket()
                : p.role == pipeline_plan::consumer ? internal::keys_of(p.c).socket()
                                                    : internal::keys_of(p.r).socket();
    auto key = parse_registry_key(text);
    key->name = "sim";
    return *key;
  }

  // -- what goes wrong

  void end_ongoing() {
    next_end_ = never;
    for (auto i = ongoing_.begin(); i != ongoing_.end();) {
      if (i->first > now_) {
        next_end_ = std::min(next_end_, i->first);
        ++i;
        continue;
      }
      const auto undo = std::move(i->second);
      i = ongoing_.erase(i);
      undo();
    }
  }

  void until(micros time, std::function<void()> undo) {
    ongoing_.emplace_back(time, std::move(undo));
    next_end_ = std::min(next_end_, time);
  }

  [[nodiscard]] std::string state_of_wire(const wire& w) const {
    return w.client == side::connecting ? "connecting" : w.closing ? "closing" : "connected";
  }

  void note(const fault& f, const std::string& role, const std::string& state, const std::vector<std::string>* drawn) {
    ++result_.faults;
    struck_ = true;
    const std::string kind{fault_names[static_cast<std::size_t>(f.kind)]};
    covered_.add("fault|" + kind + "|" + role + "|" + state);
    if (drawn != nullptr)
      for (const auto& option : *drawn)
        covered_.add("option|" + kind + "|" + role + "|" + option);
  }

  [[nodiscard]] const std::vector<std::string>* drawn_for(const std::string& role, const std::string& topic,
                                                          const std::string& subscription) const {
    for (const auto& p : s_.pipelines) {
      if (p.role == pipeline_plan::producer && role == "producer" && p.p.topic.topic == topic)
        return &p.drawn;
      if (p.role == pipeline_plan::consumer && role == "consumer" && p.c.subscription == subscription
          && (p.c.topics.empty() ? p.c.topic.topic == topic : true))
        return &p.drawn;
      if (p.role == pipeline_plan::reader && role == "reader" && p.r.topic.topic == topic)
        return &p.drawn;
    }
    return nullptr;
  }

  void strike(const fault& f) {
    say([&] { return "FAULT " + to_string(f); });
    if (f.kind >= fault_kind::kill)
      return strike_actor(f);
    switch (f.kind) {
      case fault_kind::crash:
        if (!broker_.up)
          return;
        note(f, "broker", "", nullptr);
        broker_.crash();
        return until(now_ + f.lasts, [this] {
          say("the broker is back");
          broker_.restart();
        });
      case fault_kind::refuse_handshakes:
        note(f, "broker", "", nullptr);
        broker_.refusing = 0.7;
        if (f.which % 10 == 0)
          broker_.refusals = {401, 403, 404, 400, 503};
        return until(now_ + f.lasts, [this] { broker_.refusing = 0; });
      case fault_kind::silent_handshakes:
        note(f, "broker", "", nullptr);
        net_->silent_handshakes = 0.7;
        return until(now_ + f.lasts, [this] { net_->silent_handshakes = 0; });
      case fault_kind::error_receipts:
      case fault_kind::nameless_errors:
        note(f, "broker", "", nullptr);
        broker_.failing = 0.1;
        broker_.nameless = f.kind == fault_kind::nameless_errors ? 0.5 : 0;
        return until(now_ + f.lasts, [this] { broker_.failing = broker_.nameless = 0; });
      default: break;
    }
    std::vector<std::shared_ptr<wire>> victims;
    for (const auto& [id, w] : net_->wires())
      if (w->client != side::over && !w->cut)
        victims.push_back(w);
    if (victims.empty())
      return;
    const auto w = victims[f.which % victims.size()];
    bool done = true;
    switch (f.kind) {
      case fault_kind::cut: net_->cut(*w, false); break;
      case fault_kind::half_open: net_->cut(*w, true); break;
      case fault_kind::stall: net_->stall(*w, f.lasts); break;
      case fault_kind::duplicate_frame: done = net_->duplicate(*w); break;
      case fault_kind::spoil_frame_down: done = net_->garble(*w, false); break;
      case fault_kind::spoil_frame_up: // a frame of a numbered producer would lose its number with it
        done = w->to.path.find("initialSequenceId") == std::string::npos && net_->garble(*w, true);
        broker_.refused_on.insert("persistent://public/default/" + w->topic);
        break;
      default: broker_.drop(*w);
    }
    if (done)
      note(f, w->role.empty() ? "new" : w->role, state_of_wire(*w), drawn_for(w->role, w->topic, w->subscription));
  }

  void strike_actor(const fault& f) {
    const std::string_view wanted = victim_names[static_cast<std::size_t>(f.whom)];
    std::vector<registration> victims;
    if (const auto names = names_of_tree())
      for (auto& r : names.select().entries) {
        const auto component = std::string_view{r.name}.substr(0, r.name.find_first_of("/%"));
        if (wanted.ends_with('_') ? std::string_view{r.name}.starts_with(wanted) : component == wanted)
          victims.push_back(std::move(r));
      }
    if (victims.empty())
      return;
    const auto& v = victims[f.which % victims.size()];
    std::string role = v.name.substr(0, v.name.find_first_of("/%"));
    const auto key = parse_registry_key(v.name);
    std::string state = stopping_ ? "stopping" : !tree_ ? "starting" : "running";
    const std::vector<std::string>* drawn = nullptr;
    if (key) {
      const auto plain = key->component.starts_with("reader")     ? "reader"
                         : key->component.starts_with("producer") ? "producer"
                                                                  : "consumer";
      const auto slash = key->component.find('/');
      drawn = drawn_for(plain, key->topic.topic,
                        slash == std::string::npos
                          ? ""
                          : key->component.substr(slash + 1, key->component.find('/', slash + 1) - slash - 1));
      if (state == "running") {
        bool connected = false, connecting = false;
        for (const auto& [id, w] : net_->wires())
          if (w->role == plain && w->topic == key->topic.topic) {
            connected = connected || w->client == side::open;
            connecting = connecting || w->client == side::connecting;
          }
        state = connected ? "connected" : connecting ? "connecting" : "waiting";
      }
    } else {
      role = std::string{wanted};
    }
    say([&] { return "victim " + v.name; });
    note(f, role, state, drawn);
    // Who is asked to end, and does, has ended well: a transient child is not started again.
    if (f.kind == fault_kind::ask_to_end && (role.ends_with("_sup") || f.whom == victim::instance_sup))
      ended_.insert(v.name);
    switch (f.kind) {
      case fault_kind::kill: return send_exit(v.who, caf::exit_reason::kill);
      case fault_kind::ask_to_end: return send_exit(v.who, make_error(exit_code::shutdown, "simulated"));
      default: post(v.who, induced_crash{"simulated"});
    }
  }

  /// Also of a tree that is starting, or stopping.
  [[nodiscard]] registry names_of_tree() const {
    const auto site = site_.lock();
    return site ? site->registry() : registry{};
  }

  // -- the network's side of the books

  /// Bounds: what awaits a receipt, on the network,
  void on_received(const wire& w, std::size_t count) {
    if (w.role == "producer")
      outstanding_[w.id] -= std::min(outstanding_[w.id], count);
  }

  /// and what the broker may send, with what is unsettled.
  void on_permitted(const wire& w, std::size_t permits, std::size_t unsettled) {
    for (const auto& p : s_.pipelines)
      if (!w.twice && p.role == pipeline_plan::consumer && p.c.subscription == w.subscription
          && p.c.topic.topic == w.topic
          && permits + unsettled > p.c.receiver_queue_size.value_or(1000) + p.c.processors * p.c.max_demand)
        violate(w.name() + " permits " + std::to_string(permits) + " messages more, with " + std::to_string(unsettled)
                + " unsettled");
  }

  void on_sent(const wire& w) {
    if (!w.role.empty() && w.role != "producer")
      return;
    const auto open = ++outstanding_[w.id];
    for (const auto* o : producers())
      // What has expired is under way no longer, though its receipt may still come.
      if (o->topic.topic == w.topic && o->send_timeout >= 60s && open > o->max_pending)
        violate(w.name() + " has " + std::to_string(open) + " messages under way, more than max_pending");
  }

  void on_acknowledged(const std::string& sub, const std::string& identity) {
    say([&] { return "acknowledged " + identity + " of " + sub; });
    books_.on_acknowledged(sub, identity, is_buried(identity));
  }

  bool is_buried(const std::string& identity) {
    for (const auto& [name, topic] : broker_.topics())
      if (name.find("DLQ") != std::string::npos || name.find("dead-letters") != std::string::npos)
        if (std::any_of(topic.log.begin() + static_cast<std::ptrdiff_t>(topic.deleted), topic.log.end(),
                        [&](const auto& m) { return m.identity == identity; }))
          return true;
    return false;
  }

  // -- the end

  /// Whether supervisors may give up in this world, or have been asked to end.
  [[nodiscard]] bool gives_up() const { return s_.tree.intensity < 1000 || !ended_.empty(); }

  /// Every producer takes and stores a message; the last of an earlier generation may still be on its way out.
  void probe() {
    const auto nested = nest();
    for (const auto* o : producers()) {
      const auto topic = to_string(o->topic);
      for (const auto begun = now_;;) {
        const auto identity = books_.publish(topic, o->effectively_once, ++last_lane_);
        const auto answer = tree_.produce({"producer", o->topic, "sim"}, make_message(identity, 1, true));
        on_answer(identity, topic, answer);
        if (answer || gives_up())
          break;
        if (now_ - begun > 60_s)
          violate("in the end nothing is produced to " + topic + ": " + describe(answer.error()));
        const auto limit = now_ + 200_ms;
        while (now_ < limit && step(limit)) {
        }
      }
    }
  }

  /// A tree that stops in peace has told the broker all that its handlers have done.
  void judge_stop() {
    // Who is too slow has no say, and what comes again after a crash may be refused.
    if (struck_ || s_.tree.shutdown < 1s || s_.handlers.slow > 0 || s_.handlers.throws > 0 || s_.handlers.keeps > 0
        || gives_up())
      return;
    const auto limit = now_ + 10_s;
    while (now_ < limit && step(limit)) {
    }
    books_.for_each_done([this](const std::string& where, const std::string& identity) {
      const auto found = broker_.subscriptions().find(where);
      if (found == broker_.subscriptions().end() || !found->second.durable)
        return;
      for (const auto* t : found->second.topics)
        for (std::size_t n = 0; n < t->log.size(); ++n)
          if (t->log[n].identity == identity && !found->second.acknowledged.contains({t->name, n}))
            violate("handled before the tree stopped, and not acknowledged: " + identity + " of " + where);
    });
  }

  /// What is not as it has to be in the end, yet.
  std::string unsettled() {
    if (const auto p = books_.unanswered(); !p.empty())
      return "unanswered: " + p;
    if (!tree_ || has_ended(tree_.supervisor()))
      return {};
    const auto seen = look();
    for (const auto& e : seen.entries)
      if (!e.connection.empty() && e.connection != "connected" && !is_given_up(e.key, seen))
        return "not connected: " + e.key + " is " + e.connection;
    for (const auto i : running_) {
      const auto& p = s_.pipelines[i];
      if (p.role == pipeline_plan::producer || is_given_up(to_string(socket_key(p)), seen))
        continue;
      if (p.role == pipeline_plan::reader) {
        if (p.r.start.text() == "earliest")
          for (const auto& m : broker_.topics()[to_string(p.r.topic)].log)
            if (books_.times_handled(reader_id(p.r), m.identity) == 0 && !is_buried(m.identity))
              return "not read by " + p.name() + ": " + m.identity;
        continue;
      }
      std::vector<std::string> topics;
      for (const auto& t : p.c.topics.empty() ? std::vector{p.c.topic} : p.c.topics)
        topics.push_back(to_string(t));
      const auto found = broker_.subscriptions().find(subscription_id(topics, p.c.subscription));
      if (found == broker_.subscriptions().end())
        return "no subscription of " + p.name();
      const auto& sub = found->second;
      for (const auto* t : sub.topics)
        for (auto n = sub.begins.at(t->name); n < t->log.size(); ++n)
          if (!sub.acknowledged.contains({t->name, n}))
            return "not acknowledged by " + p.name() + ": " + t->log[n].identity;
    }
    return unplanned(seen);
  }

  /// The plan and what runs are the same.
  std::string unplanned(const tree_snapshot& seen) {
    std::set<std::string> wanted, there;
    const auto want_dead_letters = [&](const auto& o) {
      if (o.on_failure == failure_action::dead_letter)
        wanted.insert(internal::keys_of(producer_options{.topic = protocol::dead_letter_topic_of(o)}).supervisor());
    };
    for (const auto i : running_) {
      const auto& p = s_.pipelines[i];
      if (p.role == pipeline_plan::producer)
        wanted.insert(internal::keys_of(p.p).supervisor());
      else if (p.role == pipeline_plan::consumer)
        wanted.insert(internal::keys_of(p.c).supervisor());
      else
        wanted.insert(internal::keys_of(p.r).supervisor());
      if (p.role == pipeline_plan::consumer)
        want_dead_letters(p.c);
      if (p.role == pipeline_plan::reader)
        want_dead_letters(p.r);
    }
    for (const auto& [argument, p] : instances_)
      wanted.insert("pipelines_pair_" + argument);
    bool below_topics = false;
    for (const auto& e : seen.entries) {
      if (e.depth == 1)
        below_topics = e.key == "topics_sim";
      if (e.depth == 2 && below_topics)
        there.insert(e.key);
    }
    if (unsure_.empty() && wanted != there) {
      std::string difference;
      for (const auto& k : wanted)
        difference += there.contains(k) ? "" : " missing " + k;
      for (const auto& k : there)
        difference += wanted.contains(k) ? "" : " too much " + k;
      return "what runs is not what was planned:" + difference;
    }
    return {};
  }

  tree_snapshot look() {
    const auto nested = nest();
    return tree_.inspect(std::chrono::hours{1});
  }

  /// Whether the supervisor of a pipeline has given up: where that is allowed.
  [[nodiscard]] bool is_given_up(const std::string& socket, const tree_snapshot& seen) const {
    if (s_.tree.intensity > 1000 && ended_.empty())
      return false;
    const auto key = parse_registry_key(socket);
    if (!key)
      return false;
    for (const auto& e : seen.entries)
      if (e.depth >= 2 && e.type == child_type::supervisor && e.state == child_state::stopped) {
        const auto other = parse_registry_key(e.key);
        if (!other || other->topic == key->topic)
          return true;
      }
    return false;
  }

  void come_to_rest() {
    say("CALM");
    calm_ = true;
    calm_since_ = now_;
    bool probed = false;
    for (auto& [at, undo] : std::exchange(ongoing_, {}))
      undo();
    next_end_ = never;
    broker_.refusing = broker_.failing = broker_.nameless = 0;
    net_->silent_handshakes = 0;
    net_->slowest = std::min(net_->slowest, 5_ms);
    net_->lateness = 0;
    if (!tree_ || has_ended(tree_.supervisor())) {
      if (tree_)
        stop_tree();
      start_tree();
    }
    const auto begun = now_;
    for (;;) {
      for (auto& [where, m] : std::exchange(kept_, {})) {
        books_.on_done(where, m.payload);
        m.acknowledge();
      }
      const auto limit = now_ + 50_ms;
      while (now_ < limit && step(limit)) {
      }
      const auto missing = unsettled();
      if (missing.empty() && kept_.empty()) {
        if (std::exchange(probed, true) || !tree_ || has_ended(tree_.supervisor()))
          return;
        probe();
      }
      if (now_ - begun > most_calm)
        violate("not at rest after " + std::to_string(most_calm / 1_s) + " s without a fault: " + missing);
    }
  }

  void judge() {
    for (const auto& identity : books_.buried())
      if (!is_buried(identity))
        violate("a dead letter was acknowledged, and is gone from its topic: " + identity);
    result_.published = books_.published;
    result_.stored = books_.stored;
    result_.unknown = books_.unknown;
    result_.handled = books_.handled;
    books_.judge(broker_.topics(), broker_.refused_on);
    if (!tree_ || has_ended(tree_.supervisor()))
      return;
    const auto seen = look();
    // Weather is no crash: without a fault of an actor or a handler nothing is restarted.
    const bool crashes = std::any_of(s_.faults.begin(), s_.faults.end(), [](const fault& f) {
      return f.kind >= fault_kind::kill || f.kind == fault_kind::spoil_frame_down
             || f.kind == fault_kind::refuse_handshakes;
    });
    if (!crashes && s_.handlers.throws == 0 && s_.handlers.slow == 0 && seen.restarts > 0)
      violate("restarted without a crash, " + std::to_string(seen.restarts) + " times");
  }

  void stop_tree() {
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
          t.produce(registry_key{"producer",
                                 s_.pipelines.empty() ? topic_name{.topic = "t0"} : topic_name{.topic = "t0"}, "sim"},
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

  /// The last handle goes where nobody may wait.
  void drop_handle() {
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

  [[nodiscard]] std::size_t living() { return system_->registry().running(); }

  void nothing_is_left(const std::string& of) {
    while (run_actor()) {
    }
    if (depth_ <= 1 && living() > 0)
      violate(of + " leaves " + std::to_string(living()) + " actors");
    if (const auto p = books_.unanswered(); !p.empty() && depth_ <= 1)
      violate(of + " leaves a message without an answer: " + p);
  }

  const scenario s_;
  coverage& covered_;
  std::ostream* const trace_;
  void (*const on_violation_)(const std::string&);
  randomness actor_order_, handler_random_, library_random_;
  micros now_ = 0;
  std::shared_ptr<network> net_;
  broker broker_;
  std::shared_ptr<environment> environment_;
  std::shared_ptr<connection::transport> transport_;
  books books_{[this](const std::string& what) { violate(what); }};
  caf::actor_system_config config_;
  std::optional<caf::actor_system> system_;
  caf::scheduler::test_coordinator* scheduler_ = nullptr;
  clock::time_point begin_;
  std::size_t depth_ = 0;
  bool may_wait_ = true;
  bool calm_ = false, handing_over_ = false, changing_ = false, stopping_ = false, struck_ = false;
  std::size_t next_deed_ = 0, next_fault_ = 0, deeds_done_ = 0;
  micros next_end_ = never;
  std::vector<std::pair<micros, std::function<void()>>> ongoing_;
  std::vector<std::pair<std::string, received_message>> kept_;
  std::set<std::size_t> running_, unsure_;
  std::set<std::string> ended_;
  std::map<std::string, producer_options> instances_;
  std::size_t last_lane_ = 0;
  micros calm_since_ = 0;
  std::map<std::uint64_t, std::size_t> outstanding_; ///< By connection.
  tree tree_;
  std::weak_ptr<internal::site> site_;
  verdict result_;
};

world::world(const scenario& s, coverage& covered, std::ostream* trace, void (*on_violation)(const std::string&))
  : inside_{std::make_unique<inside>(s, covered, trace, on_violation)} {}
world::~world() = default;
verdict world::run() {
  return inside_->run();
}

} // namespace stargate::simulation
