// What is wrong with a description, and what is hardly meant.
#include "libstargate/protocol/option_table.hpp"

#include <stargate/error.hpp>

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stargate {

namespace protocol {

std::vector<std::string> doubts(const options& o) {
  std::set<std::string> in_batches;
  for (const auto& p : o.producers)
    if (p.batching == true)
      in_batches.insert(to_string(p.topic));
  std::vector<std::string> all;
  for (const auto& c : o.consumers)
    if (c.type == subscription_type::key_shared)
      for (const auto& topic : c.topics.empty() ? std::vector{c.topic} : c.topics)
        if (in_batches.contains(to_string(topic)))
          all.push_back("the producer of " + to_string(topic) + " has batching, and the consumer '" + c.subscription
                        + "' has type key_shared: a batch goes to one consumer, whatever the keys of its messages, so "
                          "that a key comes to several; leave batching off");
  return all;
}

} // namespace protocol

namespace {

template <class Options>
void check(const std::string& where, const Options& o, std::vector<std::string>& mistakes) {
  for (const auto& row : protocol::rows<Options>())
    if (!row.is_allowed(o))
      mistakes.push_back(where + row.name + " is '" + row.value(o).value_or("") + "', allowed is " + row.allowed);
}

template <class Options, class Identity>
void check_list(const std::string& list, const std::vector<Options>& parts, Identity identity, std::string_view once,
                std::vector<std::string>& mistakes) {
  std::set<std::string> seen;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto where = list + "[" + std::to_string(i) + "].";
    check(where, parts[i], mistakes);
    const auto [topic, all] = identity(parts[i]);
    if (!seen.insert(all).second)
      mistakes.push_back(where + "topic is '" + topic + "' again, allowed is " + std::string{once});
  }
}

} // namespace

caf::error validate(const options& o) {
  using identity = std::pair<std::string, std::string>;
  std::vector<std::string> mistakes;
  check("", o, mistakes);
  check_list(
    "producers", o.producers,
    [](const producer_options& p) {
      return identity{to_string(p.topic), to_string(p.topic)};
    },
    "one producer a topic in one tree", mistakes);
  check_list(
    "consumers", o.consumers,
    [](const consumer_options& c) {
      const auto topic = to_string(protocol::registered_topic(c));
      return identity{topic, topic + '\n' + c.subscription};
    },
    "one consumer a topic and subscription in one tree", mistakes);
  check_list(
    "readers", o.readers,
    [](const reader_options& r) {
      return identity{to_string(r.topic), to_string(r.topic) + '\n' + r.reader_name.value_or("")};
    },
    "one reader a topic in one tree, unless each has a reader_name of its own", mistakes);
  if (mistakes.empty())
    return {};
  std::string text;
  for (const auto& mistake : mistakes)
    text += (text.empty() ? "" : "; ") + mistake;
  return make_error(errc::invalid_option, std::move(text));
}

} // namespace stargate
