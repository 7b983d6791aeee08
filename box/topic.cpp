#include "box/topic.hpp"

#include <algorithm>
#include <utility>

namespace stargate::box {

namespace {

/// Of what every subscription has acknowledged, so much stays for readers that begin at the beginning.
constexpr std::size_t kept_bytes = 64u << 20u;

std::size_t size_of(const entry& e) {
  std::size_t size = 64;
  for (const auto& m : e.messages)
    size += m.payload.size() + 64;
  return size;
}

} // namespace

topic::topic(timers& time_, std::string name_, bool persistent, std::int64_t ledger)
  : name{std::move(name_)},
    is_persistent{persistent},
    time{time_},
    ledger_{ledger},
    unused_since_{time_.now} {}

bool topic::add_publisher(const std::string& producer_name, publisher& who) {
  const bool added = publishers_.emplace(producer_name, &who).second;
  note_use();
  return added;
}

void topic::remove_publisher(const std::string& producer_name, const publisher& who) {
  const auto found = publishers_.find(producer_name);
  if (found != publishers_.end() && found->second == &who)
    publishers_.erase(found);
  note_use();
}

topic::receipt topic::publish(const std::string& producer_name, std::int64_t last_number_given,
                              std::vector<message> messages, bool is_batch) {
  if (is_terminated)
    return {{}, "org.apache.pulsar.client.api.PulsarClientException$TopicTerminatedException: Topic was terminated"};
  if (deduplicates) {
    auto& last = last_numbers_.try_emplace(producer_name, -1).first->second;
    if (last_number_given <= last)
      return {{-1, -1}};
    last = last_number_given;
  }
  const auto first_number =
    static_cast<std::int64_t>(static_cast<std::uint64_t>(last_number_given) - messages.size() + 1);
  messages_in_ += messages.size();
  if (!is_persistent) {
    // It is stored nowhere: who is there and has room gets it, and it has no place of its own.
    entries_.push_back({{0, 0}, std::move(messages), is_batch, producer_name + "-" + std::to_string(first_number)});
    const auto hold = shared_from_this();
    for (const auto& s : std::map{subscriptions_})
      s.second->dispatch();
    for (const auto& s : std::map{subscriptions_})
      s.second->pass_over();
    first_ += entries_.size();
    entries_.clear();
    return {{0, 0}};
  }
  const position at{ledger_, next_entry_++};
  entries_.push_back({at, std::move(messages), is_batch, producer_name + "-" + std::to_string(first_number)});
  bytes_ += size_of(entries_.back());
  const auto hold = shared_from_this();
  for (const auto& s : std::map{subscriptions_})
    s.second->dispatch();
  forget_what_all_have();
  return {at};
}

void topic::forget_what_all_have() {
  if (bytes_ <= kept_bytes)
    return;
  auto least = end();
  for (const auto& [subscription_name, s] : subscriptions_)
    least = std::min(least, s->mark());
  for (; bytes_ > kept_bytes && first_ < least; ++first_) {
    bytes_ -= size_of(entries_.front());
    entries_.pop_front();
  }
}

std::int64_t topic::last_number(const std::string& producer_name) const {
  const auto found = last_numbers_.find(producer_name);
  return found == last_numbers_.end() ? -1 : found->second;
}

std::size_t topic::index_of(position p) const {
  const auto found =
    std::lower_bound(entries_.begin(), entries_.end(), p, [](const entry& e, position to) { return e.at < to; });
  return first_ + static_cast<std::size_t>(found - entries_.begin());
}

std::size_t topic::index_of_time(std::int64_t milliseconds) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const entry& e) { return e.messages.front().publish_time >= milliseconds; });
  return first_ + static_cast<std::size_t>(found - entries_.begin());
}

std::shared_ptr<subscription> topic::find(const std::string& subscription_name) const {
  const auto found = subscriptions_.find(subscription_name);
  return found == subscriptions_.end() ? nullptr : found->second;
}

std::shared_ptr<subscription> topic::subscribe(const std::string& subscription_name, bool durable, std::size_t begin) {
  auto& s = subscriptions_[subscription_name];
  if (!s)
    s = std::make_shared<subscription>(*this, subscription_name, durable && is_persistent, begin);
  note_use();
  return s;
}

void topic::remove_subscription(const std::string& subscription_name) {
  const auto found = subscriptions_.find(subscription_name);
  if (found == subscriptions_.end())
    return;
  const auto gone = std::move(found->second);
  subscriptions_.erase(found);
  gone->cut_off();
  note_use();
}

void topic::terminate() {
  is_terminated = true;
  publishers_.clear(); // they are closed, and would be refused
  for (const auto& s : std::map{subscriptions_})
    s.second->note_end();
}

void topic::unload(std::int64_t ledger) {
  ledger_ = ledger;
  next_entry_ = 0;
  for (const auto& p : std::exchange(publishers_, {}))
    p.second->be_cut_off();
  for (const auto& s : std::map{subscriptions_})
    s.second->cut_off();
}

void topic::note_use() {
  const bool used = !publishers_.empty() || !subscriptions_.empty();
  unused_since_ = used ? never : std::min(unused_since_, time.now);
}

} // namespace stargate::box
