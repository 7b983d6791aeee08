#include "box/subscription.hpp"

#include "box/hashing.hpp"
#include "box/topic.hpp"

#include <algorithm>
#include <utility>

namespace stargate::box {

namespace {

constexpr std::size_t read_at_once = 100;     // dispatcherMaxReadBatchSize
constexpr std::int64_t given_at_once = 20;    // dispatcherMaxRoundRobinBatchSize
constexpr micros failover_delay = 1 * second; // activeConsumerFailoverDelayTimeMillis
constexpr std::int64_t delay_tick = 1'000;    // delayedDeliveryTickTimeMillis
constexpr int ring_of_keys = 65'535;
constexpr int points_on_ring = 100; // subscriptionKeySharedConsistentHashingReplicaPoints

std::int32_t hash_of_point(const std::string& consumer, int point) {
  return murmur3_32_hash(consumer + std::to_string(point));
}

} // namespace

std::string_view name_of(subscription_type type) {
  switch (type) {
    case subscription_type::exclusive: return "Exclusive";
    case subscription_type::shared: return "Shared";
    case subscription_type::failover: return "Failover";
    case subscription_type::key_shared: return "Key_Shared";
  }
  return "None";
}

subscription::subscription(topic& on, std::string name_, bool durable, std::size_t begin)
  : name{std::move(name_)},
    is_durable{durable},
    topic_{on},
    began_{begin},
    mark_{begin},
    read_{begin} {}

bool subscription::is_single() const {
  return type == subscription_type::exclusive || type == subscription_type::failover;
}

// -- consumers --------------------------------------------------------------------

std::string subscription::attach(attached& who, subscription_type as) {
  if (!consumers_.empty() && type != as) {
    return type == subscription_type::exclusive && as == subscription_type::exclusive
             ? "Exclusive consumer is already connected"
             : "Subscription is of different type";
  }
  if (!consumers_.empty() && as == subscription_type::exclusive)
    return "Exclusive consumer is already connected";
  if (type != as)
    round_robin_ = 0;
  type = as;
  if (consumers_.empty()) {
    replay_.clear();
    redeliveries_.clear();
    rewind();
  }
  who.permits = 0;
  who.pending.clear();
  consumers_.push_back(&who);
  ring_.clear();
  std::stable_sort(consumers_.begin(), consumers_.end(),
                   [](const attached* a, const attached* b) { return a->priority < b->priority; });
  if (is_single())
    choose_active(as == subscription_type::exclusive);
  if (consumers_.size() == 1) // those who come later are told with the next acknowledgement, if there is one
    note_end();
  return {};
}

void subscription::detach(attached& who) {
  const auto found = std::find(consumers_.begin(), consumers_.end(), &who);
  if (found == consumers_.end())
    return;
  consumers_.erase(found);
  ring_.clear();
  const auto hold = shared_from_this();
  if (consumers_.empty()) {
    active_ = nullptr;
    if (!is_durable)
      topic_.remove_subscription(name);
    return;
  }
  for (const auto& [index, entry] : std::exchange(who.pending, {}))
    if (!is_acknowledged(index))
      replay_.insert(index);
  if (active_ == &who) {
    active_ = nullptr;
    choose_active(type == subscription_type::exclusive);
  }
  dispatch();
}

void subscription::cut_off() {
  ring_.clear();
  for (auto* who : std::exchange(consumers_, {})) {
    who->pending.clear();
    who->be_cut_off();
  }
  active_ = nullptr;
}

/// Of those with the best priority, the one whose name is next to the topic's on a ring of hashes, or the partition's.
void subscription::choose_active(bool at_once) {
  auto candidates = consumers_;
  std::stable_sort(candidates.begin(), candidates.end(), [](const attached* a, const attached* b) {
    return std::pair{a->priority, a->name} < std::pair{b->priority, b->name};
  });
  std::erase_if(candidates, [&](const attached* a) { return a->priority != candidates.front()->priority; });
  attached* chosen = candidates.front();
  if (topic_.partition >= 0) {
    chosen = candidates[static_cast<std::size_t>(topic_.partition) % candidates.size()];
  } else if (candidates.size() > 1) {
    std::map<std::int32_t, attached*> ring;
    for (auto* a : candidates)
      for (int point = 0; point < points_on_ring; ++point)
        ring[hash_of_point(a->name, point)] = a;
    const auto place = ring.lower_bound(murmur3_32_hash(topic_.name));
    chosen = place == ring.end() ? ring.begin()->second : place->second;
  }
  if (chosen == active_)
    return;
  active_ = chosen;
  if (at_once) {
    rewind();
    return;
  }
  if (std::exchange(waits_for_active_, true))
    return;
  topic_.time.after(failover_delay, weak_from_this(), [this] {
    waits_for_active_ = false;
    rewind();
    dispatch();
  });
}

// -- what is delivered ---------------------------------------------------------------

void subscription::rewind() {
  read_ = std::max(mark_, topic_.begin());
  delayed_.clear();
}

std::size_t subscription::size_of(std::size_t index) const {
  return topic_.at(index).messages.size();
}

void subscription::flow(attached& who, std::int64_t permits) {
  who.permits += permits;
  dispatch();
}

/// The next that is not acknowledged, and whose time has come.
std::optional<std::size_t> subscription::read() {
  read_ = std::max(read_, topic_.begin());
  while (read_ < topic_.end()) {
    const auto index = read_++;
    if (is_acknowledged(index))
      continue;
    const auto due = topic_.at(index).messages.front().deliver_at;
    if (is_single() || due <= topic_.time.wall() + delay_tick)
      return index;
    delayed_.emplace(due, index);
    topic_.time.after((due - topic_.time.wall()) * millisecond, weak_from_this(), [this] { dispatch(); });
  }
  return std::nullopt;
}

/// Whenever it looks for more, a broker gives what is due within its tick.
void subscription::release_delayed() {
  const auto until = delayed_.upper_bound(topic_.time.wall() + delay_tick);
  for (auto i = delayed_.begin(); i != until; i = delayed_.erase(i))
    if (i->second >= topic_.begin() && !is_acknowledged(i->second))
      replay_.insert(i->second);
}

void subscription::give(attached& to, std::size_t index) {
  to.permits -= static_cast<std::int64_t>(size_of(index));
  if (!is_single())
    to.pending.insert_or_assign(index, attached::held{hash_of(index), size_of(index)});
  const auto count = redeliveries_.find(index);
  to.take(index, count == redeliveries_.end() || is_single() ? 0 : count->second);
}

void subscription::dispatch() {
  if (std::exchange(is_dispatching_, true)) { // a consumer that takes something gives permits at once
    dispatch_again_ = true;
    return;
  }
  const auto hold = shared_from_this();
  do {
    dispatch_again_ = false;
    if (consumers_.empty())
      break;
    if (is_single())
      dispatch_single();
    else if (type == subscription_type::key_shared)
      dispatch_by_key();
    else
      dispatch_shared();
  } while (dispatch_again_);
  is_dispatching_ = false;
}

void subscription::dispatch_single() {
  while (active_ != nullptr && !waits_for_active_ && active_->permits > 0) {
    const auto next = read();
    if (!next)
      return;
    give(*active_, *next);
  }
}

/// Round robin, those of a better priority first, who has permits.
attached* subscription::next_consumer() {
  if (consumers_.empty())
    return nullptr;
  if (round_robin_ >= consumers_.size())
    round_robin_ = 0;
  const auto size = consumers_.size();
  const auto choose = [&](std::size_t i) {
    round_robin_ = i + 1;
    return consumers_[i];
  };
  const auto level = consumers_[round_robin_]->priority;
  for (std::size_t i = 0; i < size && consumers_[i]->priority < level; ++i)
    if (consumers_[i]->permits > 0)
      return choose(i);
  std::size_t first = 0;
  while (consumers_[first]->priority != level)
    ++first;
  std::size_t last = first;
  while (last < size && consumers_[last]->priority == level)
    ++last;
  for (std::size_t n = 0; n < last - first; ++n) {
    const auto i = first + (round_robin_ - first + n) % (last - first);
    if (consumers_[i]->permits > 0)
      return choose(i);
  }
  for (auto i = last; i < size; ++i)
    if (consumers_[i]->permits > 0)
      return choose(i);
  return nullptr;
}

void subscription::dispatch_shared() {
  for (;;) {
    std::int64_t permits = 0;
    for (const auto* c : consumers_)
      permits += std::max<std::int64_t>(c->permits, 0);
    if (permits == 0)
      return;
    release_delayed();
    const auto most = std::min(read_at_once, static_cast<std::size_t>(permits));
    std::vector<std::size_t> batch;
    while (batch.size() < most && !replay_.empty()) {
      const auto index = *replay_.begin();
      replay_.erase(replay_.begin());
      if (!is_acknowledged(index))
        batch.push_back(index);
    }
    if (batch.empty())
      while (batch.size() < most) {
        const auto next = read();
        if (!next)
          break;
        batch.push_back(*next);
      }
    if (batch.empty())
      return;
    std::size_t given = 0;
    while (given < batch.size()) {
      auto* to = next_consumer();
      if (to == nullptr)
        break;
      const auto room = std::clamp<std::int64_t>(to->permits, 1, given_at_once);
      const auto until = std::min(batch.size(), given + static_cast<std::size_t>(room));
      while (given < until)
        give(*to, batch[given++]);
    }
    const bool stuck = given == 0; // permits that are nobody's
    for (; given < batch.size(); ++given)
      replay_.insert(batch[given]);
    if (stuck)
      return;
  }
}

int subscription::hash_of(std::size_t index) const {
  const auto& e = topic_.at(index);
  return type == subscription_type::key_shared
           ? murmur3_32_hash(e.messages.front().key.value_or(e.origin)) % ring_of_keys
           : 0;
}

/// Who has a key stays the same as long as the consumers do.
attached* subscription::consumer_of(int hash) {
  if (ring_.empty()) {
    std::map<std::string, int> times;
    for (auto* c : consumers_) {
      const auto same_name = times[c->name]++;
      for (int point = 0; point < points_on_ring; ++point) {
        const auto text = c->name + '\0' + std::to_string(same_name) + '\0' + std::to_string(point);
        ring_.emplace(murmur3_32_hash(text) % ring_of_keys, c);
      }
    }
  }
  const auto place = ring_.lower_bound(hash);
  return place == ring_.end() ? ring_.begin()->second : place->second;
}

void subscription::dispatch_by_key() {
  // What a consumer has in hand of a key stays ahead of what follows with that key, wherever the key belongs now.
  std::set<int> blocked;
  release_delayed();
  const auto offer = [&](std::size_t index) {
    const auto hash = hash_of(index);
    if (blocked.contains(hash))
      return false;
    auto* to = consumer_of(hash);
    const bool elsewhere = std::any_of(consumers_.begin(), consumers_.end(), [&](const attached* c) {
      return c != to
             && std::any_of(c->pending.begin(), c->pending.end(), [&](const auto& p) { return p.second.hash == hash; });
    });
    if (elsewhere || to->permits <= 0) {
      blocked.insert(hash);
      return false;
    }
    give(*to, index);
    return true;
  };
  for (auto i = replay_.begin(); i != replay_.end();)
    i = is_acknowledged(*i) || offer(*i) ? replay_.erase(i) : std::next(i);
  const auto has_room = [&] {
    return replay_.size() < read_at_once * 10
           && std::any_of(consumers_.begin(), consumers_.end(), [](const attached* c) { return c->permits > 0; });
  };
  while (has_room()) {
    const auto next = read();
    if (!next)
      return;
    if (!offer(*next))
      replay_.insert(*next);
  }
}

// -- what comes back ------------------------------------------------------------------

void subscription::acknowledge(std::size_t index) {
  for (auto* c : consumers_)
    c->pending.erase(index);
  if (index >= topic_.end() || is_acknowledged(index))
    return;
  acknowledged_.insert(index);
  while (!acknowledged_.empty() && *acknowledged_.begin() == mark_) {
    acknowledged_.erase(acknowledged_.begin());
    ++mark_;
  }
  replay_.erase(index);
  redeliveries_.erase(index);
  if (type == subscription_type::key_shared)
    dispatch(); // its key may go on elsewhere
  note_end();
}

void subscription::redeliver(attached& who, const std::vector<std::size_t>& indices) {
  if (is_single()) {
    if (active_ == &who && !waits_for_active_) {
      rewind();
      dispatch();
    }
    return;
  }
  for (const auto index : indices)
    if (who.pending.erase(index) > 0) {
      ++redeliveries_[index];
      replay_.insert(index);
    }
  dispatch();
}

void subscription::note_end() {
  if (topic_.is_terminated && backlog() == 0)
    for (auto* c : std::vector{consumers_})
      c->reach_end();
}

// -- administration -------------------------------------------------------------------

void subscription::skip(std::size_t entries) {
  while (entries > 0 && mark_ < topic_.end()) {
    const auto index = std::max(mark_, topic_.begin()); // who has it, has it still
    replay_.erase(index);
    redeliveries_.erase(index);
    acknowledged_.insert(index);
    mark_ = index;
    while (!acknowledged_.empty() && *acknowledged_.begin() == mark_) {
      acknowledged_.erase(acknowledged_.begin());
      ++mark_;
    }
    --entries;
  }
  read_ = std::max(read_, mark_);
  note_end();
}

void subscription::pass_over() {
  mark_ = read_ = topic_.end();
  acknowledged_.clear();
  replay_.clear();
  redeliveries_.clear();
  for (auto* c : consumers_)
    c->pending.clear();
}

void subscription::reset(std::size_t to) {
  began_ = mark_ = std::max(to, topic_.begin());
  acknowledged_.clear();
  rewind();
  cut_off();
}

std::size_t subscription::backlog() const {
  return topic_.end() - std::max(mark_, topic_.begin()) - acknowledged_.size();
}

std::size_t subscription::unacknowledged() const {
  std::size_t count = 0;
  for (const auto* c : consumers_)
    for (const auto& [index, entry] : c->pending)
      count += entry.messages;
  return count;
}

} // namespace stargate::box
