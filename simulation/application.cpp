#include "simulation/world.hpp"

#include "actors/shared/roles.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace stargate::simulation {

using namespace compat;

namespace {

using namespace std::chrono_literals;

} // namespace

// -- handlers

class world::handler final : public message_handler {
public:
  handler(world& in, std::string where, bool is_reader, run_on thread, std::chrono::milliseconds timeout,
          bool forwards = false)
    : in_{in},
      where_{std::move(where)},
      is_reader_{is_reader},
      forwards_to_{forwards ? in.s_.forwards_to() : nullptr},
      may_wait_{thread == run_on::own_thread},
      may_hang_{may_wait_ && timeout.count() > 0} {}

  void init(const handler_context& here) override { tree_ = here.tree; }

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
      if (may_hang_ && in_.depth_ < deepest && random.chance(manners.hangs)) {
        in_.pass(random.between(2_s, 30_s), true);
        return disposition::ack; // nobody waits for that any more
      }
      if (random.chance(manners.slow))
        // Where nobody else goes on meanwhile time leaps, and whose alarm would have come first cannot be told.
        in_.pass(
          random.between(0, may_wait_ && in_.depth_ < deepest ? manners.slowness : std::min(manners.slowness, 700_ms)),
          may_wait_);
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
    if (forwards_to_ != nullptr)
      return forward(m);
    in_.books_.on_done(where_, identity);
    return disposition::ack;
  }

private:
  disposition forward(const received_message& m) {
    const auto& o = *forwards_to_;
    const auto made = in_.books_.publish_made_of(where_, m.payload, to_string(o.topic), o.effectively_once);
    return tree_.produce_and_ack(m, producer_key(o.topic, "sim"), in_.make_message(made, 1, true));
  }

  world& in_;
  const std::string where_;
  const bool is_reader_;
  const producer_options* const forwards_to_; ///< Null unless it answers by `produce_and_ack`.
  weak_tree tree_;
  const bool may_wait_; ///< Others go on while it works.
  const bool may_hang_;
};

handler_factory world::handler_for(std::string where, bool is_reader, run_on thread, std::chrono::milliseconds timeout,
                                   bool forwards) {
  return handler_factory{[=, this]() -> std::unique_ptr<message_handler> {
    return std::make_unique<handler>(*this, where, is_reader, thread, timeout, forwards);
  }};
}

handler_factory world::to_sink(std::string where, bool is_reader) {
  return deliver_to(handler_factory::finder{[=, this](const registry&) {
    auto& sink = sinks_[where];
    if (!sink || has_ended(sink))
      sink = system_.actors().spawn([this, where, is_reader](caf::event_based_actor* self) -> caf::behavior {
        const auto by =
          std::make_shared<handler>(*this, where, is_reader, run_on::scheduler, std::chrono::milliseconds{0});
        return behave(self, {}, [by](const message_batch& batch) {
          dispositions answer;
          for (const auto& m : batch.messages)
            answer.each.push_back(by->handle_message(m));
          return answer;
        });
      });
    return sink;
  }});
}

