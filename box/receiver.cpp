#include "box/receiver.hpp"

#include "box/client_consumer.hpp"
#include "box/java.hpp"

#include "libstargate/protocol/json.hpp"
#include "libstargate/protocol/message_id.hpp"

#include <stargate/key.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <optional>
#include <regex>
#include <stdexcept>
#include <unordered_map>
#include <utility>

namespace stargate::box {

namespace {

class receiver final : public connection, public consumer_owner, public std::enable_shared_from_this<receiver> {
public:
  receiver(catalogue& all, const std::string& subscription_name, const receiver_settings& s, bool is_reader,
           std::shared_ptr<peer> to)
    : consumer_owner{all, subscription_name, s, is_reader},
      peer_{std::move(to)},
      most_{s.pulls ? 0 : std::max<std::int64_t>(static_cast<std::int64_t>(s.queue), 1)},
      receiving_{!s.pulls && !(is_reader && s.queue == 0)} {} // nor does Pulsar give such a reader any

  void begin(const receiver_topics& topics);
  void begin_reader(const std::string& topic_name, const std::string& from);
  void on_frame(std::string_view text) override;

  /// Sends what there is, as far as the client has room. Comes back to it when the handshake is over.
  void pump() override;

private:
  void add(const std::string& part, const std::string& named);
  [[nodiscard]] std::optional<delivered> next();
  void send(const delivered& d);
  void settle(const std::optional<std::string>& id, bool refuses);
  void free_a_place();
  void unsubscribe();

