#include "simulation/world.hpp"

#include "actors/shared/roles.hpp"
#include "libstargate/protocol/option_table.hpp"

#include <algorithm>
#include <utility>

namespace stargate::simulation {

using namespace compat;

namespace {

using namespace std::chrono_literals;

constexpr micros most_calm = 400_s; // until everything has to be at rest

} // namespace

// -- while it runs

void world::on_received(const wire& w, std::size_t count) {
  if (w.role == "producer")
    outstanding_[w.id] -= std::min(outstanding_[w.id], count);
}

void world::on_permitted(const wire& w, std::size_t permits, std::size_t unsettled) {
  for (const auto& p : s_.pipelines)
    if (!w.twice && p.role == pipeline_plan::consumer && p.c.subscription == w.subscription
        && p.c.topic.topic == w.topic
        && permits + unsettled > p.c.receiver_queue_size.value_or(1000) + p.c.processors * p.c.max_demand)
      violate(w.name() + " permits " + std::to_string(permits) + " messages more, with " + std::to_string(unsettled)
              + " unsettled");
}

void world::on_sent(const wire& w) {
  if (!w.role.empty() && w.role != "producer")
    return;
  const auto open = ++outstanding_[w.id];
  for (const auto i : running_)
    // What has expired is under way no longer, though its receipt may still come: so it is where others wait for room.
    if (const auto& p = s_.pipelines[i]; p.role == pipeline_plan::producer && p.p.topic.topic == w.topic
                                         && &p.p != s_.forwards_to() && p.p.send_timeout >= 60s
                                         && open > p.p.max_pending)
      violate(w.name() + " has " + std::to_string(open) + " messages under way, more than max_pending");
}

void world::on_acknowledged(const std::string& sub, const std::string& identity) {
  say([&] { return "acknowledged " + identity + " of " + sub; });
  const auto is_stored = [this](const std::string& topic, const std::string& made) {
    const auto& log = broker_.topic(topic).log;
    return std::any_of(log.begin(), log.end(), [&](const auto& m) { return m.identity == made; });
  };
  books_.on_acknowledged(
    sub, identity, [&] { return is_buried(identity); }, is_stored);
}

bool world::is_buried(const std::string& identity) {
  for (const auto& [name, topic] : broker_.topics())
    if (name.find("DLQ") != std::string::npos || name.find("dead-letters") != std::string::npos)
      if (std::any_of(topic.log.begin() + static_cast<std::ptrdiff_t>(topic.deleted), topic.log.end(),
                      [&](const auto& m) { return m.identity == identity && !m.by_broker; }))
        return true;
  return false;
}

// -- in the end

void world::probe() {
  const auto nested = nest();
  for (const auto* o : producers()) {
    const auto topic = to_string(o->topic);
    const registry_key key{"producer", o->topic, "sim"};
    for (const auto begun = now_;;) {
      const auto identity = books_.publish(topic, o->effectively_once, ++last_lane_);
      const auto answer = tree_.produce(key, make_message(identity, 1, true));
      on_answer(identity, topic, answer);
      if (answer || may_be_given_up() || has_ended(tree_.supervisor()))
        break;
      if (now_ - begun > 60_s)
        violate("in the end nothing is produced to " + topic + ": " + describe(answer.error()));
      const auto limit = now_ + 200_ms;
      while (now_ < limit && step(limit)) {
      }
    }
    // And who does not wait finds room, as long as nobody else has taken it.
    const auto identity = books_.publish(topic, o->effectively_once, ++last_lane_);
    const auto answered = std::make_shared<std::optional<errc>>();
    handing_over_ = true;
    tree_.produce(key, make_message(identity, 1, true),
                  [this, identity, topic, answered](const caf::expected<message_id>& a) {
                    *answered = a ? errc::none : code_of(a.error());
                    on_answer(identity, topic, a);
                  });
    handing_over_ = false;
    const auto limit = now_ + 70_s;
    while (!*answered && now_ < limit && step(limit)) {
    }
    if (*answered == errc::queue_full && !may_be_given_up() && o != s_.forwards_to()) // to which others produce
      violate("nothing is under way to " + topic + ", and there is no room");
  }
}

void world::judge_stop() {
  // Who is too slow has no say, and what comes again after a crash may be refused.
  if (struck_ || s_.tree.shutdown < 1s || s_.handlers.slow > 0 || s_.handlers.hangs > 0 || s_.handlers.throws > 0
      || s_.handlers.keeps > 0 || may_be_given_up())
    return;
  const auto limit = now_ + 10_s;
  while (now_ < limit && step(limit)) {
  }
  books_.for_each_done([this](const std::string& where, const std::string& identity) {
    const auto found = broker_.subscriptions().find(where);
    if (found == broker_.subscriptions().end() || !found->second.durable || unsubscribed_.contains(where))
      return;
    for (auto* t : found->second.topics)
      for (std::size_t n = 0; n < t->log.size(); ++n)
        if (t->log[n].identity == identity && !found->second.acknowledged.contains({t, n}))
          violate("handled before the tree stopped, and not acknowledged: " + identity + " of " + where);
  });
}

std::string world::unsettled() {
  if (const auto p = books_.unanswered(); !p.empty())
    return "unanswered: " + p;
  if (!tree_ || has_ended(tree_.supervisor()))
    return {};
  // Looking at a whole tree takes time: first what the books say, where nobody may give up.
  if (!may_be_given_up())
    for (const auto i : running_)
      if (auto missing = unhandled(s_.pipelines[i]); !missing.empty())
        return missing;
  const auto seen = look();
  for (const auto& e : seen.entries)
    if (!e.connection.empty() && e.connection != "connected" && !is_given_up(parse_registry_key(e.key)->topic, seen))
      return "not connected: " + e.key + " is " + e.connection;
  if (may_be_given_up())
    for (const auto i : running_)
      if (auto missing = unhandled(s_.pipelines[i]); !missing.empty() && !is_given_up(s_.pipelines[i], seen))
        return missing;
  return unplanned(seen);
}

std::string world::unhandled(const pipeline_plan& p) {
  if (p.role == pipeline_plan::reader && p.r.start.text() == "earliest") {
    for (const auto& m : broker_.topic(to_string(p.r.topic)).log)
      if (books_.times_handled(reader_id(p.r), m.identity) == 0 && !is_buried(m.identity))
        return "not read by " + p.name() + ": " + m.identity;
  } else if (p.role == pipeline_plan::consumer) {
    const auto found = broker_.subscriptions().find(subscription_id(p.topics(), p.c.subscription));
    if (found == broker_.subscriptions().end())
      return "no subscription of " + p.name();
    const auto& sub = found->second;
    for (auto* t : sub.topics)
      for (auto n = sub.begins.at(t->name); n < t->log.size(); ++n)
        if (!sub.acknowledged.contains({t, n}))
          return "not acknowledged by " + p.name() + ": " + t->log[n].identity;
  }
  return {};
}

std::string world::unplanned(const tree_snapshot& seen) {
  std::set<std::string> wanted, there;
  const auto want_dead_letters = [&](const auto& o) {
    if (o.on_failure == failure_action::dead_letter)
      wanted.insert(internal::role_keys_of(producer_options{.topic = protocol::dead_letter_topic_of(o)}).supervisor());
  };
  for (const auto i : running_) {
    const auto& p = s_.pipelines[i];
    if (p.role == pipeline_plan::producer)
      wanted.insert(internal::role_keys_of(p.p).supervisor());
    else if (p.role == pipeline_plan::consumer)
      wanted.insert(internal::role_keys_of(p.c).supervisor());
    else
      wanted.insert(internal::role_keys_of(p.r).supervisor());
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

tree_snapshot world::look() {
  const auto nested = nest();
  return tree_.inspect(std::chrono::hours{1});
}

bool world::may_be_given_up() const {
  return s_.tree.intensity <= 1000 || !ended_.empty();
}

bool world::is_given_up(const topic_name& topic, const tree_snapshot& seen) const {
  if (!may_be_given_up())
    return false;
  return std::any_of(seen.entries.begin(), seen.entries.end(), [&](const auto& e) {
    if (e.depth < 2 || e.type != child_type::supervisor || e.state != child_state::stopped)
      return false;
    const auto key = parse_registry_key(e.key);
    return !key || key->topic == topic;
  });
}

bool world::is_given_up(const pipeline_plan& p, const tree_snapshot& seen) const {
  if (is_given_up(socket_key(p).topic, seen) || (p.forwards && is_given_up(s_.forwards_to()->topic, seen)))
    return true;
  // Without its producer of dead letters, what fails comes again and again.
  if (p.role == pipeline_plan::consumer && p.c.on_failure == failure_action::dead_letter)
    return is_given_up(protocol::dead_letter_topic_of(p.c), seen);
  return p.role == pipeline_plan::reader && p.r.on_failure == failure_action::dead_letter
         && is_given_up(protocol::dead_letter_topic_of(p.r), seen);
}

void world::come_to_rest() {
  say("CALM");
  calm_ = true;
  calm_since_ = now_;
  bool probed = false;
  for (auto& [at, undo] : std::exchange(ongoing_, {}))
    undo();
  next_end_ = never;
  broker_.refusing = broker_.failing = broker_.nameless = 0;
  net_->silent_handshakes = 0;
  net_->hosts_down.clear();
  net_->slowest = std::min(net_->slowest, 5_ms);
  net_->lateness = 0;
  const auto begun = now_;
  for (;;) {
    if (!tree_ || has_ended(tree_.supervisor())) { // of what happened before
      if (tree_)
        stop_tree();
      start_tree();
      probed = false;
    }
    for (auto& [where, m] : std::exchange(kept_, {})) {
      books_.on_done(where, m.payload);
      m.acknowledge();
    }
    const auto limit = now_ + 50_ms;
    while (now_ < limit && step(limit)) {
    }
    const auto missing = unsettled();
    if (missing.empty() && kept_.empty()) {
      if (std::exchange(probed, true))
        return;
      probe();
    }
    if (now_ - begun > most_calm)
      violate("not at rest after " + std::to_string(most_calm / 1_s) + " s without a fault: " + missing);
  }
}

void world::judge() {
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
  if (!crashes && s_.handlers.throws == 0 && s_.handlers.slow == 0 && s_.handlers.hangs == 0 && seen.restarts > 0)
    violate("restarted without a crash, " + std::to_string(seen.restarts) + " times");
}

} // namespace stargate::simulation