void world::pass(micros time, bool others_go_on) {
  ++passed_;
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

// -- who listens

void world::listen() {
  if (s_.listener == 0)
    return;
  auto mine = std::make_shared<listener>();
  listeners_.push_back(mine);
  // The relay may tell it after the world has gone on to the next tree, but nothing after the end.
  static_cast<void>(tree_.subscribe(
    [this, mine](const event& e) {
      say([&] { return "told: " + to_string(e); });
      if (mine->has_seen_the_end)
        violate("a listener is told after the end: " + to_string(e));
      mine->has_seen_the_end = e.what == event::kind::stopped;
    },
    s_.listener));
}

// -- what the application does

std::vector<const producer_options*> world::producers() {
  std::vector<const producer_options*> list;
  for (const auto i : running_)
    if (s_.pipelines[i].role == pipeline_plan::producer)
      list.push_back(&s_.pipelines[i].p);
  for (const auto& [argument, p] : instances_)
    list.push_back(&p);
  return list;
}

message world::make_message(const std::string& identity, std::uint64_t which, bool effectively_once) {
  message m{.payload = identity, .properties = {{"n", identity}}};
  if (which % 3 == 0)
    m.key = "k" + std::to_string(which / 3 % 5);
  if (!effectively_once && which % 17 == 0)
    m.deliver_after = std::chrono::milliseconds{which / 17 % 1000};
  return m;
}

void world::on_answer(const std::string& identity, const std::string& topic, const caf::expected<message_id>& a) {
  say([&] { return "answers " + identity + ": " + (a ? "stored" : describe(a.error())); });
  if (handing_over_)
    violate("answered on the caller's own stack: " + identity);
  // Where consumers produce to, others may be faster to take the room.
  const bool taken = !a && code_of(a.error()) == errc::queue_full && s_.forwards_to() != nullptr
                     && topic == to_string(s_.forwards_to()->topic);
  if (!a && !taken && calm_ && now_ - calm_since_ > 40_s && !may_be_given_up())
    violate("not stored although nothing goes wrong: " + identity + ": " + describe(a.error()));
  books_.on_answer(identity, a, broker_.topic(topic));
}

void world::perform(const deed& d) {
  if (!tree_)
    return;
  ++deeds_done_;
  say([&] { return to_string(d); });
  covered_.add_deed(deed_names[static_cast<std::size_t>(d.kind)]);
  const auto nested = nest();
  const bool before = std::exchange(may_wait_, true);
  switch (d.kind) {
    case deed_kind::publish:
    case deed_kind::publish_list:
    case deed_kind::publish_to_actor:
    case deed_kind::publish_and_wait:
    case deed_kind::publish_list_and_wait: publish(d); break;
    case deed_kind::publish_by_request:
    case deed_kind::publish_list_by_request:
    case deed_kind::publish_by_demand: publish_by_request(d); break;
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

void world::publish(const deed& d) {
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
    auto& made = messages.emplace_back(make_message(identities.back(), d.which / 7 + i, o.effectively_once));
    if (d.which % 3 == 0)
      made.shared_payload = std::make_shared<const std::string>(std::exchange(made.payload, "not this"));
  }
  if (waits) {
    const auto begun = now_;
    const auto before = deeds_done_ + passed_;
    const auto patience = std::chrono::duration_cast<std::chrono::microseconds>(o.send_timeout).count();
    const auto answers = t.produce(key, std::move(messages));
    // A call that began in between has to end first.
    if (now_ - begun > patience + 1_s + 1_ms && deeds_done_ + passed_ == before)
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

namespace {

/// An answer to a request as one to a call: who has not taken a message has not stored it.
caf::error answer_of(const caf::error& why) {
  return is_receiver_down(why) ? make_error(errc::not_sent, "the producer has ended") : why;
}

} // namespace

void world::publish_by_request(const deed& d) {
  const auto all = producers();
  if (all.empty())
    return;
  const auto& o = *all[d.which % all.size()];
  const auto topic = to_string(o.topic);
  const auto key = producer_key(o.topic, "sim");
  const auto who = tree_.whereis(key);
  if (!who)
    return;
  const auto once = o.effectively_once;
  const auto lane = ++last_lane_;
  const auto make = [=, this](std::size_t i) {
    const auto identity = books_.publish(topic, once, lane);
    return std::pair{identity, make_message(identity, d.which / 7 + i, once)};
  };
  system_.actors().spawn([=, this, names = tree_.registry()](caf::event_based_actor* self) -> caf::behavior {
    const auto left = std::make_shared<std::size_t>(d.count);
    const auto patience = std::chrono::hours{1};
    const auto publish_one = [=, this](std::size_t i, const std::function<void(const caf::error&)>& see) {
      auto [identity, content] = make(i);
      request(self, who, patience, stargate::publish{std::move(content)})
        .then(
          [=, this, identity = identity](const message_id& id) {
            on_answer(identity, topic, id);
            if (--*left == 0)
              self->quit();
          },
          [=, this, identity = identity](const caf::error& why) {
            see(why);
            on_answer(identity, topic, answer_of(why));
            if (--*left == 0)
              self->quit();
          });
    };
    if (d.kind == deed_kind::publish_by_request) {
      for (std::size_t i = 0; i < d.count; ++i)
        publish_one(i, [](const caf::error&) {});
    } else if (d.kind == deed_kind::publish_list_by_request) {
      std::vector<std::string> identities;
      std::vector<message> messages;
      for (std::size_t i = 0; i < d.count; ++i) {
        auto [identity, content] = make(i);
        identities.push_back(std::move(identity));
        messages.push_back(std::move(content));
      }
      request(self, who, patience, publish_all{std::move(messages)})
        .then(
          [=, this](const published& answer) {
            for (std::size_t i = 0; i < identities.size(); ++i)
              on_answer(identities[i], topic, answer.answers.at(i));
            self->quit();
          },
          [=, this](const caf::error& why) {
            for (const auto& identity : identities)
              on_answer(identity, topic, answer_of(why));
            self->quit();
          });
    } else {
      const auto acknowledger = to_string(registry_key{"producer_ack", key.topic});
      request(self, who, patience, wait_for_room{d.count})
        .then(
          [=, this](room granted) {
            const auto before = names.whereis(acknowledger);
            *left = granted.messages;
            if (granted.messages == 0 || granted.messages > d.count)
              violate("room for " + std::to_string(granted.messages) + " was given");
            for (std::size_t i = 0; i < granted.messages; ++i)
              publish_one(i, [=, this](const caf::error& why) {
                if (code_of(why) == errc::queue_full && before && names.whereis(acknowledger) == before)
                  violate("who has asked for room is refused: " + describe(why));
              });
          },
          [=](const caf::error&) { self->quit(); });
    }
    return behave(self, {});
  });
}

caf::actor world::receiving_actor(const std::string& topic) {
  return system_.actors().spawn([this, topic](caf::event_based_actor* self) -> caf::behavior {
    return behave(self, {}, [this, topic, self](const produced& p) {
      caf::expected<message_id> a{p.id};
      if (p.failure)
        a = p.failure;
      on_answer(p.context, topic, a);
      self->quit();
    });
  });
}

void world::settle_kept(const deed& d) {
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

void world::expect_answer(const char* call, const caf::error& failure, std::initializer_list<errc> allowed) {
  say([&] { return std::string{call} + " gives " + describe(failure); });
  if (failure && std::find(allowed.begin(), allowed.end(), code_of(failure)) == allowed.end())
    violate(std::string{call} + " gives " + describe(failure));
}

void world::change(const deed& d) {
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
    case deed_kind::restart: {
      if (here.empty() || changing_)
        return;
      changing_ = true;
      const auto failure = t.restart(socket_key(s_.pipelines[here[d.which % here.size()]]));
      changing_ = false;
      expect_answer("restart", failure,
                    {errc::child_not_found, errc::stopping, errc::start_failed, errc::start_timeout});
      return;
    }
    case deed_kind::drain: {
      if (here.empty() || changing_)
        return;
      changing_ = true;
      const auto key = socket_key(s_.pipelines[here[d.which % here.size()]]);
      const auto drained = t.drain(key);
      expect_answer("drain", drained, {errc::child_not_found, errc::stopping});
      const registry_key nobody{"nobody", {.topic = "nothing"}, "sim"};
      static_cast<void>(t.await(nobody, std::chrono::milliseconds{d.which % 3'000})); // whatever happens meanwhile
      if (const auto who = t.whereis(key); !drained && who && !compat::has_ended(who))
        violate("what is drained runs: " + to_string(key));
      const auto failure = t.restart(key);
      changing_ = false;
      expect_answer("restart of what was drained", failure,
                    {errc::child_not_found, errc::stopping, errc::start_failed, errc::start_timeout});
      return;
    }
    case deed_kind::unsubscribe:
      for (const auto i : here)
        if (s_.pipelines[i].role == pipeline_plan::consumer && i % 2 == d.which % 2) {
          running_.erase(i); // as far as the judge is concerned
          unsubscribed_.insert(subscription_id(s_.pipelines[i].topics(), s_.pipelines[i].c.subscription));
          unsure_.insert(i); // until the answer comes; without one it may go on, or come again
          const auto failure = t.unsubscribe(socket_key(s_.pipelines[i]));
          if (!failure)
            unsure_.erase(i);
          else if (s_.tree.intensity > 1000)
            expect_answer("unsubscribe", failure, {errc::timed_out, errc::not_registered, errc::stopping});
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

registry_key world::socket_key(const pipeline_plan& p) {
  auto text = p.role == pipeline_plan::producer   ? internal::role_keys_of(p.p).socket()
              : p.role == pipeline_plan::consumer ? internal::role_keys_of(p.c).socket()
                                                  : internal::role_keys_of(p.r).socket();
  auto key = parse_registry_key(text);
  key->name = "sim";
  return *key;
}

} // namespace stargate::simulation
