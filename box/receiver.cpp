#include "box/receiver.hpp"

#include "box/java.hpp"

#include "libstargate/protocol/json.hpp"
#include "libstargate/protocol/message_id.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <stdexcept>
#include <unordered_map>
#include <utility>

namespace stargate::box {

namespace {

constexpr micros reconnect_delay = 100 * millisecond;
constexpr micros least_nack_delay = 100 * millisecond;
constexpr micros ack_timeout_tick = 1 * second;

class receiver;
class lane;

/// Which messages of a batch are not acknowledged yet; its entry is when none is left.
using batch_left = std::shared_ptr<std::set<std::int32_t>>;

struct delivered {
  std::weak_ptr<lane> from;
  std::shared_ptr<topic> on; ///< A topic that is deleted and made again is another.
  std::size_t index = 0;
  std::int32_t in_batch = -1;
  int redeliveries = 0;
  batch_left left;
};

/// What comes from one topic, or from one partition: Pulsar's own consumer behind the WebSocket API.
class lane final : public attached, public std::enable_shared_from_this<lane> {
public:
  lane(receiver& of, std::shared_ptr<topic> from) : owner_{of}, topic_{std::move(from)} {}
  ~lane() override { leave(); }

  /// Why it cannot, in Pulsar's words. @param begin where a new subscription begins
  [[nodiscard]] std::string attach_at(std::size_t begin);
  /// It begins with an entry that was had already, or of a batch the messages up to this one.
  void skip_first(std::size_t index, std::int32_t in_batch) { skipped_ = {index, in_batch}; }
  [[nodiscard]] std::size_t standard_begin() const;

  // -- from the broker's side
  void take(std::size_t index, int redeliveries) override;
  void reach_end() override { at_end_ = true; }
  void be_cut_off() override;

  // -- for the connection
  [[nodiscard]] bool has_some() const { return !queue_.empty(); }
  [[nodiscard]] delivered pop();
  /// One without a queue asks for each message.
  void ask_for_one();
  void acknowledge(const delivered& d);
  void refuse(std::size_t index);
  [[nodiscard]] bool is_at_end() const { return at_end_; }
  [[nodiscard]] bool is_alone() const { return attached_ && subscription_->consumers().size() == 1; }
  void leave();
  void remove_subscription() { topic_->remove_subscription(subscription_->name); }
  [[nodiscard]] const std::shared_ptr<topic>& from() const { return topic_; }

private:
  void processed(std::int64_t messages);
  void redeliver(const std::vector<std::size_t>& indices);
  void look_at_refused();
  void look_at_unacknowledged();
  void bury(std::size_t index);
  void track(std::size_t index);

  receiver& owner_;
  std::shared_ptr<topic> topic_;
  std::shared_ptr<subscription> subscription_;
  bool attached_ = false;
  bool at_end_ = false;
  std::deque<delivered> queue_;
  std::int64_t available_ = 0; ///< Permits to give back.
  std::optional<std::pair<std::size_t, std::int32_t>> skipped_;
  std::optional<std::size_t> last_popped_;
  std::map<std::size_t, micros> refused_; ///< Until when they are kept back.
  bool looks_at_refused_ = false;
  std::deque<std::set<std::size_t>> unacknowledged_; ///< By ticks, the oldest first; empty without a time-out.
  std::set<std::size_t> may_be_dead_;                ///< Delivered for the last time.
};

class receiver final : public connection, public std::enable_shared_from_this<receiver> {
public:
  receiver(catalogue& all, std::string subscription_name, receiver_settings s, bool is_reader, std::shared_ptr<peer> to)
    : all_{all},
      settings_{std::move(s)},
      subscription_{std::move(subscription_name)},
      is_reader_{is_reader},
      peer_{std::move(to)},
      most_{settings_.pulls ? 0 : std::max<std::int64_t>(static_cast<std::int64_t>(settings_.queue), 1)},
      receiving_{!settings_.pulls && !(is_reader && settings_.queue == 0)} { // nor does Pulsar give such a reader any
    if (settings_.name.empty())
      settings_.name = "box" + std::to_string(all_.new_number());
  }

  void begin(const receiver_topics& topics);
  void begin_reader(const std::string& topic_name, const std::string& from);
  void on_frame(std::string_view text) override;

  /// Sends what there is, as far as the client has room. Comes back to it when the handshake is over.
  void pump();

  catalogue& all() { return all_; }
  const receiver_settings& settings() const { return settings_; }
  const std::string& subscription_name() const { return subscription_; }
  [[nodiscard]] bool is_reader() const { return is_reader_; }

private:
  void add(const std::string& part, const std::string& named);
  [[nodiscard]] std::optional<delivered> next();
  void send(const delivered& d);
  void settle(const protocol::json::document& json, bool refuses);
  void free_a_place();
  void unsubscribe();

