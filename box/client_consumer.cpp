#include "box/client_consumer.hpp"

#include <stargate/key.hpp>

#include <algorithm>

namespace stargate::box {

namespace {

constexpr micros reconnect_delay = 100 * millisecond;
constexpr micros least_nack_delay = 100 * millisecond;
constexpr micros retry_delay = 1 * second;
constexpr micros ack_timeout_tick = 1 * second;

} // namespace

std::size_t client_consumer::standard_begin() const {
  return owner_.settings().earliest ? topic_->begin() : topic_->end();
}

std::string client_consumer::attach_at(std::size_t begin) {
  const auto& s = owner_.settings();
  name = s.name;
  priority = s.priority;
  auto to = topic_->subscribe(owner_.subscription_name(), s.durable, begin); // or the one that is there
  if (auto why = to->attach(*this, s.type); !why.empty())
    return why;
  subscription_ = std::move(to);
  attached_ = true;
  available_ = 0;
  if (s.ack_timeout > 0 && unacknowledged_.empty()) {
    const auto ticks = (s.ack_timeout + ack_timeout_tick - 1) / ack_timeout_tick;
    unacknowledged_.resize(static_cast<std::size_t>(ticks) + 1);
    topic_->time.after(ack_timeout_tick, weak_from_this(), [this] { look_at_unacknowledged(); });
  }
  subscription_->flow(*this, static_cast<std::int64_t>(s.queue));
  return {};
}

void client_consumer::leave() {
  if (std::exchange(attached_, false))
    subscription_->detach(*this);
  queue_.clear();
}

void client_consumer::be_cut_off() {
  attached_ = false;
  at_end_ = false;
  queue_.clear();
  topic_->time.after(reconnect_delay, weak_from_this(), [this] {
    const auto before = topic_;
    try {
      topic_ = owner_.all().open(before->name);
    } catch (const refusal&) {
      return be_cut_off();
    }
    if (topic_ != before) {
      refused_.clear();
      may_be_dead_.clear();
      for (auto& tick : unacknowledged_)
        tick.clear();
    }
    // One without a durable subscription goes on behind what it has had.
    auto begin = standard_begin();
    if (!owner_.settings().durable && last_popped_)
      begin = topic_ == before ? *last_popped_ + 1 : topic_->begin();
    if (!attach_at(begin).empty())
      be_cut_off();
  });
}

void client_consumer::take(std::size_t index, int redeliveries) {
  const auto& e = topic_->at(index);
  if (e.is_batch && owner_.settings().queue == 0) { // Pulsar's own client closes a consumer that has no room for one
    topic_->time.after(0, weak_from_this(), [this] { leave(); });
    return;
  }
  const auto most = owner_.settings().most_redeliveries;
  const auto type = owner_.settings().type;
  const bool counts = type == subscription_type::shared || type == subscription_type::key_shared;
  if (most > 0 && counts && redeliveries >= most) {
    may_be_dead_.insert(index);
    if (redeliveries > most) {
      topic_->time.after(0, weak_from_this(), [this, index, size = static_cast<std::int64_t>(e.messages.size())] {
        redeliver({index});
        processed(size);
      });
      return;
    }
  }
  const bool skips = skipped_ && skipped_->first == index;
  if (!e.is_batch && skips) {
    subscription_->acknowledge(index); // its permit is lost, in Pulsar's own client, too
    return;
  }
  if (!e.is_batch) {
    queue_.push_back({weak_from_this(), topic_, index, -1, redeliveries, nullptr});
  } else {
    auto left = std::make_shared<std::set<std::int32_t>>();
    for (std::int32_t i = 0; i < static_cast<std::int32_t>(e.messages.size()); ++i)
      left->insert(i);
    for (const auto i : *left) {
      if (skips && i <= skipped_->second)
        processed(1);
      else
        queue_.push_back({weak_from_this(), topic_, index, i, redeliveries, left});
    }
  }
  owner_.pump();
}

void client_consumer::processed(std::int64_t messages) {
  available_ += messages;
  const auto queue = static_cast<std::int64_t>(owner_.settings().queue);
  if (queue == 0) { // who has none asks for each
    available_ = 0;
    return;
  }
  if (attached_ && available_ >= queue / 2)
    subscription_->flow(*this, std::exchange(available_, 0));
}

void client_consumer::ask_for_one() {
  if (attached_ && owner_.settings().queue == 0 && permits <= 0)
    subscription_->flow(*this, 1);
}

delivered client_consumer::pop() {
  auto d = std::move(queue_.front());
  queue_.pop_front();
  last_popped_ = d.index;
  track(d.index);
  if (owner_.is_reader()) {
    const bool is_last =
      d.in_batch < 0 || d.in_batch + 1 == static_cast<std::int32_t>(topic_->at(d.index).messages.size());
    if (is_last && subscription_)
      subscription_->acknowledge(d.index);
  }
  processed(1);
  return d;
}

void client_consumer::track(std::size_t index) {
  if (!unacknowledged_.empty() && !owner_.is_reader())
    unacknowledged_.back().insert(index);
}

void client_consumer::acknowledge(const delivered& d) {
  if (d.left) {
    d.left->erase(d.in_batch);
    if (!d.left->empty())
      return;
  }
  for (auto& tick : unacknowledged_)
    tick.erase(d.index);
  may_be_dead_.erase(d.index);
  if (subscription_)
    subscription_->acknowledge(d.index);
}

void client_consumer::refuse(std::size_t index) {
  for (auto& tick : unacknowledged_)
    tick.erase(index);
  const auto delay = std::max(owner_.settings().nack_delay, least_nack_delay);
  refused_[index] = topic_->time.now + delay;
  if (!std::exchange(looks_at_refused_, true))
    topic_->time.after(delay / 3, weak_from_this(), [this] { look_at_refused(); });
}

void client_consumer::look_at_refused() {
  looks_at_refused_ = false;
  if (refused_.empty())
    return;
  std::vector<std::size_t> due;
  std::erase_if(refused_, [&](const auto& r) {
    if (r.second > topic_->time.now)
      return false;
    due.push_back(r.first);
    return true;
  });
  looks_at_refused_ = true;
  const auto delay = std::max(owner_.settings().nack_delay, least_nack_delay);
  topic_->time.after(delay / 3, weak_from_this(), [this] { look_at_refused(); });
  if (!due.empty())
    redeliver(due);
}

void client_consumer::look_at_unacknowledged() {
  const auto late = std::move(unacknowledged_.front());
  unacknowledged_.pop_front();
  unacknowledged_.emplace_back();
  topic_->time.after(ack_timeout_tick, weak_from_this(), [this] { look_at_unacknowledged(); });
  if (!late.empty())
    redeliver({late.begin(), late.end()});
}

void client_consumer::redeliver(const std::vector<std::size_t>& indices) {
  if (!attached_)
    return;
  const auto type = owner_.settings().type;
  if (type == subscription_type::exclusive || type == subscription_type::failover) {
    const auto unread = static_cast<std::int64_t>(queue_.size());
    queue_.clear();
    for (auto& tick : unacknowledged_)
      tick.clear();
    subscription_->redeliver(*this, {});
    if (unread > 0)
      processed(unread);
    return;
  }
  // What waits here of the same entries goes back as well, and the first that is of another with it: so does Pulsar's client.
  std::set<std::size_t> all{indices.begin(), indices.end()};
  std::int64_t taken_back = 0;
  if (!queue_.empty() && all.contains(queue_.front().index))
    while (!queue_.empty()) {
      const auto index = queue_.front().index;
      queue_.pop_front();
      ++taken_back;
      if (all.insert(index).second)
        break;
    }
  std::vector<std::size_t> again;
  for (const auto index : all)
    if (!may_be_dead_.contains(index))
      again.push_back(index);
    else if (bury(index))
      may_be_dead_.erase(index);
    else // it stays unacknowledged, and is tried again
      topic_->time.after(retry_delay, weak_from_this(), [this, index] { redeliver({index}); });
  if (!again.empty())
    subscription_->redeliver(*this, again);
  if (taken_back > 0)
    processed(taken_back);
}

/// The message goes to the topic of dead letters, and is acknowledged here. False where that topic cannot be made.
bool client_consumer::bury(std::size_t index) {
  if (index < topic_->begin()) // skipped, and forgotten
    return true;
  auto name_of_grave = owner_.settings().dead_letters;
  if (name_of_grave.empty())
    name_of_grave = topic_->name + "-" + owner_.subscription_name() + "-DLQ";
  const auto parsed = parse_topic(name_of_grave);
  std::shared_ptr<topic> grave;
  try {
    grave = owner_.all().open(parsed ? to_string(*parsed) : name_of_grave);
  } catch (const refusal&) {
    return false;
  }
  const auto dead = topic_->at(index);
  const auto origin =
    std::to_string(dead.at.ledger) + ":" + std::to_string(dead.at.entry) + ":" + std::to_string(topic_->partition);
  for (std::size_t i = 0; i < dead.messages.size(); ++i) {
    auto m = dead.messages[i];
    const auto id = dead.is_batch ? origin + ":" + std::to_string(i) : origin;
    m.properties.insert(m.properties.end(), {{"REAL_SUBSCRIPTION", owner_.subscription_name()},
                                             {"REAL_TOPIC", topic_->name},
                                             {"ORIGIN_MESSAGE_ID", id},
                                             {"ORIGIN_MESSAGE_IDY_TIME", id}});
    m.publish_time = topic_->time.wall();
    m.deliver_at = 0;
    if (!grave->publish("dead-letters", grave->last_number("dead-letters") + 1, {std::move(m)}, false).failure.empty())
      return false;
  }
  subscription_->acknowledge(index);
  return true;
}

} // namespace stargate::box