  const std::shared_ptr<peer> peer_;
  const std::int64_t most_;
  std::vector<std::shared_ptr<client_consumer>> consumers_;
  bool is_multiple_ = false;    ///< Of several topics, or of one with partitions.
  std::deque<delivered> queue_; ///< Of several consumers.
  std::int64_t pending_ = 0;
  bool receiving_;
  bool pumping_ = false;
  bool started_ = false;
  std::unordered_map<std::string, delivered> sent_; ///< By the id on the wire.
  std::shared_ptr<catalogue::watcher> watcher_;     ///< For a pattern.
};

// -- beginning ------------------------------------------------------------------------

void receiver::add(const std::string& part, const std::string& named) {
  auto c = std::make_shared<client_consumer>(*this, all().open(part));
  consumers_.push_back(c);
  if (const auto why = c->attach_at(c->standard_begin()); !why.empty())
    throw refusal{409, part == named ? why : "\n" + named + "\n" + why};
}

void receiver::begin(const receiver_topics& topics) {
  is_multiple_ = topics.names.size() != 1 || all().partitions(topics.names.front()) > 0;
  for (const auto& topic_name : topics.names)
    for (const auto& part : all().parts_of(topic_name))
      add(part, topic_name);
  if (!topics.pattern.empty()) {
    const auto place = parse_topic(topics.pattern);
    if (!place)
      throw refusal{500, "java.lang.IllegalArgumentException: Invalid topic name: " + topics.pattern};
    std::regex pattern;
    try {
      pattern = std::regex{place->tenant + "/" + place->ns + "/" + place->topic};
    } catch (const std::regex_error& e) {
      throw refusal{500, std::string{"java.util.regex.PatternSyntaxException: "} + e.what()};
    }
    const auto matches = [pattern, scheme = std::string{name_of(place->persistence)} + "://"](const std::string& name) {
      return name.starts_with(scheme) && std::regex_match(name.substr(scheme.size()), pattern);
    };
    for (const auto& [name, t] : std::map{all().topics()})
      if (matches(name))
        add(name, name);
    watcher_ = std::make_shared<catalogue::watcher>([this, matches](const std::string& name) {
      const bool known =
        std::any_of(consumers_.begin(), consumers_.end(), [&](const auto& c) { return c->from()->name == name; });
      if (known || !matches(name))
        return;
      try {
        add(name, name);
      } catch (const refusal&) {
        consumers_.pop_back(); // somebody else has it
      }
    });
    all().watch(watcher_);
  }
  started_ = true;
  all().time.after(0, weak_from_this(), [this] { pump(); });
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
  for (const auto& part : all().parts_of(topic_name)) {
    auto c = std::make_shared<client_consumer>(*this, all().open(part));
    consumers_.push_back(c);
    auto begin = from == "earliest" ? c->from()->begin() : c->from()->end();
    if (start) {
      const position at{start->ledger, start->entry};
      begin = c->from()->index_of(at);
      if (begin < c->from()->end() && c->from()->at(begin).at == at)
        c->skip_first(begin, start->batch_index);
    }
    if (const auto why = c->attach_at(begin); !why.empty())
      throw refusal{409, why};
  }
  started_ = true;
  all().time.after(0, weak_from_this(), [this] { pump(); });
}

// -- delivering -----------------------------------------------------------------------

std::optional<delivered> receiver::next() {
  if (!is_multiple_ && consumers_.size() == 1) {
    auto& only = *consumers_.front();
    if (!only.has_some())
      only.ask_for_one();
    return only.has_some() ? std::optional{only.pop()} : std::nullopt;
  }
  const auto room = std::max<std::size_t>(settings().queue, 1);
  for (const auto& c : consumers_)
    while (c->has_some() && queue_.size() < room)
      queue_.push_back(c->pop());
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
  auto frame = frame_of(m, text, d.redeliveries, is_reader());
  if (!is_reader())
    sent_.insert_or_assign(std::move(text), d);
  peer_->send(std::move(frame));
}

// -- what the client says ---------------------------------------------------------------

void receiver::free_a_place() {
  if (settings().pulls)
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
  std::optional<std::string> id;
  std::optional<std::int32_t> permits;
  try {
    parse_frame(text, json);
    type = text_member(json, "type").value_or("");
    id = text_member(json, "messageId");
    permits = number_member<std::int32_t>(json, "permitMessages");
    if (type == "permit" && !permits)
      throw std::invalid_argument{"Missing required permitMessages field for 'permit' command"};
  } catch (const std::invalid_argument&) {
    return peer_->close(0, {});
  }
  if (type == "isEndOfTopic") {
    const bool ended = std::all_of(consumers_.begin(), consumers_.end(), [](const auto& c) { return c->is_at_end(); });
    return peer_->send(std::string{R"({"endOfTopic":)"} + (ended ? "true}" : "false}"));
  }
  if (is_reader())
    return free_a_place();
  if (type == "permit") {
    if (settings().pulls) {
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
  settle(id, type == "negativeAcknowledge");
}

void receiver::settle(const std::optional<std::string>& id, bool refuses) {
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
    const auto& t = *consumers_.front()->from();
    const auto index = t.index_of({p->ledger, p->entry});
    const bool is_there = index < t.end() && t.at(index).at == position{p->ledger, p->entry};
    if (is_there && refuses)
      consumers_.front()->refuse(index);
    else if (is_there && !t.at(index).is_batch) // of a batch, nobody remembers who else is acknowledged
      consumers_.front()->acknowledge({{}, nullptr, index, -1, 0, nullptr});
  }
  free_a_place();
}

void receiver::unsubscribe() {
  const bool can = std::all_of(consumers_.begin(), consumers_.end(), [](const auto& c) { return c->is_alone(); });
  if (!can) {
    for (const auto& c : consumers_)
      c->leave();
    return peer_->close(0, {});
  }
  for (const auto& c : consumers_) {
    c->leave();
    c->remove_subscription();
  }
}

} // namespace

std::shared_ptr<connection> make_consumer(catalogue& all, const receiver_topics& topics,
                                          const std::string& subscription, receiver_settings s,
                                          std::shared_ptr<peer> to) {
  if (s.name.empty())
    s.name = "box" + std::to_string(all.new_number());
  auto made = std::make_shared<receiver>(all, subscription, s, false, std::move(to));
  made->begin(topics);
  return made;
}

std::shared_ptr<connection> make_reader(catalogue& all, const std::string& topic, const std::string& from,
                                        receiver_settings s, std::shared_ptr<peer> to) {
  constexpr std::uint64_t scatter = 0x9e3779b97f4a7c15;
  if (s.name.empty())
    s.name = "box" + std::to_string(all.new_number());
  char name[24];
  std::snprintf(name, sizeof name, "reader-%010llx",
                static_cast<unsigned long long>(all.new_number() * scatter & 0xff'ffff'ffff));
  auto made = std::make_shared<receiver>(all, name, s, true, std::move(to));
  made->begin_reader(topic, from);
  return made;
}

} // namespace stargate::box