  catalogue& all_;
  receiver_settings settings_;
  const std::string subscription_;
  const bool is_reader_;
  const std::shared_ptr<peer> peer_;
  const std::int64_t most_;
  std::vector<std::shared_ptr<lane>> lanes_;
  bool is_multiple_ = false;    ///< Of several topics, or of one with partitions.
  std::deque<delivered> queue_; ///< Of several lanes.
  std::int64_t pending_ = 0;
  bool receiving_;
  bool pumping_ = false;
  bool started_ = false;
  std::unordered_map<std::string, delivered> sent_; ///< By the id on the wire.
  std::shared_ptr<catalogue::watcher> watcher_;     ///< For a pattern.
};

// -- one topic ------------------------------------------------------------------------

std::size_t lane::standard_begin() const {
  return owner_.settings().earliest ? topic_->begin() : topic_->end();
}

std::string lane::attach_at(std::size_t begin) {
  const auto& s = owner_.settings();
  name = s.name;
  priority = s.priority;
  auto to = topic_->find(owner_.subscription_name());
  const bool is_new = !to;
  if (is_new)
    to = topic_->subscribe(owner_.subscription_name(), s.durable, begin);
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

void lane::leave() {
  if (std::exchange(attached_, false))
    subscription_->detach(*this);
  queue_.clear();
}

void lane::be_cut_off() {
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

void lane::take(std::size_t index, int redeliveries) {
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

void lane::processed(std::int64_t messages) {
  available_ += messages;
  const auto queue = static_cast<std::int64_t>(owner_.settings().queue);
  if (queue == 0) { // who has none asks for each
    available_ = 0;
    return;
  }
  if (attached_ && available_ >= queue / 2)
    subscription_->flow(*this, std::exchange(available_, 0));
}

void lane::ask_for_one() {
  if (attached_ && owner_.settings().queue == 0 && permits <= 0)
    subscription_->flow(*this, 1);
}

delivered lane::pop() {
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

void lane::track(std::size_t index) {
  if (!unacknowledged_.empty() && !owner_.is_reader())
    unacknowledged_.back().insert(index);
}

void lane::acknowledge(const delivered& d) {
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

void lane::refuse(std::size_t index) {
  for (auto& tick : unacknowledged_)
    tick.erase(index);
  const auto delay = std::max(owner_.settings().nack_delay, least_nack_delay);
  refused_[index] = topic_->time.now + delay;
  if (!std::exchange(looks_at_refused_, true))
    topic_->time.after(delay / 3, weak_from_this(), [this] { look_at_refused(); });
}

void lane::look_at_refused() {
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

void lane::look_at_unacknowledged() {
  const auto late = std::move(unacknowledged_.front());
  unacknowledged_.pop_front();
  unacknowledged_.emplace_back();
  topic_->time.after(ack_timeout_tick, weak_from_this(), [this] { look_at_unacknowledged(); });
  if (!late.empty())
    redeliver({late.begin(), late.end()});
}

void lane::redeliver(const std::vector<std::size_t>& indices) {
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
    if (may_be_dead_.erase(index) > 0)
      bury(index);
    else
      again.push_back(index);
  if (!again.empty())
    subscription_->redeliver(*this, again);
  if (taken_back > 0)
    processed(taken_back);
}

/// The message goes to the topic of dead letters, and is acknowledged here.
void lane::bury(std::size_t index) {
  auto name_of_grave = owner_.settings().dead_letters;
  if (name_of_grave.empty())
    name_of_grave = topic_->name + "-" + owner_.subscription_name() + "-DLQ";
  const auto& e = topic_->at(index);
  const auto origin =
    std::to_string(e.at.ledger) + ":" + std::to_string(e.at.entry) + ":" + std::to_string(topic_->partition);
  auto messages = e.messages;
  subscription_->acknowledge(index);
  try {
    const auto grave = owner_.all().open(topic_place::parse(name_of_grave).value_or(topic_place{}).text());
    for (std::size_t i = 0; i < messages.size(); ++i) {
      auto m = std::move(messages[i]);
      const auto id = e.is_batch ? origin + ":" + std::to_string(i) : origin;
      m.properties.insert(m.properties.end(), {{"REAL_SUBSCRIPTION", owner_.subscription_name()},
                                               {"REAL_TOPIC", topic_->name},
                                               {"ORIGIN_MESSAGE_ID", id},
                                               {"ORIGIN_MESSAGE_IDY_TIME", id}});
      m.publish_time = topic_->time.wall();
      m.deliver_at = 0;
      static_cast<void>(grave->publish("dead-letters", 0, {std::move(m)}, false));
    }
  } catch (const refusal&) {
    // There is no such namespace: Pulsar tries again and again; the message is not lost there.
    return;
  }
}

// -- beginning ------------------------------------------------------------------------

void receiver::add(const std::string& part, const std::string& named) {
  auto l = std::make_shared<lane>(*this, all_.open(part));
  lanes_.push_back(l);
  if (const auto why = l->attach_at(l->standard_begin()); !why.empty())
    throw refusal{409, part == named ? why : "\n" + named + "\n" + why};
}

void receiver::begin(const receiver_topics& topics) {
  is_multiple_ = topics.names.size() != 1 || all_.partitions(topics.names.front()) > 0;
  for (const auto& topic_name : topics.names)
    for (const auto& part : all_.parts_of(topic_name))
      add(part, topic_name);
  if (!topics.pattern.empty()) {
    const auto place = topic_place::parse(topics.pattern);
    if (!place)
      throw refusal{500, "java.lang.IllegalArgumentException: Invalid topic name: " + topics.pattern};
    std::regex pattern;
    try {
      pattern = std::regex{place->tenant + "/" + place->ns + "/" + place->topic};
    } catch (const std::regex_error& e) {
      throw refusal{500, std::string{"java.util.regex.PatternSyntaxException: "} + e.what()};
    }
    const auto matches = [pattern, persistent = place->persistent](const std::string& name) {
      const auto at = name.find("://");
      return name.starts_with("persistent") == persistent && std::regex_match(name.substr(at + 3), pattern);
    };
    for (const auto& [name, t] : std::map{all_.topics()})
      if (matches(name))
        add(name, name);
    watcher_ = std::make_shared<catalogue::watcher>([this, matches](const std::string& name) {
      const bool known =
        std::any_of(lanes_.begin(), lanes_.end(), [&](const auto& l) { return l->from()->name == name; });
      if (known || !matches(name))
        return;
      try {
        add(name, name);
      } catch (const refusal&) {
        lanes_.pop_back(); // somebody else has it
      }
    });
    all_.watch(watcher_);
  }
  started_ = true;
  all_.time.after(0, weak_from_this(), [this] { pump(); });
}

void receiver::begin_reader(const std::string& topic_name, const std::string& from) {
  std::optional<protocol::message_position> start;
  if (!from.empty() && from != "latest" && from != "earliest") {
    std::string normal;
    if (const auto why = normalize_base64(from, normal))
      throw refusal{500, *why};
    start = protocol::parse_message_id(stargate::message_id{normal});
    if (!start)
      throw refusal{500, "java.lang.IndexOutOfBoundsException: readerIndex(1) + length(1) exceeds writerIndex(1): "
                         "UnpooledHeapByteBuf(ridx: 1, widx: 1, cap: 1/1)"};
  }
  for (const auto& part : all_.parts_of(topic_name)) {
    auto l = std::make_shared<lane>(*this, all_.open(part));
    lanes_.push_back(l);
    auto begin = from == "earliest" ? l->from()->begin() : l->from()->end();
    if (start) {
      const position at{start->ledger, start->entry};
      begin = l->from()->index_of(at);
      if (begin < l->from()->end() && l->from()->at(begin).at == at)
        l->skip_first(begin, start->batch_index);
    }
    if (const auto why = l->attach_at(begin); !why.empty())
      throw refusal{409, why};
  }
  started_ = true;
  all_.time.after(0, weak_from_this(), [this] { pump(); });
}

// -- delivering -----------------------------------------------------------------------

std::optional<delivered> receiver::next() {
  if (!is_multiple_ && lanes_.size() == 1) {
    auto& only = *lanes_.front();
    if (!only.has_some())
      only.ask_for_one();
    return only.has_some() ? std::optional{only.pop()} : std::nullopt;
  }
  const auto room = std::max<std::size_t>(settings_.queue, 1);
  for (const auto& l : lanes_)
    while (l->has_some() && queue_.size() < room)
      queue_.push_back(l->pop());
  if (queue_.empty())
    return std::nullopt;
  auto d = std::move(queue_.front());
  queue_.pop_front();
  return d;
}

void receiver::pump() {
  if (!started_ || std::exchange(pumping_, true))
    return;
  while (receiving_) {
    const auto d = next();
    if (!d)
      break;
    send(*d);
    ++pending_;
    receiving_ = pending_ < most_;
  }
  pumping_ = false;
}

void receiver::send(const delivered& d) {
  if (d.index < d.on->begin() || d.index >= d.on->end())
    return;
  const auto& e = d.on->at(d.index);
  const message_id id{e.at, d.on->partition, d.in_batch, e.is_batch ? static_cast<std::int32_t>(e.messages.size()) : 0};
  auto text = id.text();
  const auto& m = e.messages.at(static_cast<std::size_t>(std::max(d.in_batch, 0)));
  auto frame = frame_of(m, text, d.redeliveries, is_reader_);
  if (!is_reader_)
    sent_.insert_or_assign(std::move(text), d);
  peer_->send(std::move(frame));
}

// -- what the client says ---------------------------------------------------------------

void receiver::free_a_place() {
  if (settings_.pulls)
    return;
  if (pending_-- >= most_) {
    receiving_ = true;
    pump();
  }
}

void receiver::on_frame(std::string_view frame) {
  std::string text{frame};
  protocol::json::document json;
  std::string type;
  std::optional<std::int64_t> permits;
  try {
    parse_frame(text, json);
    type = text_member(json, "type").value_or("");
    permits = number_member(json, "permitMessages");
    if (type == "permit" && !permits)
      throw std::invalid_argument{"Missing required permitMessages field for 'permit' command"};
  } catch (const std::invalid_argument&) {
    return peer_->close(0, {});
  }
  if (type == "isEndOfTopic") {
    const bool all = std::all_of(lanes_.begin(), lanes_.end(), [](const auto& l) { return l->is_at_end(); });
    return peer_->send(std::string{R"({"endOfTopic":)"} + (all ? "true}" : "false}"));
  }
  if (is_reader_)
    return free_a_place();
  if (type == "permit") {
    if (settings_.pulls) {
      const auto before = pending_;
      pending_ -= *permits;
      if (before >= 0) {
        receiving_ = pending_ < most_;
        pump();
      }
    }
    return;
  }
  if (type == "unsubscribe")
    return unsubscribe();
  settle(json, type == "negativeAcknowledge");
}

void receiver::settle(const protocol::json::document& json, bool refuses) {
  const auto id = text_member(json, "messageId");
  std::string normal;
  const auto why = id ? normalize_base64(*id, normal)
                      : R"-(Cannot invoke "String.getBytes(java.nio.charset.Charset)" because "src" is null)-";
  if (why)
    return peer_->close(1011, *why);
  const auto known = sent_.find(*id);
  if (known == sent_.end() && !protocol::parse_message_id(stargate::message_id{normal}))
    return peer_->close(0, {});
  if (known != sent_.end()) {
    const auto d = known->second;
    if (!refuses)
      sent_.erase(known);
    if (const auto from = d.from.lock(); from && from->from() == d.on) {
      if (refuses)
        from->refuse(d.index);
      else
        from->acknowledge(d);
    }
  } else if (refuses && is_multiple_) {
    return peer_->close(1011, "IllegalArgumentException"); // nobody knows which topic it is of
  } else if (!is_multiple_) {                              // of an earlier connection, say
    const auto p = protocol::parse_message_id(stargate::message_id{normal});
    const auto& t = *lanes_.front()->from();
    const auto index = t.index_of({p->ledger, p->entry});
    const bool is_there = index < t.end() && t.at(index).at == position{p->ledger, p->entry};
    if (is_there && refuses)
      lanes_.front()->refuse(index);
    else if (is_there && !t.at(index).is_batch) // of a batch, nobody remembers who else is acknowledged
      lanes_.front()->acknowledge({{}, nullptr, index, -1, 0, nullptr});
  }
  free_a_place();
}

void receiver::unsubscribe() {
  const bool can = std::all_of(lanes_.begin(), lanes_.end(), [](const auto& l) { return l->is_alone(); });
  if (!can) {
    for (const auto& l : lanes_)
      l->leave();
    return peer_->close(0, {});
  }
  for (const auto& l : lanes_) {
    l->leave();
    l->remove_subscription();
  }
}

} // namespace

std::shared_ptr<connection> make_consumer(catalogue& all, receiver_topics topics, const std::string& subscription,
                                          receiver_settings s, std::shared_ptr<peer> to) {
  auto made = std::make_shared<receiver>(all, subscription, std::move(s), false, std::move(to));
  made->begin(topics);
  return made;
}

std::shared_ptr<connection> make_reader(catalogue& all, const std::string& topic, const std::string& from,
                                        receiver_settings s, std::shared_ptr<peer> to) {
  constexpr std::uint64_t scatter = 0x9e3779b97f4a7c15;
  char name[24];
  std::snprintf(name, sizeof name, "reader-%010llx",
                static_cast<unsigned long long>(all.new_number() * scatter & 0xff'ffff'ffff));
  auto made = std::make_shared<receiver>(all, name, std::move(s), true, std::move(to));
  made->begin_reader(topic, from);
  return made;
}

} // namespace stargate::box
